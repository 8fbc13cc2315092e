"""What the papers promise of their cells, and the start that they give them."""

import numpy as np
import pytest
import torch
from scipy.special import expit
from torch.nn import functional as F

import throughtime as tt
from throughtime.cells import PerUnit

DOUBLE = torch.float64
INPUT, HIDDEN, BATCH, STEPS = 3, 4, 2, 12


def inputs(steps=STEPS, batch=BATCH):
    torch.manual_seed(1)
    return torch.randn(steps, batch, INPUT, dtype=DOUBLE)


def outputs_of(cell, x):
    return tt.Recurrent(cell, backend="loop")(x)[0]


def test_options_of_the_lstm_under_their_own_names():
    for kind, option in (
        (tt.cells.PeepholeLSTM, "peephole"),
        (tt.cells.LayerNormLSTM, "layer_norm"),
    ):
        torch.manual_seed(0)
        own = kind(INPUT, HIDDEN, forget_bias=1.0, dtype=DOUBLE)
        torch.manual_seed(0)
        lstm = tt.cells.LSTM(
            INPUT, HIDDEN, forget_bias=1.0, dtype=DOUBLE, **{option: True}
        )
        a, b = own.step(inputs()[0]), lstm.step(inputs()[0])
        assert torch.equal(a.h, b.h)
        assert own.like(7).options == own.options
        assert repr(own) == f"{kind.__name__}(3, 4, forget_bias=1.0)"


def test_clockwork_runs_where_t_mod_period_is_zero():
    periods = (1, 2, 3, 5)
    cell = tt.cells.Clockwork(INPUT, 4, periods=periods, dtype=DOUBLE)
    h = outputs_of(cell, inputs(20, 1))[:, 0].detach()
    for unit, period in enumerate(periods):
        moved = [t for t in range(1, 20) if h[t, unit] != h[t - 1, unit]]
        assert moved == [t for t in range(1, 20) if t % period == 0]


def test_clockwork_starts_anew_at_a_reset():
    layer = tt.Recurrent(tt.cells.Clockwork(INPUT, 4, periods=(1, 4), dtype=DOUBLE))
    x, reset = inputs(6, 1), torch.zeros(6, 1, dtype=torch.bool)
    reset[3] = True
    got, _ = layer(x, reset=reset)
    torch.testing.assert_close(got[3:], layer(x[3:])[0], rtol=0, atol=1e-15)


def test_fast_groups_of_the_clock_do_not_reach_slow_ones():
    cell = tt.cells.Clockwork(INPUT, 4, periods=(1, 2), dtype=DOUBLE)
    weight = cell.prepare(cell.weights())["weight_hh"]
    assert not weight[2:, :2].any()
    assert weight[:2].all()


def test_qrnn_is_a_convolution_and_a_pooling():
    """Bradbury et al., eq. 1-4: conv1d over time, padded by one zero input."""
    cell = tt.cells.QRNN(INPUT, HIDDEN, dtype=DOUBLE)
    w, x = cell.weights(), inputs()
    now, before = w["weight_ih"].chunk(2)
    kernel = torch.stack([before, now], -1)
    padded = F.pad(x.permute(1, 2, 0), (1, 0))
    z, f, o = F.conv1d(padded, kernel, w["gate_bias"].view(-1)).chunk(3, 1)
    z, f, o = torch.tanh(z), torch.sigmoid(f), torch.sigmoid(o)
    c, want = torch.zeros(BATCH, HIDDEN, dtype=DOUBLE), []
    for t in range(STEPS):
        c = f[..., t] * c + (1 - f[..., t]) * z[..., t]
        want.append(o[..., t] * c)
    torch.testing.assert_close(
        outputs_of(cell, x), torch.stack(want), rtol=0, atol=1e-14
    )


