"""Recipes on sound, events, pictures and music, in small: they beat what they name."""

import re
import runpy
from pathlib import Path

EXAMPLES = Path(__file__).parents[1] / "examples"


def run(name: str, capsys, **options) -> str:
    """What the recipe prints."""
    runpy.run_path(str(EXAMPLES / f"{name}.py"))["main"](**options)
    return capsys.readouterr().out


def figures(text: str, line: str) -> list[float]:
    """The numbers behind the colon of the line that begins so."""
    found = [row for row in text.splitlines() if row.startswith(f"{line}:")]
    assert len(found) == 1, text
    return [float(x) for x in re.findall(r"\d+\.\d+", found[0].split(":")[1])]


def test_speech(capsys):
    text = run("speech", capsys, count=150, epochs=8)
    rate, whole = figures(text, "bidirectional GRU")
    rate_without, whole_without = figures(text, "no hidden state")
    assert rate < rate_without / 2
    assert whole > whole_without


def test_call_logs(capsys):
    text = run("call_logs", capsys, count=600, epochs=6)
    (share,) = figures(text, "LSTM")
    for other in (
        "always the commoner answer",
        "bag of events, logistic regression",
        "no hidden state",
    ):
        assert share > figures(text, other)[0] + 2


def test_character_recognition(capsys):
    text = run("character_recognition", capsys, count=1000, epochs=4)
    letters, whole = figures(text, "bidirectional LSTM")
    letters_without, whole_without = figures(text, "no hidden state")
    assert letters > letters_without + 5
    assert whole > whole_without + 5


def test_music(capsys, tmp_path):
    from throughtime.data.midi import read_midi

    path = tmp_path / "tune.mid"
    text = run("music", capsys, path=path, count=120, epochs=20)
    (loss,) = figures(text, "LSTM")
    assert loss < figures(text, "no hidden state")[0]
    assert loss < figures(text, "each key by itself")[0] / 2
    # Eight bars; silence at the end would not be in the file.
    assert 8 < len(read_midi(path, step="8th")) <= 64
