"""Recipes of texts, pictures and videos, made small, beat what is simpler."""

import re
import runpy
from pathlib import Path

EXAMPLES = Path(__file__).parents[1] / "examples"


def run(name, capsys, **sizes):
    """What a recipe prints."""
    runpy.run_path(str(EXAMPLES / f"{name}.py"))["main"](**sizes)
    return capsys.readouterr().out


def figure(text, name):
    """The first number on the line of this name."""
    found = re.search(rf"^ +{re.escape(name)}\D*? ([\d.]+)", text, re.MULTILINE)
    assert found, f"no line {name!r} in {text}"
    return float(found[1])


def test_text_generation(capsys):
    text = run("text_generation", capsys, characters=60_000, epochs=3, hidden_size=64)
    assert figure(text, "LSTM") < figure(text, "2-gram")
    assert len(text.split("\nThe following ")[1]) > 250


def test_translation(capsys):
    text = run("translation", capsys, count=1500, epochs=5)
    assert figure(text, "attention bilinear") > figure(text, "attention none") + 10


def test_german_numbers():
    german = runpy.run_path(str(EXAMPLES / "translation.py"))["german"]
    words = {
        0: "null",
        16: "sechzehn",
        30: "dreißig",
        121: "einhunderteinundzwanzig",
        6311: "sechstausenddreihundertelf",
        101_001: "einhunderteintausendeins",
        700_012: "siebenhunderttausendzwölf",
    }
    assert {number: german(number) for number in words} == words


def test_summarisation(capsys):
    text = run("summarisation", capsys, count=1500, epochs=6)
    rows = re.findall(r"^  (\D+): [\d.]+ % exact, chrF ([\d.]+)", text, re.MULTILINE)
    scores = {name: float(score) for name, score in rows}
    assert scores["cell gru"] > scores["first sentence"] + 5
    assert scores["cell gru"] > scores["cell none"] + 5


def test_captions(capsys):
    text = run("captions", capsys, count=600, epochs=5)
    assert figure(text, "cell lstm") > figure(text, "the most frequent caption") + 10


def test_video_tagging(capsys):
    text = run("video_tagging", capsys, count=300, epochs=6)
    assert figure(text, "cell lstm") > figure(text, "cell none") + 20
    assert figure(text, "cell none") < 60