def test_min_gru_is_a_weighted_sum_of_its_inputs():
    """h_T = Σ_t z_t n_t Π_{s>t} (1 - z_s), the form of its parallel scan."""
    cell = tt.cells.MinGRU(INPUT, HIDDEN, dtype=DOUBLE)
    x = inputs()
    z, n = cell.input_part(x, cell.weights()).chunk(2, -1)
    z = torch.sigmoid(z)
    kept = torch.cat([(1 - z).flip(0).cumprod(0).flip(0)[1:], torch.ones_like(z[:1])])
    want = (z * n * kept).sum(0)
    torch.testing.assert_close(outputs_of(cell, x)[-1], want, rtol=0, atol=1e-14)


def test_slstm_stays_in_range_where_its_exponentials_do_not():
    cell = tt.cells.SLSTM(1, 2, dtype=DOUBLE)
    w = {name: torch.zeros_like(p) for name, p in cell.weights().items()}
    w["bias_ih"] += torch.tensor([-2000.0, -2000, 0, 0, 1, 1, 0, 0])
    state = cell.step(torch.zeros(1, 1, dtype=DOUBLE), None, w)
    # One step: c / n = tanh(g), whatever i.
    want = expit(0.0) * np.tanh(1.0)
    np.testing.assert_allclose(state.h.numpy(), want, rtol=1e-14)
    w["bias_ih"] = torch.tensor([2000.0, 2000, 0, 0, -1, -1, 0, 0], dtype=DOUBLE)
    state = cell.step(torch.zeros(1, 1, dtype=DOUBLE), state, w)
    np.testing.assert_allclose(state.h.numpy(), -want, rtol=1e-14)


def test_slstm_heads_do_not_see_each_other():
    cell = tt.cells.SLSTM(INPUT, 6, heads=3, dtype=DOUBLE)
    weight = cell.prepare(cell.weights())["weight_hh"].view(4, 6, 6)
    head = torch.arange(6) // 2
    assert not weight[:, head[:, None] != head].any()
    assert weight[:, head[:, None] == head].all()


def test_antisymmetric_eigenvalues_have_one_real_part():
    cell = tt.cells.AntisymmetricRNN(INPUT, 30, damping=0.25, dtype=DOUBLE)
    weight = cell.prepare(cell.weights())["weight_hh"].detach()
    real = torch.linalg.eigvals(weight).real
    torch.testing.assert_close(real, torch.full_like(real, -0.25), rtol=0, atol=1e-12)


def test_cfn_without_input_decays_to_zero():
    cell = tt.cells.CFN(INPUT, 20, dtype=DOUBLE)
    w = {k: 20 * p if k == "weight_hh" else p for k, p in cell.weights().items()}
    w["bias_ih"] = torch.zeros_like(w["bias_ih"])
    state = cell.State(torch.randn(BATCH, 20, dtype=DOUBLE))
    for _ in range(3000):
        state = cell.step(torch.zeros(BATCH, INPUT, dtype=DOUBLE), state, w)
    assert state.h.abs().max() < 0.05


def test_brc_has_two_stable_states():
    """With a > 1 and no input a unit keeps the sign it was given."""
    cell = tt.cells.BRC(1, 2, dtype=DOUBLE)
    w = {name: torch.zeros_like(p) for name, p in cell.weights().items()}
    w["bias_ih"] = torch.tensor([1.0, 1, 0, 0, 0, 0], dtype=DOUBLE)
    state = cell.State(torch.tensor([[0.1, -0.1]], dtype=DOUBLE))
    for _ in range(200):
        state = cell.step(torch.zeros(1, 1, dtype=DOUBLE), state, w)
    gain = 1 + np.tanh(1.0)
    fixed = state.h[0].detach().numpy()
    np.testing.assert_allclose(fixed, np.tanh(gain * fixed), rtol=1e-12)
    assert fixed[0] > 0.5
    assert fixed[1] < -0.5


