"""Published literal results of Keras and Flax, worked out with our layers.

Keras: keras-team/keras, keras/src/layers/rnn, the tests of simple_rnn, lstm, gru and
bidirectional. All input weights are 0.01, recurrent weights 0.02, biases 0.03, inputs
0, 1, 2, ...; Keras prints float32, about 7 digits, and compares to 1e-5. Its GRU with
the reset after the product has two biases, with the reset before it one; its LSTM
starts the forget bias at 1. A masked step is skipped: the state stays.
Flax: google/flax, tests/linen/linen_recurrent_test.py.
"""

import pytest
import torch

import throughtime as tt
from throughtime.cells import build_cell


def layer(name, inputs, units, *, bias=0.03, forget=1.0, **options):
    """A float64 layer with Keras' constant weights."""
    kind = dict(options)
    stack = {k: kind.pop(k) for k in ("bidirectional",) if k in kind}
    result = tt.Recurrent(build_cell(name, inputs, units, kind).double(), **stack)
    with torch.no_grad():
        for key, parameter in result.named_parameters():
            if "bias" not in key:
                parameter.fill_(0.01 if "_ih_" in key else 0.02)
            elif "_ih_" in key:
                parameter.fill_(bias)
                if name == "lstm":
                    parameter[units : 2 * units] = forget
            else:
                two_biases = name == "gru" and kind.get("reset_after", True)
                parameter.fill_(bias if two_biases else 0.0)
    return result


def counting(batch, steps, features):
    """0, 1, 2, ... as (T, B, I)."""
    size = batch * steps * features
    x = torch.arange(size, dtype=torch.float64).view(batch, steps, features)
    return x.transpose(0, 1)


def close(got, want):
    want = torch.tensor(want, dtype=torch.float64)
    torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-5)


def last(name, x, units, *, state=None, **options):
    """h after the last step."""
    return layer(name, x.size(-1), units, **options)(x, state)[1][0].h


def equal_units(values, units):
    return [[value] * units for value in values]


@pytest.mark.parametrize(
    ("name", "shape", "units", "options", "want"),
    [
        ("elman", (2, 3, 4), 4, {}, [0.405432, 0.73605347]),
        ("lstm", (3, 6, 4), 3, {}, [0.6288687, 0.86899155, 0.9460773]),
        (
            "lstm",
            (3, 6, 4),
            3,
            {"forget": 0.03},
            [0.57019705, 0.8661914, 0.9459622],
        ),
        (
            "lstm",
            (3, 6, 4),
            3,
            {"bias": 0.0, "forget": 0.0},
            [0.54986924, 0.86226785, 0.9443936],
        ),
        ("gru", (3, 6, 4), 3, {}, [0.5217289, 0.6371659, 0.39384964]),
        (
            "gru",
            (3, 6, 4),
            3,
            {"reset_after": False},
            [0.51447755, 0.6426879, 0.40208298],
        ),
        ("gru", (3, 6, 4), 3, {"bias": 0.0}, [0.49988455, 0.64701194, 0.4103359]),
    ],
)
def test_keras_constant_weights(name, shape, units, options, want):
    close(last(name, counting(*shape), units, **options), equal_units(want, units))


@pytest.mark.parametrize(
    ("name", "shape", "units", "want"),
    [
        ("elman", (2, 3, 4), 4, [0.11144729, 0.5528889]),
        ("lstm", (3, 6, 4), 3, [0.35622165, 0.74789524, 0.8872726]),
        ("gru", (3, 6, 4), 3, [0.24406259, 0.611516, 0.3928808]),
    ],
)
def test_keras_backwards_is_our_reverse_direction(name, shape, units, want):
    both = layer(name, shape[-1], units, bidirectional=True)
    _, state = both(counting(*shape))
    close(state[1].h, equal_units(want, units))


@pytest.mark.parametrize(
    ("name", "want", "backwards"),
    [
        (
            "lstm",
            [[0.20574439, 0.3558822], [0.64930826, 0.66276]],
            [[0.13281618, 0.2790356], [0.5839337, 0.5992567]],
        ),
        (
            "gru",
            [[0.23774096, 0.33508456], [0.83659905, 1.0227708]],
            [[0.13486053, 0.23261218], [0.78257304, 0.9691353]],
        ),
    ],
)
def test_keras_given_initial_state(name, want, backwards):
    both = layer(name, 3, 2, bidirectional=True)
    start = torch.arange(4, dtype=torch.float64).view(2, 2)
    fields = len(both.cells[0].state_sizes)
    state = tuple((start,) * fields for _ in range(2))
    _, final = both(counting(2, 4, 3), state)
    close(final[0].h, want)
    close(final[1].h, backwards)


@pytest.mark.parametrize(
    ("name", "want"),
    [
        ("elman", [0.40559256, 0.7361247]),
        ("lstm", [0.3124785, 0.6863672]),
        ("gru", [0.29542392, 0.5885018]),
    ],
)
def test_keras_state_carried_from_call_to_call(name, want):
    x = counting(2, 3, 4)
    carried = layer(name, 4, 4)
    _, state = carried(x)
    close(carried(x, state)[1][0].h, equal_units(want, 4))


