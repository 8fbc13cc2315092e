"""Conditional random fields; the truth is the sum over all label sequences."""

from itertools import product

import pytest
import torch
from torch.autograd import gradcheck

from throughtime.errors import InvalidShape, InvalidType, InvalidValue
from throughtime.models.crf import CRF

STEPS, LABELS = 4, 3
LENGTHS = [4, 2, 1, 0]


@pytest.fixture
def crf():
    torch.manual_seed(0)
    crf = CRF(LABELS).double()
    with torch.no_grad():
        for parameter in crf.parameters():
            parameter.normal_()
    return crf


@pytest.fixture
def emissions():
    torch.manual_seed(1)
    return torch.randn(STEPS, len(LENGTHS), LABELS, dtype=torch.float64)


def scores(crf, emissions, possible=lambda labels: True):
    """Label sequence -> score, of one sequence (T, K), term by term."""
    found = {}
    for labels in product(range(LABELS), repeat=len(emissions)):
        if not possible(labels):
            continue
        score = torch.zeros((), dtype=torch.float64)
        if labels:
            score = score + crf.start[labels[0]] + crf.end[labels[-1]]
        for t, label in enumerate(labels):
            score = score + emissions[t, label]
        for left, right in zip(labels, labels[1:], strict=False):
            score = score + crf.transitions[left, right]
        found[labels] = score
    return found


def log_sum(values):
    return torch.stack(list(values)).logsumexp(0)


def test_log_likelihood_of_full_and_partial_labels(crf, emissions):
    """Also of no labels at all, and with anything behind the end."""
    targets = torch.tensor([[0, 2, 1, 0], [1, 0, 2, 1], [2, 2, 0, 0], [1, 1, 1, 1]])
    masks = [
        torch.ones(STEPS, len(LENGTHS), dtype=torch.bool),
        torch.tensor([[1, 0, 1, 1], [0, 1, 0, 0], [0, 1, 1, 0], [1, 0, 0, 1]]).bool(),
        torch.zeros(STEPS, len(LENGTHS), dtype=torch.bool),
    ]
    for mask in masks:
        got = crf.log_likelihood(emissions, targets, LENGTHS, mask)
        for n, length in enumerate(LENGTHS):
            every = scores(crf, emissions[:length, n])
            given = [
                score
                for labels, score in every.items()
                if all(labels[t] == targets[t, n] for t in range(length) if mask[t, n])
            ]
            want = log_sum(given) - log_sum(every.values())
            torch.testing.assert_close(got[n], want, rtol=0, atol=1e-12)
    assert torch.equal(
        crf.log_likelihood(emissions, targets, LENGTHS),
        crf.log_likelihood(emissions, targets, LENGTHS, masks[0]),
    )


def test_marginals_and_best_path(crf, emissions):
    marginals = crf.marginals(emissions, LENGTHS)
    path = crf.decode(emissions, LENGTHS)
    for n, length in enumerate(LENGTHS):
        every = scores(crf, emissions[:length, n])
        total = log_sum(every.values())
        want = torch.zeros(STEPS, LABELS, dtype=torch.float64)
        for labels, score in every.items():
            for t, label in enumerate(labels):
                want[t, label] += (score - total).exp()
        torch.testing.assert_close(marginals[:, n], want, rtol=0, atol=1e-12)
        best = max(every, key=lambda labels: every[labels])
        assert path[:, n].tolist() == [*best, *[0] * (STEPS - length)]


