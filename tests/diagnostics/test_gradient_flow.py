"""The norm of the gradient at every step against closed forms."""

import math

import pytest
import torch
from torch import nn

import throughtime as tt
from throughtime.diagnostics import GradientFlow, gradient_flow
from throughtime.errors import InvalidShape, InvalidType


def linear_layer(weight_hh, **options):
    size = len(weight_hh)
    cell = tt.cells.Elman(2, size, nonlinearity="identity", dtype=torch.float64)
    layer = tt.Recurrent(cell, **options)
    with torch.no_grad():
        layer.get_parameter("weight_hh_l0").copy_(weight_hh)
    return layer


def orthogonal(size):
    return tt.init.orthogonal((size, size), dtype=torch.float64)


def last_sum(outputs):
    return outputs[0][-1].sum()


@pytest.mark.parametrize("scale", [0.5, 1.0, 1.5])
def test_scaled_orthogonal_recurrence_is_exact(scale):
    """h_t = c Q h_{t-1} + ..: ‖∂L/∂h_{T-k}‖ = c^k ‖∂L/∂h_T‖."""
    layer = linear_layer(scale * orthogonal(6))
    x = torch.randn(20, 1, 2, dtype=torch.float64)
    flow = gradient_flow(layer, x, last_sum)["l0"]
    start = math.sqrt(6)
    want = torch.tensor([start * scale**k for k in range(20)], dtype=torch.float64)
    torch.testing.assert_close(flow.by_lag, want, rtol=1e-9, atol=0)
    assert flow.rate == pytest.approx(math.log(scale), abs=1e-9)
    assert flow.verdict == {0.5: "vanishing", 1.0: "healthy", 1.5: "exploding"}[scale]
    # 0.5^7 is the first power of a half below 1 %.
    assert flow.horizon == (7 if scale == 0.5 else 20)


def test_matrix_powers_of_any_linear_recurrence():
    """∂L/∂h_t = (Wᵀ)^{T-t} ∂L/∂h_T, batch of three: norms over all of them."""
    weight = torch.randn(4, 4, dtype=torch.float64) * 0.4
    layer = linear_layer(weight)
    x = torch.randn(7, 3, 2, dtype=torch.float64)
    flow = gradient_flow(layer, x, last_sum)["l0"]
    gradient = torch.ones(4, 3, dtype=torch.float64)
    for t in reversed(range(7)):
        assert flow.norms[t].item() == pytest.approx(gradient.norm().item(), rel=1e-9)
        gradient = weight.T @ gradient


def test_lstm_against_finite_differences():
    torch.manual_seed(0)
    layer = tt.Recurrent(tt.cells.LSTM(2, 3, dtype=torch.float64))
    x = torch.randn(5, 1, 2, dtype=torch.float64)
    flow = gradient_flow(layer, x, last_sum)["l0"]
    step = 1e-6
    for t in range(5):
        slopes = []
        for unit in range(3):
            values = []
            for sign in (1, -1):
                push = layer.zero_perturbation(x)
                with torch.no_grad():
                    push[0].h[t, 0, unit] = sign * step
                    values.append(last_sum(layer(x, perturbation=push)).item())
            slopes.append((values[0] - values[1]) / (2 * step))
        assert flow.norms[t].item() == pytest.approx(math.hypot(*slopes), rel=1e-6)


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = tt.LSTM(2, 3, bidirectional=True)
        self.second = tt.GRU(6, 4)

    def forward(self, x):
        return self.second(self.first(x)[0])


def test_every_layer_by_name_without_touching_parameters():
    model = Tagger().eval()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    flows = gradient_flow(model, torch.randn(6, 2, 2), last_sum)
    assert list(flows) == ["first.l0", "first.l0_reverse", "second.l0"]
    assert all(p.grad is None for p in model.parameters())
    # The reverse layer ends at step 0: its lag grows with time.
    assert flows["first.l0_reverse"].reverse
    assert not model.first._forward_pre_hooks
    assert not model.second._forward_pre_hooks


def test_loss_in_the_middle_enters_there():
    flow = gradient_flow(
        linear_layer(0.5 * orthogonal(3)),
        torch.randn(8, 1, 2, dtype=torch.float64),
        lambda outputs: outputs[0][4].sum(),
    )["l0"]
    assert not flow.norms[5:].any()
    assert len(flow.by_lag) == 5


def test_verdicts_of_extremes():
    infinite = GradientFlow(torch.tensor([math.inf, 1.0], dtype=torch.float64))
    assert infinite.verdict == "exploding"
    nothing = GradientFlow(torch.zeros(4, dtype=torch.float64))
    assert (nothing.verdict, nothing.horizon) == ("vanishing", 0)
    dead = GradientFlow(torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64))
    assert (dead.verdict, dead.horizon) == ("vanishing", 1)


def test_errors_leave_no_hooks():
    with pytest.raises(InvalidType, match="no recurrent layer"):
        gradient_flow(nn.Linear(2, 2), torch.zeros(1, 2), torch.sum)
    layer = tt.RNN(2, 3)
    with pytest.raises(InvalidShape, match="one number, got shape"):
        gradient_flow(layer, torch.zeros(4, 1, 2), lambda outputs: outputs[0])
    assert not layer._forward_pre_hooks


def test_the_whole_state_sees_what_goes_past_h():
    """c_t = c_{t-1} / 2 + x_t, h_t = 3 c_t: ∂h_T/∂c_{T-k} = 3 / 2^k, ∂h_T/∂h_T = 1."""

    @tt.cell(gates=(1, 0), state=("h", "c"))
    def halving(a_x, a_h, state):
        c = 0.5 * state.c + a_x[0]
        return {"h": 3 * c, "c": c}

    layer = tt.Recurrent(halving(2, 1)).double()
    x = torch.randn(6, 1, 2, dtype=torch.float64)

    def last(result):
        return result[0][-1].sum()

    of_h = gradient_flow(layer, x, last)["l0"].by_lag
    whole = gradient_flow(layer, x, last, whole_state=True)["l0"].by_lag
    assert of_h.tolist() == [1, 0, 0, 0, 0, 0]
    want = [1.0] + [3 / 2**k for k in range(1, 6)]
    torch.testing.assert_close(whole, torch.tensor(want).double(), rtol=0, atol=1e-14)


def test_the_whole_state_of_a_cell_that_has_only_h():
    torch.manual_seed(0)
    layer = tt.Recurrent(tt.cells.GRU(2, 3), bidirectional=True)
    x = torch.randn(7, 2, 2)
    flows = [
        gradient_flow(layer, x, lambda result: result[0].sum(), whole_state=whole)
        for whole in (False, True)
    ]
    for name in ("l0", "l0_reverse"):
        torch.testing.assert_close(flows[0][name].norms, flows[1][name].norms)