def test_keras_masks_at_the_end_are_lengths():
    x, masked = counting(2, 4, 3), layer("lstm", 3, 2)
    outputs, state = masked(x, lengths=[3, 2])
    close(state[0].h, equal_units([0.11755939, 0.28556206], 2))
    want = [
        [0.01588910, 0.05552048, 0.11755939, 0.0],
        [0.14185596, 0.28556206, 0.0, 0.0],
    ]
    for b, values in enumerate(want):
        close(outputs[:, b], equal_units(values, 2))


def test_keras_mask_at_the_beginning_read_backwards():
    """Backwards over the last 3 and 2 steps, the first ones masked."""
    both = layer("lstm", 3, 2, bidirectional=True)
    x = counting(2, 4, 3)
    for b, (kept, want) in enumerate(((3, 0.15341201), (2, 0.3844719))):
        _, state = both(x[4 - kept :, b : b + 1])
        close(state[1].h, [[want] * 2])


@pytest.mark.parametrize(
    ("name", "units", "want", "backwards"),
    [
        ("elman", 4, [0.32951632, 0.61799484], [0.07376196, 0.43645123]),
        ("gru", 2, [0.19393763, 0.30818558], [0.11669192, 0.28380975]),
    ],
)
def test_keras_masked_steps_in_the_middle_are_skipped(name, units, want, backwards):
    both = layer(name, 3, units, bidirectional=True)
    x = counting(2, 4, 3)
    for b, steps in enumerate(([0, 1, 3], [0, 3])):
        _, state = both(x[steps, b : b + 1])
        close(state[0].h, [[want[b]] * units])
        close(state[1].h, [[backwards[b]] * units])


def test_keras_bidirectional_concatenation_and_states():
    both = layer("elman", 4, 2, bidirectional=True)
    outputs, state = both(counting(2, 3, 4))
    want = [[0.39687276] * 2 + [0.10004295] * 2, [0.7237238] * 2 + [0.53391594] * 2]
    close(torch.cat([state[0].h, state[1].h], -1), want)
    close(torch.cat([outputs[-1, :, :2], outputs[0, :, 2:]], -1), want)
    lstm = layer("lstm", 3, 2, bidirectional=True)
    _, (forward, backward) = lstm(counting(2, 4, 3))
    close(forward.h, equal_units([0.1990008, 0.52335435], 2))
    close(forward.c, equal_units([0.35567185, 1.0492687], 2))
    close(backward.h, equal_units([0.12659755, 0.44717982], 2))
    close(backward.c, equal_units([0.2501858, 0.941473], 2))
    gru = layer("gru", 4, 2, bidirectional=True)
    outputs, _ = gru(counting(2, 3, 4))
    summed = [[0.20937867, 0.34462988, 0.40290534], [0.59829646, 0.6734641, 0.6479671]]
    for b, values in enumerate(summed):
        close(outputs[:, b, :2] + outputs[:, b, 2:], equal_units(values, 2))


def digits(bidirectional=True):
    """h_t = 10 h_{t-1} + x_t: the state spells the steps in the order they are read."""
    cell = tt.cells.Elman(1, 1, nonlinearity="identity", bias=False).double()
    speller = tt.Recurrent(cell, bidirectional=bidirectional)
    with torch.no_grad():
        for key, parameter in speller.named_parameters():
            parameter.fill_(10.0 if "_hh_" in key else 1.0)
    return speller


def test_flax_reverses_only_the_valid_part():
    """Rows 0..4 and 5..9 with lengths 4 and 2: read as 3 2 1 0 and 6 5."""
    x = torch.arange(10, dtype=torch.float64).view(2, 5).t().unsqueeze(-1)
    _, state = digits()(x, lengths=[4, 2])
    assert state[1].h.flatten().tolist() == [3210, 65]
    assert state[0].h.flatten().tolist() == [123, 56]


def test_flax_keeps_the_order_of_reversed_outputs():
    x = torch.arange(10, dtype=torch.float64).view(2, 5).t().unsqueeze(-1)
    outputs, _ = digits()(x, lengths=[4, 2])
    assert outputs[:, 0, 1].tolist() == [3210, 321, 32, 3, 0]
    assert outputs[:, 1, 1].tolist() == [65, 6, 0, 0, 0]


def test_flax_last_state_is_that_of_the_length_and_steps_equal_the_cell():
    recurrent = tt.Recurrent(tt.cells.LSTM(5, 6, dtype=torch.float64))
    x = torch.ones(4, 3, 5, dtype=torch.float64)
    lengths = [2, 4, 1]
    outputs, final = recurrent(x, lengths=lengths)
    cell, weights = recurrent.cells[0], recurrent.weights(0)
    state = cell.initial_state(3, like=x)
    states = []
    for t in range(4):
        state = cell.step(x[t], state, weights)
        states.append(state)
        for b, length in enumerate(lengths):
            want = state.h[b] if t < length else torch.zeros(6, dtype=torch.float64)
            torch.testing.assert_close(outputs[t, b], want, rtol=0, atol=1e-14)
    for b, length in enumerate(lengths):
        for got, want in zip(final[0], states[length - 1], strict=True):
            torch.testing.assert_close(got[b], want[b], rtol=0, atol=1e-14)
