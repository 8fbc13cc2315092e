"""Small files of every kind, good ones and bad ones."""

import io

import numpy as np

SMALL = ["--hidden-size", "4", "--epochs", "1", "--batch-size", "4", "--out", "run"]
REVIEWS = "".join(f"a good film {i},pos\na bad thing {i},neg\n" for i in range(8))
NUMBERS = "".join(f"{i},{i * i},{'ab'[i % 2]}\n" for i in range(8))
SENTENCES = "".join(f"the O\nAnna{i} NAME\n\n" for i in range(8))
TOKENS = "".join(f"{i // 2},w{i % 3},{'AB'[i % 2]}\n" for i in range(16))
DAYS = "".join(f"2024-01-{i + 1:02d},{i},{i % 7}\n" for i in range(30))
BINARY = bytes(range(256))
TS = "@univariate true\n@classLabel true a b\n@data\n"
PIECES = [[[60, 64], [62], [60]]] * 8


def sound(samples=2000, rate=8000):
    import soundfile

    content = io.BytesIO()
    noise = np.random.default_rng(0).normal(size=samples) / 9
    soundfile.write(content, noise, rate, format="WAV")
    return content.getvalue()


def picture(width=8, height=8):
    from PIL import Image

    content = io.BytesIO()
    Image.new("L", (width, height), 99).save(content, "png")
    return content.getvalue()


def arrays(**parts):
    content = io.BytesIO()
    np.savez(content, **parts)
    return content.getvalue()


def conllu(*rows):
    return "".join("\t".join(row) + "\n" for row in rows) + "\n"


SERIES = np.random.default_rng(0).normal(size=(6, 5, 2))
LABELS = np.arange(6) % 2
PATHS = "".join(f"s/{i}.wav,{'yes' if i % 2 else 'no'}\n" for i in range(4))
SOUNDS = {f"s/{i}.wav": sound() for i in range(4)}
CAPTIONS = "".join(f"p/{i}.png,a picture of {i}\n" for i in range(4))
PICTURES = {f"p/{i}.png": picture() for i in range(4)}
ROW = ("1", "cat", "cat", "NOUN", "_", "_", "0", "_", "_", "_")


def write(folder, files):
    for name, content in files.items():
        path = folder / name
        (path if name.endswith("/") else path.parent).mkdir(exist_ok=True, parents=True)
        if not name.endswith("/"):
            path.write_bytes(content.encode() if isinstance(content, str) else content)


def standard_input(content):
    return io.TextIOWrapper(io.BytesIO(content))
