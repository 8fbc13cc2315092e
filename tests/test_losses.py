"""Losses against worked examples."""

import math

import pytest
import torch

from throughtime.errors import InvalidShape, InvalidType, InvalidValue
from throughtime.losses import cross_entropy, mse, own_loss

# The character example "hello": logits over [h, e, l, o] after h, e, l, l and the
# cross-entropies of its targets e, l, l, o (Karpathy, "The unreasonable effectiveness
# of recurrent neural networks", 2015).
LOGITS = [
    [1.0, 2.2, -3.0, 4.1],
    [0.5, 0.3, -1.0, 1.2],
    [0.1, 0.5, 1.9, -1.1],
    [0.2, -1.5, -0.1, 2.2],
]
TARGETS = [1, 2, 2, 3]
LOSSES = [2.0785, 2.9001, 0.3796, 0.2314]


def hello():
    logits = torch.tensor(LOGITS, dtype=torch.float64).unsqueeze(1)
    return logits, torch.tensor(TARGETS).unsqueeze(1)


def by_hand(row, target):
    return math.log(sum(math.exp(v) for v in row)) - row[target]


def test_hello_example():
    losses = cross_entropy(*hello(), reduction="none").flatten()
    for got, want, row, target in zip(losses, LOSSES, LOGITS, TARGETS, strict=True):
        assert got.item() == pytest.approx(by_hand(row, target), abs=1e-12)
        assert got.item() == pytest.approx(want, abs=5e-5)
    total = cross_entropy(*hello(), reduction="sum").item()
    assert total == pytest.approx(sum(losses.tolist()), abs=1e-12)
    assert cross_entropy(*hello()).item() == pytest.approx(total / 4, abs=1e-12)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_masked_entries_change_nothing_even_if_nan(reduction):
    logits, targets = hello()
    mask = torch.tensor([True, False, True, False]).unsqueeze(1)
    logits = logits.clone()
    logits[1], logits[3] = math.nan, math.inf
    targets = targets.clone()
    targets[1] = -5
    logits.requires_grad_()
    loss = cross_entropy(logits, targets, mask=mask, reduction=reduction)
    kept = [by_hand(LOGITS[t], TARGETS[t]) for t in (0, 2)]
    want = {"mean": sum(kept) / 2, "sum": sum(kept), "none": sum(kept)}[reduction]
    assert loss.sum().item() == pytest.approx(want, abs=1e-12)
    loss.sum().backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
    assert not logits.grad[1].any()
    assert not logits.grad[3].any()


def test_nothing_that_counts_is_zero_with_zero_gradient():
    logits, targets = hello()
    logits.requires_grad_()
    loss = cross_entropy(logits, targets, mask=torch.zeros(4, 1, dtype=torch.bool))
    assert loss.item() == 0
    loss.backward()
    assert logits.grad is not None
    assert not logits.grad.any()


def test_mse_with_a_mask_over_steps():
    outputs = torch.tensor([[[1.0, 2.0]], [[math.nan, 5.0]]])
    targets = torch.zeros(2, 1, 2)
    mask = torch.tensor([[True], [False]])
    assert mse(outputs, targets, mask=mask).item() == 2.5
    assert mse(outputs, targets, mask=mask, reduction="sum").item() == 5.0


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_mse_and_gradient_with_masked_nan(reduction):
    """By hand: (1 - 3)^2 = 4 and (2 - 0)^2 = 4, gradients 2 (output - target)."""
    outputs = torch.tensor([1.0, math.nan, 2.0], dtype=torch.float64).requires_grad_()
    targets = torch.tensor([3.0, math.inf, 0.0], dtype=torch.float64)
    mask = torch.tensor([True, False, True])
    loss = mse(outputs, targets, mask=mask, reduction=reduction)
    share = 2 if reduction == "mean" else 1
    assert loss.sum().item() == 8 / share
    loss.sum().backward()
    assert outputs.grad is not None
    assert outputs.grad.tolist() == [-4 / share, 0, 4 / share]


def test_mse_where_nothing_counts():
    outputs = torch.ones(3, requires_grad=True)
    loss = mse(outputs, torch.zeros(3), mask=torch.zeros(3, dtype=torch.bool))
    assert loss.item() == 0
    loss.backward()
    assert outputs.grad is not None
    assert not outputs.grad.any()


def test_no_steps_at_all():
    for mask in (None, torch.zeros(0, 2, dtype=torch.bool)):
        targets = torch.zeros(0, 2, dtype=torch.long)
        assert cross_entropy(torch.zeros(0, 2, 4), targets, mask=mask).item() == 0
        assert mse(torch.zeros(0, 2), torch.zeros(0, 2), mask=mask).item() == 0


