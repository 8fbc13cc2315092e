"""Letters that are hard to read alone are read with the help of their neighbours.

Words are drawn letter by letter in Pillow's own font, turned, shifted and covered with
noise. They are Python's keywords and the names of its functions, a hundred of them;
those to read are the same words drawn anew, as in the usual data set of handwritten
words. A bidirectional LSTM reads the pixels of a letter at each step, and so puts
together what the whole word shows. Beside it stands a network without hidden state,
which looks at one letter at a time. About 15 seconds on two cores.
"""

import builtins
import keyword

import torch
from PIL import Image, ImageDraw, ImageFont

import throughtime as tt
from throughtime.models import Tagger, TaggerConfig, VectorFrontEnd

LETTERS = "abcdefghijklmnopqrstuvwxyz"
SIZE = 12
FONT = ImageFont.load_default(11)


def drawn(letter: str) -> torch.Tensor:
    """Pixels of a picture of the letter, (SIZE²,), like no other of it."""
    turn, right, down = (torch.rand(3) - 0.5).tolist()
    picture = Image.new("L", (SIZE, SIZE))
    middle = SIZE / 2 + 2 * right, SIZE / 2 + 2 * down
    ImageDraw.Draw(picture).text(middle, letter, fill=255, font=FONT, anchor="mm")
    picture = picture.rotate(35 * turn, Image.Resampling.BILINEAR)
    pixels = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8)
    return pixels / 255 + 0.2 * torch.randn(SIZE * SIZE)


def words(count: int) -> list[str]:
    """Some of Python's words, each as likely as any other."""
    known = sorted({*keyword.kwlist, *dir(builtins)})
    known = [w for w in known if len(w) > 2 and set(w) <= set(LETTERS)]
    return [known[i] for i in torch.randint(len(known), (count,)).tolist()]


def pictures(words: list[str]) -> tt.data.Examples:
    """A picture for each letter of each word, and which letter it is."""
    return tt.data.Examples(
        {
            "inputs": [torch.stack([drawn(letter) for letter in w]) for w in words],
            "targets": [torch.tensor([LETTERS.index(x) for x in w]) for w in words],
        }
    )


def main(count: int = 4000, epochs: int = 4) -> None:
    torch.manual_seed(0)
    train, written = pictures(words(count)), words(count // 10)
    test = pictures(written)
    pixels = torch.cat(list(train.sequences["inputs"]))
    print(f"{len(train)} words to learn from, {len(test)} to read")
    for name, config in (
        ("no hidden state", TaggerConfig("none", hidden_size=128)),
        ("bidirectional LSTM", TaggerConfig(hidden_size=64, bidirectional=True)),
    ):
        front_end = VectorFrontEnd(SIZE * SIZE, pixels.mean(0), pixels.std(0))
        model = Tagger(front_end, len(LETTERS), config)
        training = tt.training.TrainingConfig(
            epochs=epochs, batch_size=16, learning_rate=0.005
        )
        for _ in tt.training.train(model, train, training):
            pass
        model.eval()
        read = []
        for batch in test.batches(50):
            labels = model.predict(batch).T.tolist()
            read += [
                "".join(LETTERS[i] for i in row[:length])
                for row, length in zip(labels, batch["inputs_lengths"], strict=True)
            ]
        pairs = list(zip("".join(read), "".join(written), strict=True))
        letters = sum(a == b for a, b in pairs) / len(pairs)
        whole = sum(map(str.__eq__, read, written)) / len(read)
        print(f"{name}: letters {letters:.1%} right, whole words {whole:.1%}")
        print(f"    {' '.join(read[:6])}")
    print(f"    {' '.join(written[:6])}, as written")


if __name__ == "__main__":
    main()
