"""``compare-cells``: equal budgets, every outcome shown, nothing lost."""

import json
import math
import os
import signal
from xml.etree import ElementTree

import pytest

from tests.cli.conftest import TEXT
from tests.cli.test_bad_input import refused, snapshot
from tests.cli.test_own_cell import SOURCE
from throughtime.cells import CELLS
from throughtime.cli import compare
from throughtime.cli.budget import hidden_size_for
from throughtime.cli.defaults import COMPARED
from throughtime.cli.lm_measure import count_parameters
from throughtime.errors import InvalidValue, TrainingError
from throughtime.models import LanguageModel, LanguageModelConfig

BUDGET = 4000
QUICK = [
    *("--parameters", BUDGET, "--epochs", "1"),
    *("--set", "tau=20", "--set", "batch_size=4"),
]


def by_title(result):
    return {row["title"]: row for row in result["cells"]}


@pytest.fixture
def compared(command, text, tmp_path):
    (tmp_path / "cells.py").write_text(SOURCE)
    names = "gru,elman,cells.py:mine,lstm"
    outcome = command(
        "compare-cells", text, *QUICK, "--cells", names, "--out", "c", "--json"
    )
    assert outcome.status == 0, outcome.err
    return outcome


def test_the_table_has_the_best_first(compared, tmp_path):
    result = compared.last
    assert json.loads((tmp_path / "c" / "compare.json").read_text()) == result
    losses = [row["loss"] for row in result["cells"]]
    assert losses == sorted(losses)
    assert set(by_title(result)) == {"gru", "elman", "mine", "lstm"}
    for row in result["cells"]:
        assert row["status"] == "done"
        assert row["perplexity"] == pytest.approx(math.exp(row["loss"]))
        assert row["bits_per_character"] == pytest.approx(row["loss"] / math.log(2))
        assert row["gradient_shares"][0] == 1
        assert row["tokens_per_second"] > 0
    lines = compared.out.splitlines()
    order = [line.split()[0] for line in lines if line.split()[3:4] != []]
    shown = [name for name in order if name in by_title(result)]
    assert shown == [row["title"] for row in result["cells"]]


def test_all_have_the_same_budget_data_order_and_seed(compared):
    rows = by_title(compared.last)
    assert len({row["updates"] for row in rows.values()}) == 1
    assert len({row["tokens"] for row in rows.values()}) == 1
    # The same equations with the same random numbers: the same training.
    assert rows["mine"]["loss"] == pytest.approx(rows["lstm"]["loss"], rel=1e-4)
    for row in rows.values():
        # H ± 1 would be further from the budget.
        config = LanguageModelConfig(cell=row["cell"])
        counts = [
            count_parameters(
                LanguageModel(
                    len(set(TEXT)) + 1,
                    LanguageModelConfig(
                        cell=config.cell, hidden_size=row["hidden_size"] + more
                    ),
                )
            )
            for more in (-1, 0, 1)
        ]
        assert counts[1] == row["parameters"]
        distances = [abs(count - BUDGET) for count in counts]
        assert min(distances) == distances[1]


def test_the_folder_has_pictures_and_a_report(compared, tmp_path):
    folder = tmp_path / "c"
    pictures = [
        f"{name}_{theme}.svg"
        for name in ("gradient_reach", "quality_speed")
        for theme in ("dark", "light")
    ]
    files = sorted(path.name for path in folder.iterdir())
    assert files == sorted(["compare.json", "report.html", *pictures])
    for picture in pictures:
        text = (folder / picture).read_text(encoding="utf-8")
        ElementTree.fromstring(text)
        for title in by_title(compared.last):
            assert title in text
    report = (folder / "report.html").read_text(encoding="utf-8")
    assert "Of 4 cells" in report
    assert "http" not in report.replace("http://www.w3.org", "")