def test_what_is_forbidden_has_no_probability(crf, emissions):
    """The truth: the same sums without the impossible sequences."""
    rules = {"forbidden": [(0, 1), (2, 2)], "forbidden_first": [1]}
    strict = CRF(LABELS, **rules, forbidden_last=[0]).double()
    strict.load_state_dict(crf.state_dict())

    def possible(labels):
        pairs = zip(labels, labels[1:], strict=False)
        bad_pair = any(pair in rules["forbidden"] for pair in pairs)
        return not bad_pair and labels[0] != 1 and labels[-1] != 0

    every = scores(crf, emissions[:, 0], possible)
    total = log_sum(every.values())
    want = torch.zeros(STEPS, LABELS, dtype=torch.float64)
    for labels, score in every.items():
        for t, label in enumerate(labels):
            want[t, label] += (score - total).exp()
    got = strict.marginals(emissions[:, :1], [STEPS])[:, 0]
    torch.testing.assert_close(got, want, rtol=0, atol=1e-12)
    best = max(every, key=lambda labels: every[labels])
    assert tuple(strict.decode(emissions[:, :1], [STEPS])[:, 0].tolist()) == best
    targets = torch.ones(STEPS, len(LENGTHS), dtype=torch.long)
    assert torch.equal(
        strict.log_likelihood(emissions, targets, LENGTHS),
        crf.log_likelihood(emissions, targets, LENGTHS),
    )


@pytest.mark.parametrize("partial", [False, True])
def test_gradients(crf, emissions, partial):
    """The truth: finite differences."""
    targets = torch.tensor([[0, 2, 1, 0], [1, 0, 2, 1], [2, 2, 0, 0], [1, 1, 1, 1]])
    mask = torch.tensor([[1, 0, 1, 1], [0, 1, 0, 0], [0, 1, 1, 0], [1, 0, 0, 1]]).bool()

    def loss(emissions, *_):
        chosen = mask if partial else None
        return crf.log_likelihood(emissions, targets, LENGTHS, chosen)

    assert gradcheck(loss, (emissions.requires_grad_(), *crf.parameters()))


def test_no_transitions_is_softmax(emissions):
    """With A = start = end = 0 the steps are independent; the truth is torch's."""
    crf = CRF(LABELS).double()
    targets = torch.tensor([[0, 2, 1, 0], [1, 0, 2, 1], [2, 2, 0, 0], [1, 1, 1, 1]])
    lengths = [STEPS] * len(LENGTHS)
    losses = torch.nn.functional.cross_entropy(
        emissions.transpose(1, 2), targets, reduction="none"
    )
    got = crf.log_likelihood(emissions, targets, lengths)
    torch.testing.assert_close(got, -losses.sum(0), rtol=0, atol=1e-12)
    torch.testing.assert_close(crf.marginals(emissions, lengths), emissions.softmax(-1))


def test_far_and_near_scores_stay_finite():
    """In float32, with scores that would overflow outside the logarithm."""
    crf = CRF(2)
    emissions = torch.tensor([[[300.0, -300.0]]]).repeat(200, 1, 1).requires_grad_()
    targets = torch.zeros(200, 1, dtype=torch.long)
    mask = torch.arange(200).unsqueeze(1) % 2 == 0
    value = crf.log_likelihood(emissions, targets, [200], mask)
    value.sum().backward()
    assert value.item() == 0.0
    assert emissions.grad is not None
    assert bool(emissions.grad.isfinite().all())


def test_bad_arguments(crf, emissions):
    targets = torch.zeros(STEPS, len(LENGTHS), dtype=torch.long)
    with pytest.raises(InvalidShape, match=r"emissions must be \(T, B, 3\)"):
        crf.decode(emissions[..., :2], LENGTHS)
    with pytest.raises(InvalidShape, match="lengths must have shape"):
        crf.decode(emissions, [1])
    with pytest.raises(InvalidValue, match=r"lengths must lie in \[0, 4\]"):
        crf.decode(emissions, [5, 1, 1, 1])
    with pytest.raises(InvalidShape, match="targets must have shape"):
        crf.log_likelihood(emissions, targets[:2], LENGTHS)
    with pytest.raises(InvalidType, match="dtype long"):
        crf.log_likelihood(emissions, targets.int(), LENGTHS)
    with pytest.raises(InvalidShape, match="mask must be bool"):
        crf.log_likelihood(emissions, targets, LENGTHS, targets)
    with pytest.raises(InvalidValue, match=r"targets must lie in \[0, 3\)"):
        crf.log_likelihood(emissions, targets + 3, LENGTHS)
    with pytest.raises(InvalidValue, match="forbidden labels must lie"):
        CRF(2, forbidden=[(0, 2)])
