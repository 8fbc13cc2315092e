"""Where is the square going? A label for every frame of short synthetic videos.

A single frame shows where the square is, not where it is going: without a memory little
more than a guess is possible. About ten seconds.
"""

import torch
from torch import Tensor

import throughtime as tt
from throughtime.models import ImageFrontEnd, Tagger, TaggerConfig

DIRECTIONS = {"up": (-2, 0), "down": (2, 0), "left": (0, -2), "right": (0, 2)}
SIDE, SQUARE, FRAMES = 16, 4, 12


def main(count: int = 500, epochs: int = 6, hidden_size: int = 64) -> None:
    torch.manual_seed(0)
    train, unseen = videos(count), videos(200)
    print(f"{count} videos of {FRAMES} frames; frames labelled rightly in 200 others:")
    for cell in ("none", "lstm"):
        torch.manual_seed(0)
        front_end = ImageFrontEnd(1, SIDE, SIDE, features=48)
        config = TaggerConfig(cell=cell, hidden_size=hidden_size)
        model = Tagger(front_end, len(DIRECTIONS), config)
        training = tt.training.TrainingConfig(epochs=epochs, learning_rate=0.005)
        for _ in tt.training.train(model, train, training):
            pass
        batch = unseen.batch(range(len(unseen)))
        labels = model.eval().predict(batch)
        counted = batch["targets_mask"]
        right = (labels == batch["targets"])[counted].float().mean()
        print(f"  cell {cell}: {right:.1%}")
    names = list(DIRECTIONS)
    print("One video:", " ".join(names[label] for label in labels[1:, 0]))
    print("    truth:", " ".join(names[label] for label in batch["targets"][1:, 0]))


def videos(count: int) -> tt.data.Examples:
    made = [video() for _ in range(count)]
    # Before the first frame nothing moved: it has no label.
    mask = torch.arange(FRAMES) > 0
    return tt.data.Examples(
        {
            "inputs": [frames for frames, _ in made],
            "targets": [labels for _, labels in made],
            "targets_mask": [mask] * count,
        }
    )


def video() -> tuple[Tensor, Tensor]:
    """A square that turns now and then, and at the border."""
    frames = torch.zeros(FRAMES, 1, SIDE, SIDE, dtype=torch.uint8)
    labels = torch.randint(len(DIRECTIONS), (FRAMES,))
    last = SIDE - SQUARE
    row, column = torch.randint(last + 1, (2,)).tolist()
    for t in range(FRAMES):
        if t > 0 and torch.rand(()) < 0.5:  # it goes on as before
            labels[t] = labels[t - 1]
        while True:
            down, right = list(DIRECTIONS.values())[labels[t]]
            if 0 <= row + down <= last and 0 <= column + right <= last:
                break
            labels[t] = torch.randint(len(DIRECTIONS), ())
        row, column = row + down, column + right
        frames[t, 0, row : row + SQUARE, column : column + SQUARE] = 255
    return frames, labels


if __name__ == "__main__":
    main()