def test_the_table_fits_a_terminal(command, text, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    outcome = command("compare-cells", text, *QUICK, "--out", "c")
    assert outcome.status == 0
    assert max(map(len, outcome.out.splitlines())) <= 80
    for word in ("params", "perplexity", "bits/", "tokens", "reach", "path"):
        assert f" {word}" in outcome.out
    rows = json.loads((text.parent / "c" / "compare.json").read_text())["cells"]
    assert {row["title"] for row in rows} == set(COMPARED) <= set(CELLS)


def test_the_same_training_as_train_lm(command, text):
    one = ("compare-cells", text, *QUICK, "--cells", "gru", "--out", "c", "--json")
    (row,) = command(*one).last["cells"]
    trained = command(
        *("train", "lm", text, "--cell", "gru", "--hidden-size", row["hidden_size"]),
        *("--epochs", "1", "--tau", "20", "--batch-size", "4", "--out", "r", "--json"),
    )
    assert trained.status == 0
    lines = (text.parent / "r" / "metrics.jsonl").read_text().splitlines()
    (valid,) = [m for m in map(json.loads, lines) if m["record"] == "validation"]
    assert row["loss"] == valid["loss"]


def test_what_diverges_is_shown_with_the_reason(command, text, tmp_path):
    options = ["--set", "learning_rate=1e30", "--set", "max_norm=none"]
    outcome = command(
        *("compare-cells", text, *QUICK, *options, "--cells", "elman,irnn"),
        *("--out", "c", "--json"),
    )
    assert outcome.status == 1
    assert "Traceback" not in outcome.out + outcome.err
    rows = by_title(outcome.last)
    assert {row["status"] for row in rows.values()} == {"failed"}
    assert "diverges again and again" in rows["irnn"]["reason"]
    assert "diverged" in rows["elman"]["reason"]
    assert "irnn failed: training diverges" in outcome.out
    report = (tmp_path / "c" / "report.html").read_text(encoding="utf-8")
    assert "No cell could be measured" in report


def test_one_failure_does_not_stop_the_rest(command, text, tmp_path, monkeypatch):
    def measure(plan, entry, console):
        if entry.name == "elman":
            raise TrainingError("no luck")
        return real(plan, entry, console)

    real = compare.measure
    monkeypatch.setattr(compare, "measure", measure)
    outcome = command(
        "compare-cells", text, *QUICK, "--cells", "elman,gru", "--out", "c", "--json"
    )
    assert outcome.status == 0
    assert [(r["title"], r["status"], r["reason"]) for r in outcome.last["cells"]] == [
        ("gru", "done", ""),
        ("elman", "failed", "no luck"),
    ]


def test_an_interrupt_keeps_what_is_done(command, text, tmp_path, monkeypatch):
    def measure(plan, entry, console):
        if entry.name == "gru":
            os.kill(os.getpid(), signal.SIGINT)
        return real(plan, entry, console)

    real = compare.measure
    monkeypatch.setattr(compare, "measure", measure)
    names = "elman,gru,lstm"
    # Where tests run in the background, the signal may be ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        outcome = command(
            "compare-cells", text, *QUICK, "--cells", names, "--out", "c", "--json"
        )
    finally:
        signal.signal(signal.SIGINT, before)
    assert outcome.status == 130
    assert outcome.last["interrupted"] is True
    assert {t: r["status"] for t, r in by_title(outcome.last).items()} == {
        "elman": "done",
        "gru": "stopped",
        "lstm": "not run",
    }
    assert (tmp_path / "c" / "quality_speed_light.svg").is_file()
    stored = json.loads((tmp_path / "c" / "compare.json").read_text())
    assert stored == outcome.last


def test_a_limit_on_time(command, text):
    outcome = command(
        *("compare-cells", text, "--parameters", BUDGET, "--minutes", "0.005"),
        *("--set", "tau=20", "--set", "batch_size=4", "--cells", "elman,gru"),
        *("--out", "c", "--json"),
    )
    assert outcome.status == 0, outcome.err
    for row in outcome.last["cells"]:
        # It ends with the first update after 0.3 s.
        assert row["seconds"] >= 0.3
    assert outcome.last["training"]["schedule"] == "constant"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--cells", "gru,lstn"], "unknown cell 'lstn': known are elman"),
        (["--cells", "gru,gone.py:x"], "gone.py does not exist"),
        (["--cells", ","], "--cells names no cell"),
        (["--cells", "gru", "--all"], "--all and --cells contradict"),
        (
            ["--parameters", "10"],
            "--parameters 10: a model of this text with the cell elman has at",
        ),
        (["--parameters", "-1"], "parameters must be greater than zero"),
        (["--minutes", "0"], "minutes should be a number"),
        (["--minutes", "1", "--epochs", "1"], "--minutes and epochs contradict"),
        (["--set", "hidden_size=8"], "hidden_size follows from --parameters"),
        (["--set", "peephole=true"], "unknown option in --set 'peephole'"),
        (["--out", "t.txt"], "t.txt exists; replace"),
        (["--out", "t.txt", "--overwrite"], "holds no comparison"),
        (["--out", "t.txt/c"], "cannot make t.txt/c"),
        (["--unit", "words"], "unknown unit 'words'"),
        (["--set", "tau=9999"], "shorter than one window"),
    ],
)
def test_bad_options(command, text, tmp_path, arguments, says):
    before = snapshot(tmp_path)
    refused(command("compare-cells", text, *arguments), 1, says)
    assert snapshot(tmp_path) == before


def test_two_cells_of_one_name_keep_their_files(command, text, tmp_path):
    for name in ("a.py", "b.py"):
        (tmp_path / name).write_text(SOURCE)
    names = "a.py:mine,b.py:mine,gru,gru"
    outcome = command(
        "compare-cells", text, *QUICK, "--cells", names, "--out", "c", "--json"
    )
    assert set(by_title(outcome.last)) == {"a.py:mine", "b.py:mine", "gru"}
    again = command(
        *("compare-cells", text, *QUICK, "--cells", "gru", "--out", "c"),
        *("--overwrite", "--json"),
    )
    assert [row["title"] for row in again.last["cells"]] == ["gru"]


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("options", [{}, {"tied": True}, {"num_layers": 2}])
@pytest.mark.parametrize("parameters", [3000, 200_000])
def test_the_hidden_size_comes_closest(cell, options, parameters):
    def count(size):
        config = LanguageModelConfig(cell=cell, hidden_size=size, **options)
        return count_parameters(LanguageModel(20, config))

    found = hidden_size_for(parameters, 20, LanguageModelConfig(cell=cell, **options))
    off = abs(count(found) - parameters)
    assert off <= abs(count(found + 1) - parameters)
    assert off <= abs(count(found - 1) - parameters)


def test_too_small_a_budget():
    # One unit, 9 classes: 9 + 9 + 9 of embedding, output and its bias, and 4 of Elman.
    config = LanguageModelConfig(cell="elman")
    assert hidden_size_for(31, 9, config) == 1
    with pytest.raises(InvalidValue, match="at least 31; give more"):
        hidden_size_for(30, 9, config)
