"""Every option is checked when it is given, and survives the file."""

import json
import math
from dataclasses import FrozenInstanceError, fields

import pytest
import torch

from throughtime.errors import InvalidType, InvalidValue
from throughtime.training import (
    BPTT,
    AdaptiveBPTT,
    RandomTruncatedBPTT,
    SlidingBPTT,
    TrainingConfig,
    TruncatedBPTT,
)


def test_survives_json():
    config = TrainingConfig(
        tau=7,
        stride=3,
        max_norm=None,
        optimizer="SGD",
        optimizer_options={"momentum": 0},
    )
    assert TrainingConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_is_frozen():
    with pytest.raises(FrozenInstanceError):
        TrainingConfig().epochs = 3  # pyright: ignore[reportAttributeAccessIssue]


def test_method():
    assert TrainingConfig(tau=None).method() == BPTT()
    assert TrainingConfig(tau=9, stride=4).method() == TruncatedBPTT(9, 4)


def test_unknown_entry_lists_the_known_ones():
    known = ", ".join(entry.name for entry in fields(TrainingConfig))
    with pytest.raises(InvalidValue, match=f"'lr': known are {known}"):
        TrainingConfig.from_dict({"lr": 1})


# What a command line may hand over by mistake, for each kind of option.
WRONG_TYPE = {
    "tau": ["35", 3.5, True, [1]],
    "stride": ["35", 3.5, True],
    "measure_every": [1.5, "200", None],
    "batch_size": ["32", 1.0, None, True],
    "epochs": ["many", 2.5, None],
    "max_norm": ["1", True, [1.0]],
    "max_value": ["1", True],
    "per_tensor": [1, "yes", None],
    "clip_percentile": ["10", True, [10]],
    "omega": ["1", True, None],
    "memory": [1.5, True, [1]],
    "learning_rate": ["0.1", True],
    "curvature_share": ["0.5", None],
    "optimizer_options": [3, "momentum", [0.9]],
    "decay": ["half", None],
    "decay_after": [1.5, "1"],
    "patience": [1.5, "1", None],
    "early_stopping": [2.5, "2", True],
    "time_budget": ["60", True],
    "accumulate": [1.5, None],
    "checkpoint_every": [1.5, "200"],
    "log_every": [None, 0.1],
    "seed": [1.5, "0", None, True],
}
WRONG_VALUE = {
    "truncation": ["windowed", "Full", "none", 1],
    "probability": [0.5],  # of random only; see below
    "lengths": ["powr", None, 3],
    "epsilon": [0, 1.5, math.nan],
    "measure_every": [0],
    "tau": [0, -1],
    "stride": [0, 99],
    "batch_size": [0],
    "epochs": [0, -3],
    "max_norm": [0, -1.0, math.nan, math.inf],
    "max_value": [0, -1.0, math.nan],
    "clip_percentile": [-1, 101, math.nan],
    "omega": [-1.0, math.inf],
    "memory": ["much", "3 XB", 0],
    "loss_reduction": ["none", "Sum", None, 1],
    "optimizer": ["adamx", "lbfgs", None, 1, ["sgd"]],
    "curvature_share": [0, 1.5, math.nan],
    "learning_rate": [0, -1e-3, math.nan, math.inf],
    "optimizer_options": [{"eps": -1}, {"momentum": 1}, {"lr": 1}],
    "schedule": ["cosine", "Plateau", None],
    "decay": [0, 1.5, math.nan],
    "decay_after": [0],
    "patience": [-1],
    "early_stopping": [0],
    "time_budget": [0, -1, math.nan],
    "accumulate": [0],
    "checkpoint_every": [0],
    "log_every": [0],
    "seed": [-1, 2**70],
}
CASES = [
    (error, name, value)
    for error, table in ((InvalidType, WRONG_TYPE), (InvalidValue, WRONG_VALUE))
    for name, values in table.items()
    for value in values
]


