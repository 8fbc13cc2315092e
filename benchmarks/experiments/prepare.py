"""Data sets as they were collected, made into files that the commands read.

    THROUGHTIME_DATA=DATA python benchmarks/experiments/prepare.py SET OUT

SET is one of:

a-but-b        Pairs "A but B", "B but A" of the same words and opposite labels, made
               by throughtime.data.order_pairs: text,label,group in train.csv (2,000
               pairs) and test.csv (500).
fsdd           Free Spoken Digit Dataset. OUT/wav, and path,label,speaker in all.csv,
               train.csv and test.csv: recordings 0 to 4 of each digit and speaker are
               the test part, as its authors say.
digits-strings  3 to 5 of these digits of one speaker, one after the other with pauses
               of 0.05 to 0.2 s of faint noise. OUT/wav, and path,text,speaker in
               train.csv (2,000) and test.csv (300), made of the two parts above.
ocr-words      Handwritten words. OUT/png, one picture a word, each letter 16 x 8; and
               path,text in train.csv and test.csv: nine tenths and one tenth of the
               words, drawn at random. In train.tsv and test.tsv the same words letter
               by letter, in the columns of letter.data.
flickr8k       OUT/images, and image,caption in train.csv, valid.csv and test.csv: 600,
               100 and 100 pictures, drawn at random.

All draws are seeded: the same files come out every time.
"""

import argparse
import csv
import gzip
import os
import random
import re
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

SEED = 0
RATE = 8000
TEST_INDICES = range(5)
STRINGS = {"train": 2000, "test": 300}
DIGITS = (3, 5)
PAUSE = (0.05, 0.2)
# Standard deviation of a 16-bit sample: a recording is never silent altogether.
NOISE = 2.0
HEIGHT, WIDTH = 16, 8
PAIRS = {"train": 2000, "test": 500}
FIRST_PIXEL = 6


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def recordings(data: Path) -> list[tuple[str, str, int, str, bytes]]:
    """Digit, speaker, index, name and content of every recording of a digit."""
    found = []
    for path in sorted((data / "fsdd").glob("fsdd-*.zip")):
        with zipfile.ZipFile(path) as packed:
            for name in packed.namelist():
                parts = re.fullmatch(r"(\d)_([a-z]+)_(\d+)\.wav", Path(name).name)
                if parts is not None:
                    digit, speaker, index = parts.groups()
                    content = packed.read(name)
                    found.append((digit, speaker, int(index), parts[0], content))
    return sorted(found)


def fsdd(data: Path, out: Path) -> None:
    (out / "wav").mkdir(parents=True, exist_ok=True)
    rows = {"all": [], "train": [], "test": []}
    for digit, speaker, index, name, content in recordings(data):
        (out / "wav" / name).write_bytes(content)
        row = (f"wav/{name}", digit, speaker)
        rows["all"].append(row)
        rows["test" if index in TEST_INDICES else "train"].append(row)
    for part, its_rows in rows.items():
        write_csv(out / f"{part}.csv", ("path", "label", "speaker"), its_rows)


def digit_strings(data: Path, out: Path) -> None:
    import io

    import soundfile

    (out / "wav").mkdir(parents=True, exist_ok=True)
    sounds: dict[tuple[str, str, str], list[np.ndarray]] = {}
    for digit, speaker, index, _, content in recordings(data):
        part = "test" if index in TEST_INDICES else "train"
        samples, rate = soundfile.read(io.BytesIO(content), dtype="int16")
        assert rate == RATE
        sounds.setdefault((part, speaker, digit), []).append(samples)
    speakers = sorted({speaker for _, speaker, _ in sounds})
    draw = np.random.default_rng(SEED)

    def pause() -> np.ndarray:
        length = int(draw.uniform(*PAUSE) * RATE)
        return draw.normal(0, NOISE, length).round().astype(np.int16)

    for part, count in STRINGS.items():
        rows = []
        for number in range(count):
            speaker = speakers[draw.integers(len(speakers))]
            length = draw.integers(DIGITS[0], DIGITS[1] + 1)
            text = "".join(str(digit) for digit in draw.integers(10, size=length))
            pieces = [pause()]
            for digit in text:
                known = sounds[part, speaker, digit]
                pieces += [known[draw.integers(len(known))], pause()]
            name = f"wav/{part}-{number:04d}.wav"
            soundfile.write(out / name, np.concatenate(pieces), RATE, "PCM_16")
            rows.append((name, text, speaker))
        write_csv(out / f"{part}.csv", ("path", "text", "speaker"), rows)


def ocr_words(data: Path, out: Path) -> None:
    from PIL import Image

    (out / "png").mkdir(parents=True, exist_ok=True)
    words: dict[str, list[str]] = {}
    with gzip.open(data / "ocr-letters" / "letter.data.gz", "rt") as file:
        for line in file:
            words.setdefault(line.split("\t")[3], []).append(line)
    order = sorted(words, key=int)
    held_out = set(random.Random(SEED).sample(order, round(len(order) / 10)))
    for part in ("train", "test"):
        chosen = [word for word in order if (word in held_out) == (part == "test")]
        rows = []
        for word in chosen:
            letters = [line.split("\t") for line in words[word]]
            pixels = np.array([row[FIRST_PIXEL:] for row in letters], dtype=np.uint8)
            pictures = pixels.reshape(-1, HEIGHT, WIDTH) * 255
            name = f"png/{int(word):04d}.png"
            Image.fromarray(np.hstack(list(pictures))).save(out / name)
            rows.append((name, "".join(row[1] for row in letters)))
        write_csv(out / f"{part}.csv", ("path", "text"), rows)
        with (out / f"{part}.tsv").open("w", encoding="utf-8", newline="") as file:
            file.writelines(line for word in chosen for line in words[word])


def flickr8k(data: Path, out: Path) -> None:
    folder = out / "images"
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(data / "flickr8k-mini" / "images.zip") as packed:
        for name in packed.namelist():
            if name.endswith(".jpg"):
                (folder / Path(name).name).write_bytes(packed.read(name))
    with (data / "flickr8k-mini" / "captions.csv").open(encoding="utf-8") as file:
        rows = [(row["image"], row["caption"]) for row in csv.DictReader(file)]
    names = sorted({name for name, _ in rows})
    random.Random(SEED).shuffle(names)
    for part, own in {
        "train": set(names[:600]),
        "valid": set(names[600:700]),
        "test": set(names[700:]),
    }.items():
        chosen = [row for row in rows if row[0] in own]
        write_csv(out / f"{part}.csv", ("image", "caption"), chosen)


def a_but_b(data: Path, out: Path) -> None:
    from throughtime.data.order_pairs import order_pairs

    del data
    texts = order_pairs(PAIRS["train"] + PAIRS["test"], seed=SEED)
    cut = 2 * PAIRS["train"]
    for part, chosen in (("train", texts[:cut]), ("test", texts[cut:])):
        write_csv(out / f"{part}.csv", ("text", "label", "group"), chosen)


SETS = {
    "a-but-b": a_but_b,
    "fsdd": fsdd,
    "digits-strings": digit_strings,
    "ocr-words": ocr_words,
    "flickr8k": flickr8k,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("set", choices=SETS)
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", type=Path, default=os.environ.get("THROUGHTIME_DATA"))
    arguments = parser.parse_args()
    if arguments.data is None:
        parser.error("say where the data sets are: --data, or THROUGHTIME_DATA")
    arguments.out.mkdir(parents=True, exist_ok=True)
    SETS[arguments.set](arguments.data, arguments.out)


if __name__ == "__main__":
    main()
