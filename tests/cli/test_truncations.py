"""Truncations by name from the command line, and the table of their cost."""

import json

import pytest

from throughtime.training import RunFolder


@pytest.mark.parametrize("truncation", ["full", "sliding", "random", "adaptive"])
def test_every_truncation_trains(command, text, truncation, tmp_path):
    outcome = command(
        "train", "lm", text, "--hidden-size", 4, "--batch-size", 4, "--epochs", 1,
        "--truncation", truncation, "--tau", 6, "--out", "it",
    )  # fmt: skip
    assert outcome.status == 0, outcome.err
    run = RunFolder.open(tmp_path / "it")
    assert run.config["training"]["truncation"] == truncation
    reaches = [r for r in run.metrics() if r.get("kind") == "reach"]
    assert bool(reaches) == (truncation == "adaptive")
    if reaches:
        found = [r["value"] for r in reaches]
        assert f"reach {min(found)}" in outcome.out
        assert f"{max(found)} steps" in outcome.out


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--truncation", "windows"], "known are full, chunked, sliding, random, ada"),
        (["--tau", "0"], "tau must be greater than zero, got 0"),
        (["--tau", "4", "--stride", "5"], "stride must not exceed tau = 4"),
        (["--truncation", "random", "--set", "probability=0"], "in (0, 1], got 0"),
        (
            ["--truncation", "random", "--set", "probability=1.5"],
            "(0, 1], got 1.5",
        ),
        (["--truncation", "adaptive", "--set", "epsilon=0"], "in range (0, 1], got 0"),
    ],
)
def test_what_does_not_fit_is_said_in_one_sentence(
    command, text, options, says, tmp_path
):
    outcome = command("train", "lm", text, *options, "--out", "it")
    assert outcome.status != 0
    assert says in outcome.err
    assert outcome.err.count("\n") == 1
    assert not (tmp_path / "it").exists()


def test_table(command, run):
    outcome = command(
        "truncations", run, "--steps", 12, "--batch-size", 2, "--tau", 4,
        "--draws", 20, "--json",
    )  # fmt: skip
    assert outcome.status == 0, outcome.err
    found = json.loads(outcome.out.splitlines()[-1])
    rows = found["estimates"]
    assert rows["full"]["bias"] == 0
    assert 0 < rows["sliding, tau 4"]["bias"] < rows["chunked, tau 4"]["bias"]
    random = rows["random, geometric, tau 4"]
    assert random["bias"] < 4 * random["error"]
    assert random["spread"] > 0
    assert found["reach"]["lags"][-1] == 12
    for name in rows:
        assert name in outcome.out


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--tau", 1], "must be above 1, got 1"),
        (["--steps", 10**6], "fewer than 1000000; use smaller --steps"),
        (["--draws", 0], "draws must be greater than zero"),
    ],
)
def test_table_that_cannot_be_made(command, run, options, says):
    outcome = command("truncations", run, "--steps", 12, "--batch-size", 2, *options)
    assert outcome.status != 0
    assert says in outcome.err


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--memory", "1kB"], "memory must be at least"),
        (["--memory", "much"], "memory should be a size such as '200MB'"),
        (["--memory", "1MB", "--truncation", "sliding"], "memory needs truncation"),
        (["--optimizer", "hessian-free", "--set", "dropout=0.1"], "is deterministic"),
        (
            ["--set", "omega=1", "--set", "recurrent_dropout=0.1"],
            "use recurrent_dropout",
        ),
        (["--set", "clip_percentile=101"], "percentile should be a number in range"),
    ],
)
def test_methods_that_do_not_fit_leave_an_old_run_alone(
    command, text, run, options, says
):
    before = {p.name: p.read_bytes() for p in run.iterdir()}
    outcome = command("train", "lm", text, *options, "--out", run, "--overwrite")
    assert outcome.status != 0
    assert says in outcome.err
    assert outcome.err.count("\n") == 1
    assert {p.name: p.read_bytes() for p in run.iterdir()} == before


@pytest.mark.parametrize(
    "options",
    [
        ["--memory", "1MB", "--truncation", "full"],
        ["--optimizer", "hessian-free", "--set", "curvature_share=0.5"],
        ["--optimizer", "nt-asgd", "--learning-rate", "1"],
        ["--set", "omega=0.1", "--set", "clip_percentile=50"],
    ],
)
def test_every_way_to_train_ends_with_a_report(command, text, options, tmp_path):
    outcome = command(
        "train", "lm", text, "--cell", "elman", "--hidden-size", 4, "--batch-size", 4,
        "--epochs", 1, "--tau", 6, *options, "--out", "it",
    )  # fmt: skip
    assert outcome.status == 0, outcome.err
    assert (tmp_path / "it" / "report.html").is_file()
