"""Depths of cells that can be counted by hand."""

import pytest
import torch

import throughtime as tt
from throughtime.cells import ACTIVATIONS, CELLS
from throughtime.errors import InvalidCell, InvalidType, InvalidValue
from throughtime.gradients import depth


def four(layer):
    """d_f and d_r in nonlinear transformations, then in matrix products."""
    found = depth(layer)
    return (
        found.feedforward,
        found.recurrent,
        found.feedforward_products,
        found.recurrent_products,
    )


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        (tt.cells.Elman(2, 3), (1, 1, 1, 1)),
        (tt.cells.Elman(2, 3, nonlinearity="identity"), (0, 0, 1, 1)),
        (tt.cells.Leaky(2, 3), (1, 1, 1, 1)),
        # A gate, then the tanh of c.
        (tt.cells.LSTM(2, 3), (2, 2, 1, 1)),
        (tt.cells.LSTM(2, 3, peephole=True), (2, 2, 1, 1)),
        (tt.cells.LSTM(2, 3, layer_norm=True), (2, 2, 1, 1)),
        (tt.cells.LSTM(2, 3, projection=2), (2, 2, 2, 2)),
        # r, then the candidate; the product with r ⊙ h is one more.
        (tt.cells.GRU(2, 3), (2, 2, 1, 1)),
        (tt.cells.GRU(2, 3, reset_after=False), (2, 2, 2, 2)),
        # What passes from step to step is linear in it.
        (tt.cells.MinGRU(2, 3), (1, 0, 1, 0)),
        (tt.cells.QRNN(2, 3), (1, 0, 1, 0)),
        # A weight per unit is no matrix.
        (tt.cells.IndRNN(2, 3), (1, 1, 1, 0)),
        # h_t is the output W_mh φ(...), which comes back through W_hh.
        (tt.cells.Jordan(2, 3, output_nonlinearity="identity"), (1, 1, 2, 2)),
    ],
    ids=repr,
)
def test_cells(cell, expected):
    assert four(cell) == expected


@pytest.mark.parametrize("levels", [1, 2, 5])
def test_recurrent_highway_network_is_as_deep_as_it_says(levels):
    assert four(tt.cells.RHN(2, 3, depth=levels)) == (levels,) * 4


@pytest.mark.parametrize("name", ACTIVATIONS[1:])
def test_an_activation_counts_one_however_it_is_written(name):
    assert four(tt.cells.Elman(2, 3, nonlinearity=name)) == (1, 1, 1, 1)


@pytest.mark.parametrize("name", CELLS)
def test_every_cell_has_a_depth(name):
    """At least one product leads to the output; the unrolled depth grows by d_r."""
    found = depth(CELLS[name](2, 4))
    assert found.feedforward_products >= 1
    assert found.feedforward >= found.recurrent
    assert found.unrolled(1) == found.feedforward
    assert found.unrolled(40) - found.unrolled(20) == 20 * found.recurrent
    products = found.unrolled_products(40) - found.unrolled_products(20)
    assert products == 20 * found.recurrent_products


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_stack(layers):
    assert four(tt.RNN(2, 3, layers)) == (layers, 1, layers, 1)
    assert four(tt.LSTM(2, 3, layers)) == (2 * layers, 2, layers, 1)
    found = depth(tt.RNN(2, 3, layers))
    assert [found.unrolled(T) for T in (1, 10, 100)] == [
        T + layers - 1 for T in (1, 10, 100)
    ]


def test_cells_of_different_depth():
    deep = tt.Recurrent([tt.cells.RHN(2, 3, depth=4), tt.cells.Elman(3, 3)])
    assert four(deep) == (5, 4, 5, 4)


def test_both_directions():
    """From x_1 to the end, up, and back to the first step: L times T."""
    found = depth(tt.RNN(2, 3, 3, bidirectional=True))
    assert (found.feedforward, found.recurrent) == (3, 1)
    assert found.unrolled(10) == found.unrolled_products(10) == 30


def test_residual_connection_does_not_shorten_the_longest_path():
    plain, residual = (
        tt.Recurrent(tt.cells.Elman(3, 3), 3, residual=r) for r in (False, True)
    )
    assert four(plain) == four(residual)
    linear = tt.cells.Elman(3, 3, nonlinearity="identity")
    assert depth(tt.Recurrent(linear, 2, residual=True)).unrolled(9) == 0


def test_gates_bring_together_and_functions_of_one_number_bend():
    @tt.cell(gates=1)
    def gated(a_x, a_h, state):
        z = a_x[0] + a_h[0]
        return {"h": z * torch.sigmoid(z)}

    @tt.cell(gates=2)
    def mixed(a_x, a_h, state):
        return {"h": (a_x[0] + a_h[0]) * (a_x[1] + a_h[1])}

    @tt.cell(gates=1)
    def squared(a_x, a_h, state):
        z = a_x[0] + a_h[0]
        return {"h": 3 * z * z - 1}

    assert four(gated(2, 3)) == (1, 1, 1, 1)
    assert four(mixed(2, 3)) == (0, 0, 1, 1)
    assert four(squared(2, 3)) == (1, 1, 1, 1)


def test_states_that_take_turns():
    """No state reaches itself in one step, yet the path grows by one per step."""

    @tt.cell(gates=1, state=("h", "c"))
    def turns(a_x, a_h, state):
        return {"h": torch.sin(state.c), "c": torch.tanh(a_x[0] + a_h[0])}

    found = depth(turns(2, 3))
    assert (found.feedforward, found.recurrent) == (0, 0)
    assert [found.unrolled(T) for T in (2, 4, 10)] == [2, 4, 10]


def test_bad_arguments():
    with pytest.raises(InvalidType, match="got: LSTM; load the weights"):
        depth(torch.nn.LSTM(2, 3))  # pyright: ignore[reportArgumentType]
    with pytest.raises(InvalidValue, match="steps must be greater than zero"):
        depth(tt.RNN(2, 3)).unrolled(0)

    @tt.cell(gates=1)
    def unreadable(a_x, a_h, state):
        return {"h": torch.atan(a_x[0] + a_h[0])}

    with pytest.raises(InvalidCell, match="depth of 'unreadable' is not known: atan"):
        depth(unreadable(2, 3))
