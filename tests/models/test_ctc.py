"""CTC against all alignments, one by one."""

import itertools
import math
from collections import defaultdict

import pytest
import torch

from throughtime.errors import InvalidShape, InvalidValue
from throughtime.models.ctc import (
    beam_readings,
    ctc_loss,
    greedy_reading,
    least_steps,
)

BLANK = 2


def every_reading(log_probs, blank=BLANK):
    """P of every text, by going through all V^T paths."""
    found = defaultdict(float)
    for path in itertools.product(range(log_probs.size(1)), repeat=len(log_probs)):
        merged = [symbol for symbol, _ in itertools.groupby(path)]
        text = tuple(symbol for symbol in merged if symbol != blank)
        found[text] += math.exp(sum(log_probs[t, s].item() for t, s in enumerate(path)))
    return found


def drawn(steps, batch, classes=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(steps, batch, classes, generator=generator, dtype=torch.double)


TARGETS = [[0, 1], [0, 0], [], [1], [1, 0, 1], []]
LENGTHS = [5, 3, 4, 1, 3, 0]


def loss_of(logits, lengths=LENGTHS, targets=TARGETS, blank=BLANK):
    longest = max(map(len, targets))
    padded = torch.tensor([[*t, *[0] * (longest - len(t))] for t in targets]).t()
    sizes = torch.tensor([len(t) for t in targets])
    return ctc_loss(logits, torch.tensor(lengths), padded.long(), sizes, blank=blank)


@pytest.mark.parametrize("blank", [0, 1, 2])
def test_loss_is_that_of_all_alignments(blank):
    """The truth: the sum over all V^T paths."""
    symbols = [s for s in range(3) if s != blank]
    targets = [[symbols[i] for i in target] for target in TARGETS]
    logits = drawn(5, len(TARGETS))
    losses = loss_of(logits, targets=targets, blank=blank)
    for b, (length, target) in enumerate(zip(LENGTHS, targets, strict=True)):
        readings = every_reading(logits[:length, b].log_softmax(-1), blank)
        want = -math.log(readings[tuple(target)])
        assert losses[b].item() == pytest.approx(want, abs=1e-12)


def test_gradient_against_finite_differences():
    logits = drawn(5, len(TARGETS)).requires_grad_()
    assert torch.autograd.gradcheck(loss_of, (logits,))


def test_steps_beyond_the_length_change_nothing():
    logits = drawn(5, len(TARGETS)).requires_grad_()
    other = logits.detach().clone()
    for b, length in enumerate(LENGTHS):
        other[length:, b] = 1e3
    assert torch.equal(loss_of(logits), loss_of(other))
    (gradient,) = torch.autograd.grad(loss_of(logits).sum(), logits)
    for b, length in enumerate(LENGTHS):
        assert not gradient[length:, b].any()


def test_nothing_at_all():
    assert loss_of(torch.zeros(0, 2, 3), [0, 0], [[], []]).tolist() == [0, 0]
    none = torch.zeros(0, dtype=torch.long)
    empty = ctc_loss(torch.zeros(2, 0, 3), none, torch.zeros(1, 0).long(), none)
    assert empty.shape == (0,)


@pytest.mark.parametrize("target", [[], [1], [1, 1], [1, 2, 1], [1, 1, 1, 2]])
def test_least_steps(target):
    """The truth: the shortest sequence with a path that reads so."""
    steps = next(
        n for n in range(9) if tuple(target) in every_reading(torch.zeros(n, 3), 0)
    )
    assert least_steps(target) == steps


@pytest.mark.parametrize(
    ("lengths", "target", "says"),
    [
        ([1], [0, 1], "sequence 0 needs 2 steps, and the sequence has 1"),
        ([2], [0, 0], "needs 3 steps, and the sequence has 2"),
        ([5], [2], "differ from the blank, 2, got \\[2\\] for sequence 0"),
        ([5], [3], "must lie in \\[0, 3\\)"),
    ],
)
def test_targets_that_cannot_be(lengths, target, says):
    with pytest.raises(InvalidValue, match=says):
        loss_of(drawn(5, 1), lengths, [target])


def test_shapes_that_do_not_fit():
    with pytest.raises(InvalidShape, match=r"must have shape \(1,\)"):
        loss_of(drawn(5, 1), [5, 5], [[0]])
    with pytest.raises(InvalidShape, match=r"must be \(T, V\), got \(5, 1, 3\)"):
        beam_readings(drawn(5, 1))


@pytest.mark.parametrize("seed", range(4))
def test_greedy_is_the_likeliest_path(seed):
    log_probs = drawn(6, 1, 4, seed)[:, 0].log_softmax(-1)
    path = [max(range(4), key=lambda s: row[s].item()) for row in log_probs]
    merged = [symbol for symbol, _ in itertools.groupby(path)]
    assert greedy_reading(log_probs, blank=3) == [s for s in merged if s != 3]
    assert greedy_reading(log_probs[:0]) == []


@pytest.mark.parametrize("seed", range(4))
def test_a_beam_that_holds_everything_is_exact(seed):
    """The truth: all 3^5 paths."""
    log_probs = 2 * drawn(5, 1, 3, seed)[:, 0].log_softmax(-1)
    log_probs = log_probs.log_softmax(-1)
    want = every_reading(log_probs)
    found = beam_readings(log_probs, blank=BLANK, beam_size=1000)
    assert {r.symbols for r in found} == set(want)
    for reading in found:
        assert reading.score == pytest.approx(math.log(want[reading.symbols]))
    assert [r.score for r in found] == sorted((r.score for r in found), reverse=True)


@pytest.mark.parametrize("seed", range(4))
def test_a_narrow_beam_finds_the_best(seed):
    """Never more than the truth, and at the first place the likeliest text."""
    log_probs = (3 * drawn(6, 1, 3, seed)[:, 0]).log_softmax(-1)
    want = every_reading(log_probs)
    found = beam_readings(log_probs, blank=BLANK, beam_size=4)
    assert len(found) == 4
    assert found[0].symbols == max(want, key=lambda text: want[text])
    for reading in found:
        assert reading.score <= math.log(want[reading.symbols]) + 1e-12


def test_a_language_model_beside():
    """The truth: all paths, and the score of each text worked out from its formula."""
    table = [[0.9, 0.1], [0.2, 0.8]]

    def continuation(before, symbol):
        return math.log(table[before[-1] if before else 0][symbol])

    log_probs = drawn(5, 1)[:, 0].log_softmax(-1)
    found = beam_readings(
        log_probs,
        blank=BLANK,
        beam_size=1000,
        continuation=continuation,
        weight=0.7,
        bonus=0.3,
    )
    for text, p in every_reading(log_probs).items():
        model = sum(continuation(text[:n], s) for n, s in enumerate(text))
        want = math.log(p) + 0.7 * model + 0.3 * len(text)
        (score,) = [r.score for r in found if r.symbols == text]
        assert score == pytest.approx(want, abs=1e-12)


def test_impossible_symbols_and_empty_sequences():
    log_probs = torch.tensor([[0.0, -torch.inf], [-torch.inf, 0.0]])
    (only,) = beam_readings(log_probs)
    assert only == ((1,), 0.0)
    assert beam_readings(log_probs[:0]) == [((), 0.0)]
    with pytest.raises(InvalidValue, match="hold NaN"):
        beam_readings(torch.tensor([[torch.nan, 0.0]]))
    with pytest.raises(InvalidValue, match="beam_size must be greater"):
        beam_readings(log_probs, beam_size=0)