def test_one_prediction_without_time_or_batch():
    logits, targets = hello()
    loss = cross_entropy(logits[0, 0], targets[0, 0])
    assert loss.item() == pytest.approx(by_hand(LOGITS[0], TARGETS[0]), abs=1e-12)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("target", [-100, -1, 4])
def test_targets_outside_the_vocabulary(reduction, target):
    """-100 too, which torch skips."""
    logits, targets = hello()
    targets[1] = target
    low, high = min(target, 1), max(target, 3)
    says = rf"targets must lie in \[0, 4\), got values from {low} to {high}"
    with pytest.raises(InvalidValue, match=says):
        cross_entropy(logits, targets, reduction=reduction)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("smoothing", [0.0, 0.3, 1.0])
def test_ignored_targets_and_label_smoothing(reduction, smoothing):
    """Truth: torch, and with a mask torch on the rows that are left."""
    logits, targets = hello()
    logits, targets = logits[:, 0], targets[:, 0].clone()
    targets[1] = -7
    options = {"ignore_index": -7, "label_smoothing": smoothing}
    want = torch.nn.functional.cross_entropy(
        logits, targets, **options, reduction=reduction
    )
    found = cross_entropy(logits, targets, **options, reduction=reduction)
    torch.testing.assert_close(found, want, rtol=1e-12, atol=1e-14)
    mask = torch.tensor([False, True, True, True])
    want = torch.nn.functional.cross_entropy(
        logits[1:], targets[1:], **options, reduction=reduction
    )
    found = cross_entropy(logits, targets, mask=mask, **options, reduction=reduction)
    if reduction == "none":
        assert found[0] == 0
        found = found[1:]
    torch.testing.assert_close(found, want, rtol=1e-12, atol=1e-14)


def test_bad_options():
    with pytest.raises(InvalidType, match="ignore_index should be of type int"):
        cross_entropy(*hello(), ignore_index=1.0)  # pyright: ignore[reportArgumentType]
    with pytest.raises(InvalidValue, match="label_smoothing should be a number"):
        cross_entropy(*hello(), label_smoothing=-0.1)


class Offers(torch.nn.Linear):
    def features(self, inputs, state=None):
        return inputs, state

    def features_loss(self, features, targets, *, mask=None, reduction="mean"):
        return cross_entropy(self(features), targets, mask=mask, reduction=reduction)

    def forward(self, inputs):
        return super().forward(inputs)


def test_a_model_offers_its_loss_unless_calling_it_means_something_else():
    model = Offers(2, 3)
    assert own_loss(model) is model

    class Sharper(Offers):
        def forward(self, inputs):
            return 2 * super().forward(inputs)

    class SharperWithLoss(Sharper):
        def features_loss(self, features, targets, **options):
            return super().features_loss(2 * features, targets, **options)

    assert own_loss(Sharper(2, 3)) is None
    assert own_loss(SharperWithLoss(2, 3)) is not None
    assert own_loss(torch.compile(model, backend="eager")) is None
    handle = model.register_forward_hook(lambda *values: None)
    assert own_loss(model) is None
    handle.remove()
    assert own_loss(model) is model
    model.forward = lambda inputs: inputs
    assert own_loss(model) is None


def test_types():
    logits, targets = hello()
    with pytest.raises(InvalidType, match="targets should be of dtype long"):
        cross_entropy(logits, targets.double())
    for loss in (
        lambda m: cross_entropy(logits, targets, mask=m),
        lambda m: mse(logits, logits, mask=m),
    ):
        with pytest.raises(InvalidType, match="mask should be of dtype bool"):
            loss(torch.ones(4, 1))


def test_mse_shapes_never_broadcast():
    mask = torch.ones(2, 3, dtype=torch.bool)
    with pytest.raises(InvalidShape, match=r"targets must have shape \(2, 1\)"):
        mse(torch.zeros(2, 1), torch.zeros(2, 3), mask=mask)
    with pytest.raises(InvalidShape, match=r"mask must have shape \(2,\)"):
        mse(torch.zeros(2, 3), torch.zeros(2, 3), mask=mask[0])
    with pytest.raises(InvalidShape, match="mask must have shape"):
        mse(torch.zeros(2, 3), torch.zeros(2, 3), mask=mask.unsqueeze(-1))
    with pytest.raises(InvalidValue, match="unknown reduction"):
        mse(torch.zeros(2), torch.zeros(2), reduction="avg")


def test_errors():
    logits, targets = hello()
    with pytest.raises(InvalidShape, match=r"targets must have shape \(4, 1\)"):
        cross_entropy(logits, targets[:2])
    with pytest.raises(InvalidShape, match="mask must have shape"):
        cross_entropy(logits, targets, mask=torch.ones(4, dtype=torch.bool))
    with pytest.raises(InvalidValue, match="unknown reduction 'avg': known are mean"):
        cross_entropy(logits, targets, reduction="avg")
