"""``carry_gain``: the gradient of the carried state, scaled step by step."""

import pytest
import torch

import throughtime as tt
from throughtime.errors import InvalidShape, InvalidType
from throughtime.layers.unroll import unroll

DOUBLE = torch.float64
BACKENDS = ("auto", "loop")


def linear_layer(weight, backend, **options):
    """h_t = x_t + w h_{t-1}: one unit."""
    cell = tt.cells.Elman(1, 1, nonlinearity="identity", bias=False, dtype=DOUBLE)
    layer = tt.Recurrent(cell, backend=backend, **options)
    with torch.no_grad():
        layer.weight_ih_l0.fill_(1.0)
        layer.weight_hh_l0.fill_(weight)
    return layer


@pytest.mark.parametrize("backend", BACKENDS)
def test_closed_form_of_a_linear_unit(backend):
    """dh_T/dx_t = w^(T-t) times the gains of the steps after t."""
    steps, weight = 6, 0.7
    layer = linear_layer(weight, backend)
    x = torch.randn(steps, 1, 1, dtype=DOUBLE, requires_grad=True)
    start = torch.randn(1, 1, dtype=DOUBLE, requires_grad=True)
    gain = torch.tensor([0.5, 2.0, 1.0, 3.0, 0.25, 1.5], dtype=DOUBLE)
    outputs, _ = layer(x, ((start,),), carry_gain=gain[:, None])
    plain, _ = layer(x, ((start,),))
    torch.testing.assert_close(outputs, plain, rtol=1e-15, atol=1e-15)
    into_x, into_start = torch.autograd.grad(outputs[-1].sum(), (x, start))
    expected = [
        weight ** (steps - 1 - t) * gain[t + 1 :].prod().item() for t in range(steps)
    ]
    torch.testing.assert_close(into_x.flatten().tolist(), expected)
    # The state before step 0 enters it like any other.
    assert into_start.item() == pytest.approx(weight**steps * gain.prod().item())


@pytest.mark.parametrize("backend", BACKENDS)
def test_random_truncation_is_unbiased(backend):
    """The mean over all 2^T cuts, weighted by probability, is the whole gradient."""
    layer = linear_layer(0.9, backend)
    x = torch.randn(4, 1, 1, dtype=DOUBLE, generator=torch.Generator().manual_seed(0))

    def gradient(gain):
        outputs, _ = layer(x, carry_gain=gain)
        return torch.autograd.grad(outputs.sum(), layer.weight_hh_l0)[0].item()

    stay, total = 0.6, 0.0
    for bits in range(16):
        kept = torch.tensor([[(bits >> t) & 1] for t in range(4)], dtype=DOUBLE)
        probability = (kept * stay + (1 - kept) * (1 - stay)).prod().item()
        total += probability * gradient(kept / stay)
    assert total == pytest.approx(gradient(torch.ones(4, 1, dtype=DOUBLE)), abs=1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN"])
def test_zero_cuts_like_a_detached_state(name, backend):
    """A gain of 0 at step 3 is training in two windows, whatever the layout."""
    torch.manual_seed(0)
    layer = getattr(tt, name)(3, 4, 2, batch_first=True, dtype=DOUBLE)
    layer.backend = backend
    x = torch.randn(2, 7, 3, dtype=DOUBLE)
    gain = torch.ones(2, 7, dtype=torch.bool)
    gain[:, 3] = False
    outputs, _ = layer(x, carry_gain=gain)
    whole = torch.autograd.grad((outputs**2).sum(), list(layer.parameters()))
    first, state = layer(x[:, :3])
    detached = tuple(s.detach() for s in state) if name == "LSTM" else state.detach()
    second, _ = layer(x[:, 3:], detached)
    total = (first**2).sum() + (second**2).sum()
    for a, b in zip(
        whole, torch.autograd.grad(total, list(layer.parameters())), strict=True
    ):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


def test_backward_direction_counts_steps_of_its_own_order():
    """Read backwards, step t receives the state of step t + 1."""
    torch.manual_seed(0)
    layer = tt.GRU(3, 4, bidirectional=True, dtype=DOUBLE)
    alone = tt.GRU(3, 4, dtype=DOUBLE)
    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        with torch.no_grad():
            getattr(alone, f"{name}_l0").copy_(getattr(layer, f"{name}_l0_reverse"))
    x = torch.randn(5, 2, 3, dtype=DOUBLE)
    gain = torch.rand(5, 2, dtype=DOUBLE)
    leaf, turned = (t.clone().requires_grad_() for t in (x, x.flip(0)))
    outputs, _ = layer(leaf, carry_gain=gain)
    expected, _ = alone(turned, carry_gain=gain.flip(0))
    (found,) = torch.autograd.grad((outputs[..., 4:] ** 2).sum(), leaf)
    (wanted,) = torch.autograd.grad((expected**2).sum(), turned)
    torch.testing.assert_close(found, wanted.flip(0), rtol=1e-12, atol=1e-12)


def test_unbatched_gain_has_one_entry_per_step():
    layer = tt.LSTM(3, 4, dtype=DOUBLE)
    x = torch.randn(5, 3, dtype=DOUBLE)
    gain = torch.rand(5, dtype=DOUBLE)
    found, expected = (
        torch.autograd.grad((out**2).sum(), list(layer.parameters()))
        for out in (
            layer(x, carry_gain=gain)[0],
            layer(x[:, None], carry_gain=gain[:, None])[0],
        )
    )
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-13, atol=1e-13)


