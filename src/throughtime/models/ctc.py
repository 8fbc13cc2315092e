r"""Connectionist temporal classification: targets without a place in time.

A network gives at every step a distribution over the symbols and a blank. A path π is
one choice per step; it is read by merging what repeats and leaving out the blanks:
B(a a - a b b) = a a b. A target y is as likely as all paths that read as y together:

    P(y | x) = Σ_{π: B(π) = y} Π_t p_t(π_t)         the loss is -log P(y | x)

Graves, Fernández, Gomez and Schmidhuber, "Connectionist temporal classification:
labelling unsegmented sequence data with recurrent neural networks", ICML 2006.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from throughtime.checks import number, positive_int
from throughtime.errors import InvalidShape, InvalidValue

# log P of a symbol after the symbols before it, in nats.
Continuation = Callable[[tuple[int, ...], int], float]


class Reading(NamedTuple):
    """What a sequence may say.

    symbols: without blanks.
    score: log P(symbols | x) of the paths that were kept, in nats, and what a language
        model adds to it.
    """

    symbols: tuple[int, ...]
    score: float


def least_steps(target: Sequence[int]) -> int:
    """How many steps a target needs: a blank must stand between equal neighbours.

    >>> least_steps([1, 2, 2, 3])
    5
    """
    return len(target) + sum(a == b for a, b in pairwise(target))


def ctc_loss(
    logits: Tensor,
    lengths: Tensor,
    targets: Tensor,
    target_lengths: Tensor,
    *,
    blank: int = 0,
) -> Tensor:
    """-log P(y | x) of every sequence, in nats, (B,).

    Args:
        logits: (T, B, V), with the blank among the V.
        lengths: steps of each sequence, (B,), from 0 on.
        targets: long, (L, B).
        target_lengths: symbols of each target, (B,), from 0 on.
        blank: index of the blank.

    Raises:
        InvalidShape: shapes that do not fit.
        InvalidValue: a target holds the blank or lies outside [0, V), or needs more
            steps than its sequence has.

    >>> one = torch.tensor([1])
    >>> ctc_loss(torch.zeros(1, 1, 2), one, torch.ones(1, 1).long(), one).exp()
    tensor([2.])
    """
    steps, batch, classes = logits.shape
    shapes = (lengths.shape, target_lengths.shape, targets.shape[1:])
    if any(shape != (batch,) for shape in shapes) or targets.dim() != 2:
        raise InvalidShape(
            f"with logits {tuple(logits.shape)} lengths and target_lengths must have "
            f"shape ({batch},) and targets (L, {batch}), got {tuple(lengths.shape)}, "
            f"{tuple(target_lengths.shape)} and {tuple(targets.shape)}"
        )
    if batch == 0:
        return logits.new_zeros(0)
    rows = [
        row[:length].tolist()
        for row, length in zip(targets.t(), target_lengths.tolist(), strict=True)
    ]
    for index, (row, have) in enumerate(zip(rows, lengths.tolist(), strict=True)):
        if any(symbol == blank or not 0 <= symbol < classes for symbol in row):
            raise InvalidValue(
                f"targets must lie in [0, {classes}) and differ from the blank, "
                f"{blank}, got {row} for sequence {index}"
            )
        if least_steps(row) > have:
            raise InvalidValue(
                f"the target of sequence {index} needs {least_steps(row)} steps, and "
                f"the sequence has {have}; leave it out, or subsample less"
            )
    if steps == 0:  # torch wants at least one; beyond the lengths nothing counts
        logits = torch.cat([logits, logits.new_zeros(1, batch, classes)])
    flat = torch.tensor(
        [symbol for row in rows for symbol in row],
        dtype=torch.long,
        device=logits.device,
    )
    return F.ctc_loss(
        logits.log_softmax(-1),
        flat,
        lengths,
        target_lengths,
        blank=blank,
        reduction="none",
    )


def greedy_reading(log_probs: Tensor, *, blank: int = 0) -> list[int]:
    """What the likeliest path says: merge what repeats, leave out blanks.

    Args:
        log_probs: of one sequence, (T, V); logits do as well.
        blank: index of the blank.

    >>> path = torch.tensor([1, 1, 0, 1, 2])
    >>> greedy_reading(F.one_hot(path, 3))
    [1, 1, 2]
    """
    path = log_probs.argmax(-1).unique_consecutive().tolist() if len(log_probs) else []
    return [symbol for symbol in path if symbol != blank]


def beam_readings(
    log_probs: Tensor,
    *,
    blank: int = 0,
    beam_size: int = 10,
    continuation: Continuation | None = None,
    weight: float = 1.0,
    bonus: float = 0.0,
) -> list[Reading]:
    r"""The likeliest readings found, best first: the paths of a prefix go together.

    log P(y | x) + weight Σ_n log P_LM(y_n | y_1..y_{n-1}) + bonus |y| is looked for.
    With a beam that holds every prefix it is exact. Prefix search as in Graves et al.,
    2006, in the form of Hannun, Maas, Jurafsky and Ng, "First-pass large vocabulary
    continuous speech recognition using bi-directional recurrent DNNs", arXiv 1408.2873.

    Args:
        log_probs: log p_t of one sequence, (T, V), normalised.
        blank: index of the blank.
        beam_size: prefixes kept after each step.
        continuation: log P_LM(symbol | symbols before it); None: no language model.
        weight: of the language model.
        bonus: for every symbol, as a language model prefers short texts.

    Raises:
        InvalidShape: not (T, V).
        InvalidType: an option has the wrong type.
        InvalidValue: an option is out of range, or log_probs hold NaN.

    >>> steps = torch.log(torch.tensor([[0.6, 0.4], [0.6, 0.4]]))
    >>> greedy_reading(steps), beam_readings(steps)[0].symbols
    ([], (1,))
    """
    positive_int("beam_size", beam_size)
    number("weight", weight)
    number("bonus", bonus)
    if log_probs.dim() != 2:
        raise InvalidShape(f"log_probs must be (T, V), got {tuple(log_probs.shape)}")
    if log_probs.isnan().any():
        raise InvalidValue("log_probs hold NaN; check that training converged")
    prefixes: dict[tuple[int, ...], _Paths] = {(): _Paths(0.0, -math.inf)}
    added: dict[tuple[int, ...], float] = {(): 0.0}
    for step in log_probs.detach().double().cpu().tolist():
        follow: defaultdict[tuple[int, ...], _Paths] = defaultdict(_Paths)
        for prefix, paths in prefixes.items():
            total = _add(paths.blank, paths.symbol)
            same = follow[prefix]
            same.blank = _add(same.blank, total + step[blank])
            last = prefix[-1] if prefix else None
            if last is not None:
                same.symbol = _add(same.symbol, paths.symbol + step[last])
            for symbol, log_prob in enumerate(step):
                if symbol == blank or log_prob == -math.inf:
                    continue
                longer = (*prefix, symbol)
                if longer not in added:
                    model = continuation(prefix, symbol) if continuation else 0.0
                    added[longer] = added[prefix] + weight * model + bonus
                # After the same symbol only a path with a blank in between says two.
                before = paths.blank if symbol == last else total
                follow[longer].symbol = _add(follow[longer].symbol, before + log_prob)
        ranked = sorted(
            ((_score(p, added[prefix]), prefix) for prefix, p in follow.items()),
            key=lambda scored: (-scored[0], scored[1]),
        )
        kept = [p for score, p in ranked[:beam_size] if score > -math.inf]
        prefixes = {prefix: follow[prefix] for prefix in kept}
        added = {prefix: added[prefix] for prefix in kept}
    found = [Reading(y, _score(p, added[y])) for y, p in prefixes.items()]
    return sorted(found, key=lambda reading: (-reading.score, reading.symbols))


class _Paths:
    """log P of the paths of a prefix that end in a blank, and of those that do not."""

    __slots__ = ("blank", "symbol")

    def __init__(self, blank: float = -math.inf, symbol: float = -math.inf) -> None:
        self.blank = blank
        self.symbol = symbol


def _score(paths: _Paths, added: float) -> float:
    return _add(paths.blank, paths.symbol) + added


def _add(a: float, b: float) -> float:
    """log(e^a + e^b)."""
    if a < b:
        a, b = b, a
    return a if b == -math.inf else a + math.log1p(math.exp(b - a))
