"""What the walk-through reports beside gradients, which test_exactness checks."""

import pytest
import torch

from throughtime.errors import InvalidShape, InvalidType, InvalidValue
from throughtime.gradients import scalar_network

WEIGHTS = {"input_weight": 1.0, "recurrent_weight": 0.5, "output_weight": 2.0}


def linear(steps=8, **options):
    """h_t = x_t + h_{t-1} / 2, y_t = 2 h_t: the multiplier of lag i is 2 / 2^{i-1}."""
    given = WEIGHTS | {"activation": "identity"} | options
    return scalar_network([1.0] * steps, **given)


def test_multipliers_are_powers():
    assert linear(5).multipliers().tolist() == [2, 1, 0.5, 0.25, 0.125]
    assert linear(5).multipliers(2).tolist() == [2, 1]


def test_horizon():
    """2^-(i-1) < 0.01 from i = 8 on, as 2^-7 = 0.0078."""
    assert linear(10).horizon() == 8
    assert linear(7).horizon() is None
    assert linear(10).horizon(7) is None
    assert linear(10).horizon(threshold=0.3) == 3
    assert linear(10, recurrent_weight=1.0).horizon() is None
    assert linear(10, recurrent_weight=0.0).horizon() == 2


def test_share_of_short_lags():
    """h_0 = 4, x = 0: h_{t-i} = 4 (1/2)^{t-i}, so that all t terms are equal."""
    net = scalar_network([0.0] * 8, **WEIGHTS, activation="identity", initial=4.0)
    sizes = {round(entry.term, 12) for entry in net.terms()}
    assert len(sizes) == 1
    assert abs(net.short_share(2) - 2 / 8) < 1e-12
    assert abs(net.short_share(2, 4) - 2 / 4) < 1e-12
    assert net.short_share(100) == 1
    still = scalar_network([0.0] * 3, **WEIGHTS)
    assert still.short_share(1) == 1


def test_default_is_the_last_output():
    net = linear(3)
    assert net.output_gradients.tolist() == [0, 0, 1]
    found = net.gradients["recurrent_weight"]
    assert abs(found - float(net.output_sensitivities[-1])) < 1e-12


def test_text_has_every_number():
    net = linear(3, targets=[0.0, 0.0, 1.0])
    text = str(net)
    for values in (net.hidden, net.outputs, net.hidden_gradients):
        for value in values.tolist():
            assert f"{value:.5g}" in text
    assert text.count("by the recursion forward") == 2
    for entry in net.terms():
        assert f"{entry.term:.5g}" in net.table()
    assert net.table() in text
    assert net.table(2).splitlines()[0].split() == [
        *("lag", "i", "multiplier", "m_i", "h_{2-i}", "m_i", "h")
    ]


@pytest.mark.parametrize(
    ("options", "kind", "text"),
    [
        ({"activation": "tan"}, InvalidValue, "unknown nonlinearity 'tan'"),
        ({"input_weight": "1"}, InvalidType, "input_weight should be a number"),
        ({"initial": float("nan")}, InvalidValue, "initial"),
        ({"targets": [1.0]}, InvalidShape, "targets .* 3 steps like x"),
        ({"targets": ["a"] * 3}, InvalidType, "targets should be a sequence"),
        (
            {"targets": [0.0] * 3, "output_gradients": [0.0] * 3},
            InvalidValue,
            "got both",
        ),
        ({"targets": [0.0, 0.0, float("inf")]}, InvalidValue, "NaN or infinite"),
    ],
)
def test_bad_arguments(options, kind, text):
    with pytest.raises(kind, match=text):
        linear(3, **options)


def test_bad_steps():
    net = linear(3)
    for call in (net.multipliers, net.terms, net.table, net.horizon):
        with pytest.raises(InvalidValue, match=r"1\.\.3, got 4"):
            call(4)
    with pytest.raises(InvalidValue, match="lag must be greater than zero"):
        net.short_share(0)
    with pytest.raises(InvalidShape, match="at least one step"):
        scalar_network(torch.ones(0), **WEIGHTS)
