"""Bad arguments: which one, what was expected, what came."""

import pytest
import torch

import throughtime as tt
from throughtime.cells import CELLS, build_cell
from throughtime.errors import InvalidShape, InvalidType, InvalidValue


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize(
    ("sizes", "error", "says"),
    [
        ((3, 0), InvalidValue, "hidden_size must be greater than zero, got 0"),
        ((3, -1), InvalidValue, "hidden_size must be greater than zero, got -1"),
        ((0, 3), InvalidValue, "input_size must be greater than zero"),
        ((3, 2.0), InvalidType, "hidden_size should be of type int, got: float"),
        (("3", 2), InvalidType, "input_size should be of type int, got: str"),
        ((True, 2), InvalidType, "input_size should be of type int, got: bool"),
    ],
)
def test_sizes(name, sizes, error, says):
    with pytest.raises(error, match=says):
        build_cell(name, *sizes)


@pytest.mark.parametrize(
    ("cell", "options", "error", "says"),
    [
        ("lstm", {"projection": 4}, InvalidValue, "projection has to be smaller than"),
        ("lstm", {"projection": -1}, InvalidValue, "projection should be a positive"),
        ("lstm", {"projection": 1.5}, InvalidType, "projection should be of type int"),
        ("lstm", {"peephole": 1}, InvalidType, "peephole should be of type bool"),
        ("lstm", {"forget_bias": "x"}, InvalidType, "forget_bias should be a number"),
        (
            "lstm",
            {"forget_bias": 1.0, "bias": False},
            InvalidValue,
            "needs a bias to start from; use bias=True",
        ),
        ("gru", {"reset_after": None}, InvalidType, "reset_after should be of type"),
        ("leaky", {"leak_rate": 0}, InvalidValue, r"range \(0, 1\], got 0"),
        ("elman", {"bias": 1}, InvalidType, "bias should be of type bool, got: int"),
        ("elman", {"recurrent_init": "ones"}, InvalidValue, "'ones': known are"),
        ("irnn", {"input_std": -1}, InvalidValue, "input_std should be a number"),
        ("gru", {"peephole": True}, InvalidValue, "option of cell 'gru' 'peephole'"),
        ("rhn", {"depth": 0}, InvalidValue, "depth must be greater than zero, got 0"),
        ("janet", {"longest": 0.5}, InvalidValue, "longest should be a number in"),
        ("slstm", {"heads": 3}, InvalidValue, "heads must divide hidden_size = 4, got"),
        (
            "clockwork",
            {"periods": (1, 0)},
            InvalidValue,
            r"positive integers.*\(1, 0\)",
        ),
        ("clockwork", {"periods": range(1, 6)}, InvalidValue, "1 to hidden_size = 4"),
        ("indrnn", {"nonlinearity": "swish"}, InvalidValue, "unknown nonlinearity"),
        ("mgu", {"peephole": True}, InvalidValue, "option of cell 'mgu' 'peephole'"),
        ("vanilla", {}, InvalidValue, "unknown cell 'vanilla': known are elman, irnn"),
    ],
)
def test_options(cell, options, error, says):
    with pytest.raises(error, match=says):
        build_cell(cell, 3, 4, options)


def test_step_with_other_features():
    with pytest.raises(
        InvalidShape, match=r"input_size = 3 features, got shape \(2, 4"
    ):
        tt.cells.Elman(3, 4).step(torch.zeros(2, 4))