def test_rhn_of_depth_one_is_a_coupled_gate():
    cell = tt.cells.RHN(INPUT, HIDDEN, depth=1)
    assert "weight_mh" not in cell.weights()
    deep = tt.cells.RHN(INPUT, HIDDEN, depth=4).weights()
    assert deep["weight_mh"].shape == (6 * HIDDEN, HIDDEN)
    for name in ("bias_ih", "bias_mh"):
        gate = deep[name].view(-1, 2, HIDDEN)
        assert torch.equal(gate[:, 1], torch.full_like(gate[:, 1], -2.0))


def test_starts_from_the_papers():
    size = 200
    janet = tt.cells.JANET(INPUT, size, longest=50).weights()["bias_ih"]
    assert 0 <= janet[:size].min() < janet[:size].max() <= np.log(50)
    assert janet[:size].exp().mean().item() == pytest.approx(25.5, rel=0.15)
    assert not janet[size:].any()
    block = tt.cells.LiGRU(INPUT, size).weights()["weight_hh"][:size]
    torch.testing.assert_close(block @ block.T, torch.eye(size), rtol=0, atol=1e-5)
    weight = tt.cells.AntisymmetricRNN(INPUT, size).weights()["weight_hh"]
    assert weight.std().item() == pytest.approx(size**-0.5, rel=0.05)
    recurrent = tt.cells.IndRNN(INPUT, size).weights()["recurrent"]
    assert 0 <= recurrent.min() < 0.1 < 0.9 < recurrent.max() <= 1
    forget = tt.cells.SLSTM(INPUT, size, heads=2).weights()["bias_ih"].chunk(4)[1]
    assert forget[[0, 99, 100, 199]].tolist() == [5, -7, 5, -7]
    assert tt.cells.UGRNN(INPUT, 2).weights()["bias_ih"].tolist() == [0, 0, 1, 1]
    assert tt.cells.CFN(INPUT, 1).weights()["bias_ih"].tolist() == [1, -1, 0]
    fast = tt.cells.FastRNN(INPUT, 2).weights()
    assert (fast["alpha"].item(), fast["beta"].item()) == (-3, 3)


def test_an_initialiser_asked_for_overrides_the_paper_s():
    cell = tt.cells.LiGRU(INPUT, HIDDEN, recurrent_init="identity")
    weight = cell.weights()["weight_hh"]
    assert torch.equal(weight, torch.eye(HIDDEN).repeat(2, 1))


def test_constants_and_own_biases_of_a_declared_cell():
    def prepare(weights, *, scale):
        weight = weights["weight_ih"]
        return {**weights, "pace": weight.new_full((weight.size(0),), scale)}

    def start(weights, *, scale):
        weights["weight_ih"].fill_(scale)

    @tt.cell(
        gates=(1, 0),
        product_bias=False,
        parameters={
            "pace": PerUnit(constant=True),
            "shift": PerUnit(2, init=3.0, bias=True),
        },
        prepare=prepare,
        start=start,
        name="slow",
    )
    def paced(a_x, a_h, state, pace, shift, *, scale=2.0):
        return {"h": pace * (a_x[0] + shift[0] + shift[1]) + state.h}

    assert (paced.name, paced.__name__) == ("slow", "paced")
    cell = paced(1, 2)
    assert list(cell.weights()) == ["weight_ih", "shift"]
    assert cell.step(torch.ones(1, 1)).h.tolist() == [[16.0, 16.0]]
    assert repr(cell) == "paced(1, 2)"
    bare = paced(1, 2, bias=False, scale=0.5)
    assert list(bare.weights()) == ["weight_ih"]
    assert bare.step(torch.ones(1, 1)).h.tolist() == [[0.25, 0.25]]
    assert repr(bare.like(3)) == "paced(3, 2, bias=False, scale=0.5)"
    layer = tt.Recurrent(paced(1, 2), num_layers=2, bidirectional=True)
    assert layer(torch.zeros(3, 1, 1))[0].shape == (3, 1, 4)
    assert not [k for k in layer.state_dict() if "pace" in k]
