"""Optimisers by name, and their states down to the type of every number."""

import pytest
import torch

from tests.training.small import config, data, make, total_weight
from throughtime.errors import InvalidType, InvalidValue
from throughtime.training import RunFolder, build_optimizer, train
from throughtime.training.optimizers import OPTIMIZERS


def parameter():
    return torch.nn.Parameter(torch.ones(2, 2))


@pytest.mark.parametrize("name", ["sgd", "SGD", "AdamW", "rmsprop", "nadam", "ASGD"])
def test_any_case(name):
    optimizer = build_optimizer(name, [parameter()], 0.1)
    assert type(optimizer).__name__.lower() == name.lower()
    assert optimizer.param_groups[0]["lr"] == 0.1


def test_options_are_passed_on():
    p, q = parameter(), parameter()
    ours = build_optimizer("sgd", [p], 0.1, {"momentum": 0.9, "nesterov": True})
    theirs = torch.optim.SGD([q], lr=0.1, momentum=0.9, nesterov=True)
    for _ in range(3):
        p.grad, q.grad = p.detach().clone(), q.detach().clone()
        ours.step()
        theirs.step()
    assert torch.equal(p, q)


def test_unknown_names_list_the_known_ones():
    with pytest.raises(
        InvalidValue, match="unknown optimizer 'adm': known are .*adam,"
    ):
        build_optimizer("adm", [parameter()], 0.1)
    with pytest.raises(
        InvalidValue, match="option of optimizer 'sgd' 'beta': known .*"
    ):
        build_optimizer("sgd", [parameter()], 0.1, {"beta": 1})
    with pytest.raises(InvalidValue, match="'lr': known are momentum, "):
        build_optimizer("sgd", [parameter()], 0.1, {"lr": 1})


@pytest.mark.parametrize(
    ("name", "why"),
    [("LBFGS", "a closure"), ("SparseAdam", "sparse"), ("muon", "matrices only")],
)
def test_those_that_a_plain_loop_cannot_serve_say_why(name, why):
    with pytest.raises(InvalidValue, match=f"torch's {name} is left out: it .*{why}"):
        build_optimizer(name, [parameter()], 0.1)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("adam", {"eps": -1}),
        ("adam", {"betas": [0.9]}),
        ("adam", {"betas": 0.9}),
        ("sgd", {"weight_decay": "much"}),
        ("sgd", {"foreach": True, "fused": True}),
    ],
)
def test_values_that_torch_refuses(name, options):
    with pytest.raises(InvalidValue, match=f"optimizer '{name}' refuses its options: "):
        build_optimizer(name, [parameter()], 0.1, options)


def test_options_are_a_dict():
    with pytest.raises(InvalidType, match="should be a dict of name and value, got: i"):
        build_optimizer("sgd", [parameter()], 0.1, 3)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_every_optimizer_goes_on_with_the_same_bits(tmp_path, name, dtype):
    """Truth: the training that was not interrupted."""
    settings = config(optimizer=name, learning_rate=0.01, checkpoint_every=3)
    options = {"validate": total_weight}  # which one of them follows
    dropout = 0.0 if name == "hessian-free" else 0.3
    whole = make(dropout).to(dtype)
    list(train(whole, data(), settings, **options))

    model = make(dropout).to(dtype)
    run = RunFolder.create(tmp_path / "r", {}, model)
    first = train(model, data(), settings, run=run, **options)
    for _ in range(11):
        next(first)
    first.close()
    again = make(dropout).to(dtype)
    list(train(again, data(), settings, run=run, resume=True, **options))
    for a, b in zip(again.parameters(), whole.parameters(), strict=True):
        assert torch.equal(a, b)
