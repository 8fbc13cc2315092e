"""Pictures of coloured shapes are put into words: "a red circle above a blue square".

A small convolutional network looks at the picture and an LSTM writes, looking at parts
of the picture word by word. Without a memory, each word knows only the one before it.
About half a minute.
"""

import itertools
import random
from collections import Counter

import numpy as np
import torch
from PIL import Image, ImageDraw

import throughtime as tt
from throughtime.models import Captioner, CaptionerConfig, PictureEncoder

SHAPES = ("circle", "square", "triangle")
COLOURS = ("red", "green", "blue", "yellow")
SIDE = 32
WORDS = ["<end>", "a", *COLOURS, *SHAPES, "left", "of", "above"]


def main(count: int = 2000, epochs: int = 10, hidden_size: int = 64) -> None:
    draw = random.Random(0)
    train, unseen = ([picture(draw) for _ in range(n)] for n in (count, 300))
    captions = [caption for _, caption in unseen]
    print(f'{count} pictures to learn from, such as of "{train[0][1]}"')
    print("Captions of 300 others that are right, word for word:")
    usual = Counter(caption for _, caption in train).most_common(1)[0][0]
    print(f"  the most frequent caption {captions.count(usual) / len(captions):.1%}")
    for cell in ("none", "lstm"):
        torch.manual_seed(0)
        encoder = PictureEncoder(3, SIDE, SIDE, features=64, grid=True)
        config = CaptionerConfig(cell=cell, hidden_size=hidden_size, attention=True)
        model = Captioner(encoder, len(WORDS), end_index=0, config=config)
        training = tt.training.TrainingConfig(epochs=epochs, learning_rate=0.005)
        for _ in tt.training.train(model, examples(train), training):
            pass
        batch = examples(unseen).batch(range(len(unseen)))
        tokens = model.eval().caption(batch, length=10)
        said = [" ".join(WORDS[token] for token in row) for row in tokens]
        right = sum(a == b for a, b in zip(said, captions, strict=True))
        print(f"  cell {cell}: {right / len(captions):.1%}")
    for answer, caption in zip(said[:3], captions, strict=False):
        print(f'"{answer}" is what it says of "{caption}"')


def picture(draw: random.Random) -> tuple[Image.Image, str]:
    """One shape, or two in one row or one column, and what there is to be seen."""
    image = Image.new("RGB", (SIDE, SIDE), "black")
    places = draw.choice([[(8, 8)], [(1, 8), (17, 8)], [(8, 1), (8, 17)]])
    kinds = draw.sample(list(itertools.product(COLOURS, SHAPES)), len(places))
    for (x, y), (colour, shape) in zip(places, kinds, strict=True):
        x, y = x + draw.randint(-1, 1), y + draw.randint(-1, 1)
        size = draw.randint(10, 13)
        box = (x, y, x + size, y + size)
        pen = ImageDraw.Draw(image)
        if shape == "circle":
            pen.ellipse(box, fill=colour)
        elif shape == "square":
            pen.rectangle(box, fill=colour)
        else:
            pen.polygon(
                [(x, y + size), (x + size, y + size), (x + size // 2, y)], colour
            )
    relation = " left of " if places[0][0] < 8 else " above "
    return image, relation.join(f"a {colour} {shape}" for colour, shape in kinds)


def examples(pictures: list[tuple[Image.Image, str]]) -> tt.data.Examples:
    captions = [[*map(WORDS.index, caption.split()), 0] for _, caption in pictures]
    pixels = [torch.from_numpy(np.array(image)) for image, _ in pictures]
    return tt.data.Examples(
        {
            "inputs": [colours.permute(2, 0, 1)[None] for colours in pixels],
            "targets": [torch.tensor(caption) for caption in captions],
        }
    )


if __name__ == "__main__":
    main()
