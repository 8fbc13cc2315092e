"""The door of the linear network; its formulas are checked in test_exactness."""

import pytest
import torch

from throughtime.errors import InvalidShape, InvalidType, InvalidValue
from throughtime.gradients import linear_network


def arguments(**changed):
    given = {
        "weight_hx": torch.ones(3, 2),
        "weight_hh": torch.ones(3, 3),
        "weight_qh": torch.ones(4, 3),
        "targets": torch.ones(5, 4),
    }
    return given | changed


def test_shapes():
    net = linear_network(torch.ones(5, 2), **arguments())
    assert net.hidden.shape == net.hidden_gradients.shape == (5, 3)
    assert net.outputs.shape == net.output_gradients.shape == (5, 4)
    assert net.per_lag["weight_hx"].shape == (5, 3, 2)
    assert net.weight_gradients["weight_qh"].shape == (4, 3)


def test_powers_of_a_number():
    """One unit, W_hh = 2: what enters at step 4 is 2^n at step 4 - n."""
    one, d_o = torch.ones(1, 1).double(), torch.zeros(4, 1).double()
    d_o[3] = 1
    net = linear_network(
        torch.ones(4, 1).double(),
        weight_hx=one,
        weight_hh=2 * one,
        weight_qh=one,
        output_gradients=d_o,
    )
    assert net.hidden_gradients[:, 0].tolist() == [8, 4, 2, 1]
    assert net.hidden_gradients_closed_form[:, 0].tolist() == [8, 4, 2, 1]
    assert net.per_lag["weight_hx"].flatten().tolist() == [1, 2, 4, 8]
    assert net.loss is None


@pytest.mark.parametrize(
    ("changed", "kind", "text"),
    [
        ({"targets": None}, InvalidValue, "got neither"),
        ({"output_gradients": torch.ones(5, 4)}, InvalidValue, "got both"),
        ({"weight_hh": torch.ones(3, 2)}, InvalidShape, r"weight_hh .* \(3, 3\)"),
        ({"weight_qh": torch.ones(3)}, InvalidShape, r"weight_qh .* \(any, 3\)"),
        ({"targets": torch.ones(4, 4)}, InvalidShape, r"targets .* \(5, 4\)"),
        ({"initial": torch.ones(1, 3)}, InvalidShape, r"initial .* \(3\)"),
        ({"weight_hx": torch.ones(3, 2).long()}, InvalidType, "torch.int64"),
        ({"weight_hx": [[1.0]]}, InvalidType, "got: list"),
    ],
)
def test_bad_arguments(changed, kind, text):
    with pytest.raises(kind, match=text):
        linear_network(torch.ones(5, 2), **arguments(**changed))


def test_no_steps():
    with pytest.raises(InvalidShape, match="at least one step"):
        linear_network(torch.ones(0, 2), **arguments(targets=torch.ones(0, 4)))