def test_second_derivatives_under_a_gain():
    layer = linear_layer(0.7, "auto")
    plain = linear_layer(0.7, "loop")
    found = []
    for module in (layer, plain):
        x = torch.arange(4.0, dtype=DOUBLE).reshape(4, 1, 1).requires_grad_()
        gain = torch.tensor([[1.0], [0.5], [0.0], [2.0]], dtype=DOUBLE)
        outputs, _ = module(x, carry_gain=gain)
        weight = module.weight_hh_l0
        (first,) = torch.autograd.grad((outputs**2).sum(), weight, create_graph=True)
        found.append(torch.autograd.grad(first.sum(), (x, weight)))
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize(
    ("gain", "error", "says"),
    [
        (1.0, InvalidType, "carry_gain should be a tensor .* got float"),
        ([1.0], InvalidType, "carry_gain should be a tensor .* got float"),
        (torch.ones(5, 2, dtype=DOUBLE), InvalidType, r"got torch.float64; use carry"),
        (torch.ones(5, 2, dtype=torch.int64), InvalidType, "or of bool, got torch.in"),
        (torch.ones(2, 5), InvalidShape, r"shape \(5, 2\) time first, got \(2, 5\)"),
        (torch.ones(5), InvalidShape, r"got \(5,\)"),
        (
            [torch.ones(5, 2)] * 2,
            InvalidShape,
            "have 1 of them.* got 2",
        ),
    ],
)
@pytest.mark.parametrize("batch_first", [False, True])
def test_what_no_gain_is(gain, error, says, batch_first):
    layer = tt.Recurrent(tt.cells.GRU(3, 4), batch_first=batch_first)
    x = torch.zeros(5, 2, 3)
    if batch_first:
        x = x.transpose(0, 1)
        gain = gain.T if isinstance(gain, torch.Tensor) and gain.dim() == 2 else gain
    with pytest.raises(error, match=says):
        layer(x, carry_gain=gain)


@pytest.mark.parametrize("backend", ["loop", "auto"])
def test_a_gain_for_each_layer_and_direction(backend):
    """Truth: every layer and direction by itself, one after the other."""
    torch.manual_seed(0)
    cell = tt.cells.LSTM(3, 4)
    layer = tt.Recurrent(cell, 2, bidirectional=True, backend=backend).double()
    x = torch.randn(5, 2, 3, dtype=DOUBLE)
    gains = [torch.rand(5, 2, dtype=DOUBLE) for _ in range(4)]
    outputs, _ = layer(x, carry_gain=gains)
    outputs.square().sum().backward()
    found = {name: p.grad.clone() for name, p in layer.named_parameters()}
    layer.zero_grad()
    h = x
    for level in range(2):
        parts = []
        for direction in range(2):
            index = 2 * level + direction
            parts.append(
                unroll(
                    layer.cells[index],
                    h,
                    layer.initial_state(2)[index],
                    layer.weights(index),
                    reverse=direction == 1,
                    carry_gain=gains[index],
                    backend="loop",
                ).outputs
            )
        h = torch.cat(parts, -1)
    assert torch.allclose(h, outputs, rtol=1e-12)
    h.square().sum().backward()
    for name, p in layer.named_parameters():
        assert torch.allclose(found[name], p.grad, rtol=1e-10, atol=1e-13), name