@pytest.mark.parametrize(("error", "name", "value"), CASES)
def test_wrong_entries(error, name, value):
    with pytest.raises(error):
        TrainingConfig(**{name: value})


def test_every_option_is_among_the_cases():
    assert {entry.name for entry in fields(TrainingConfig)} == {
        *WRONG_TYPE,
        *WRONG_VALUE,
    }


METHODS = [
    ({"truncation": "full"}, BPTT()),
    ({"truncation": "full", "tau": None}, BPTT()),
    ({"truncation": "chunked", "tau": 9}, TruncatedBPTT(9)),
    ({"truncation": "sliding", "tau": 9, "stride": 4}, SlidingBPTT(9, 4)),
    (
        {"truncation": "random", "tau": 9, "seed": 5, "lengths": "power"},
        RandomTruncatedBPTT(9, lengths="power", seed=5),
    ),
    (
        {"truncation": "random", "probability": 0.9},
        RandomTruncatedBPTT(probability=0.9),
    ),
    ({"truncation": "adaptive", "tau": 9}, TruncatedBPTT(9)),
]


@pytest.mark.parametrize(("options", "method"), METHODS)
def test_every_truncation_has_its_method(options, method):
    assert TrainingConfig(**options).method() == method


def test_usual_learning_rate_is_the_optimisers():
    assert TrainingConfig().first_rate == 0.002
    assert TrainingConfig(optimizer="hessian-free").first_rate == 1.0
    assert TrainingConfig(optimizer="hessian-free", learning_rate=0.5).first_rate == 0.5


@pytest.mark.parametrize(
    "options",
    [
        {"truncation": "sliding"},
        {"truncation": "random"},
        {"accumulate": 2},
        {"memory": "1MB"},
        {"omega": 0.5},
    ],
)
def test_hessian_free_says_what_it_cannot(options):
    name = next(iter(options))
    with pytest.raises(InvalidValue, match=f"cannot be used with {name}="):
        TrainingConfig(optimizer="hessian-free", **options)


def test_adaptive_takes_what_was_measured():
    config = TrainingConfig(truncation="adaptive", tau=90, epsilon=0.1, measure_every=7)
    assert config.method(12) == TruncatedBPTT(12)
    assert config.adaptive() == AdaptiveBPTT(0.1, 90, 7)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"truncation": "random", "stride": 2}, "stride needs tau, and truncation"),
        ({"truncation": "full", "stride": 2}, "full BPTT has one window only"),
        ({"truncation": "random", "probability": 0.0}, r"in \(0, 1\], got 0"),
        ({"truncation": "random", "probability": 2}, "probability should be a number"),
        ({"probability": 0.5}, "is an option of truncation='random', got 'chunked'"),
        ({"truncation": "sliding", "tau": None}, "truncation 'sliding' needs tau"),
        ({"truncation": "adaptive", "tau": None}, "truncation 'adaptive' needs tau"),
        ({"truncation": "random", "tau": 1}, "must be above 1, got 1"),
        ({"omega": 1.0, "stride": 5}, "windows that do not overlap"),
        ({"omega": 1.0, "truncation": "sliding"}, "windows that do not overlap"),
        ({"clip_percentile": 10, "per_tensor": True}, "one of joint norms"),
        ({"memory": "1MB", "truncation": "sliding"}, "memory needs truncation 'full'"),
        ({"memory": "1MB", "omega": 1.0}, "and no omega"),
        ({"truncation": "windows"}, "known are full, chunked, sliding, random, adapt"),
    ],
)
def test_truncations_that_do_not_fit(options, says):
    with pytest.raises(InvalidValue, match=says):
        TrainingConfig(**options)


def test_stride_without_tau():
    with pytest.raises(InvalidValue, match="stride needs tau"):
        TrainingConfig(tau=None, stride=3)


def test_largest_seed_is_one_that_torch_takes():
    torch.manual_seed(TrainingConfig(seed=2**63 - 1).seed)
