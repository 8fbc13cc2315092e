"""What ``train classify`` has of its own: explanations, folds, baselines, numbers."""

import json
import math

import pytest

from tests.cli.test_bad_input import refused, snapshot
from throughtime.cli.classify_ways import make_folds
from throughtime.errors import DataError
from throughtime.tasks.task import RawExample

GOOD = ["sweet", "funny", "moving"]
BAD = ["dull", "empty", "flat"]
SMALL = ["--hidden-size", "8", "--epochs", "2", "--batch-size", "4"]


@pytest.fixture
def reviews(tmp_path):
    rows = ["text,label,critic"]
    for i in range(48):
        words, label = (GOOD, "good") if i % 2 else (BAD, "bad")
        rows.append(
            f"a {words[i % 3]} and {words[(i + 1) % 3]} film,{label},c{i // 2 % 4}"
        )
    path = tmp_path / "reviews.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


@pytest.fixture
def run(command, reviews, tmp_path):
    outcome = command("train", "classify", reviews, *SMALL, "--out", "run")
    assert outcome.status == 0, outcome.err
    return tmp_path / "run"


def test_explain_prints_the_whole_sum(command, run):
    outcome = command("explain", run, "a sweet film indeed", "--json")
    assert outcome.status == 0, outcome.err
    sum_ = outcome.last["naive_bayes"]
    for index, joint in enumerate(sum_["log_joints"]):
        words = [t["count"] * t["log_likelihoods"][index] for t in sum_["terms"]]
        assert math.isclose(joint, sum_["log_priors"][index] + sum(words))
    total = sum(map(math.exp, sum_["log_joints"]))
    for joint, posterior in zip(sum_["log_joints"], sum_["posteriors"], strict=True):
        assert math.isclose(posterior, math.exp(joint) / total)
    assert sum_["label"] == "good"
    assert sum_["unknown"] == ["indeed"]
    assert [entry["word"] for entry in outcome.last["words"]] == [
        *("a", "sweet", "film", "indeed")
    ]
    # What a word loses is the difference of two answers of the model.
    whole = json.loads(command("predict", run, "a sweet film indeed", "--json").out)
    less = json.loads(command("predict", run, "a film indeed", "--json").out)
    label = whole["label"]
    loses = math.log(whole["probabilities"][label] / less["probabilities"][label])
    assert math.isclose(outcome.last["words"][1]["loses"], loses, abs_tol=1e-5)


def test_folds_hold_out_everything_once(command, reviews, tmp_path):
    before = snapshot(tmp_path)
    outcome = command(
        *("train", "classify", reviews, "--folds", "3", "--baselines-only", "--json")
    )
    assert outcome.status == 0, outcome.err
    assert snapshot(tmp_path) == before  # no run is made
    mean = outcome.last["mean"]["naive Bayes"]
    parts = [fold["naive Bayes"]["accuracy"] for fold in outcome.last["folds"].values()]
    assert len(parts) == 3
    assert math.isclose(mean["accuracy"], sum(parts) / 3)


def test_groups_are_held_out_one_at_a_time(command, reviews):
    outcome = command(
        *("train", "classify", reviews, *SMALL, "--group", "critic"),
        *("--folds", "group", "--json"),
    )
    assert outcome.status == 0, outcome.err
    assert list(outcome.last["folds"]) == ["c0", "c1", "c2", "c3"]
    assert "this model" in outcome.last["mean"]


def test_baselines_alone_make_no_run(command, reviews, tmp_path):
    before = snapshot(tmp_path)
    outcome = command("train", "classify", reviews, "--baselines-only", "--json")
    assert outcome.status == 0, outcome.err
    assert "this model" not in outcome.last["held_out"]
    assert outcome.last["held_out"]["naive Bayes"]["accuracy"] == 1.0
    assert snapshot(tmp_path) == before


def test_numbers(command, tmp_path):
    lines = [f"{'up ' * (i % 5)}go,{i % 5}" for i in range(60)]
    (tmp_path / "n.csv").write_text("text,label\n" + "\n".join(lines) + "\n")
    outcome = command(
        *("train", "classify", "n.csv", "--target", "number", "--epochs", "25"),
        *("--hidden-size", "8", "--set", "learning_rate=0.02", "--dropout", "0"),
        *("--batch-size", "8", "--out", "run", "--json"),
    )
    assert outcome.status == 0, outcome.err
    figures = outcome.last["held_out"]
    assert figures["this model"]["RMSE"] < 0.5 * figures["mean"]["RMSE"]
    answer = json.loads(command("predict", "run", "up up go", "--json").out)
    assert isinstance(answer["number"], float)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--folds", "1"], "folds must be a number of at least 2, or group"),
        (["--folds", "many"], "folds must be a number of at least 2, or group"),
        (["--folds", "group"], "no group"),
        (["--folds", "100"], "48 examples are too few for 100 folds"),
        (["--folds", "3", "--test", "reviews.csv"], "--valid and --test have no part"),
        (["--target", "number"], "expected a number to learn, got 'bad'"),
        (["--target", "rank"], "unknown target 'rank'"),
        (["--set", "pooling=first"], "unknown pooling 'first'"),
    ],
)
def test_refusals(command, reviews, tmp_path, arguments, says):
    before = snapshot(tmp_path)
    refused(command("train", "classify", reviews, *arguments), 1, says)
    assert snapshot(tmp_path) == before


def test_folds_are_as_even_as_it_goes():
    raw = [RawExample(i, None, str(i)) for i in range(11)]
    folds = make_folds(raw, "3", seed=1)
    assert sorted(len(fold) for fold in folds.values()) == [3, 4, 4]
    found = [example.input for fold in folds.values() for example in fold]
    assert sorted(found) == list(range(11))
    alone = [RawExample(0, None, "a:1", group="x")] * 2
    with pytest.raises(DataError, match="all 2 examples are of one group"):
        make_folds(alone, "group", seed=0)
