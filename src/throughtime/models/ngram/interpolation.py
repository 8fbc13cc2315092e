r"""Linear interpolation: relative frequencies of all orders, mixed.

    P(w | u) = Σ_k λ_k c(u_k w) / c(u_k ·)  +  λ_0 / V        u_k: the last k - 1 tokens

Written order by order, P_k = μ_k c(u_k w) / c(u_k ·) + (1 - μ_k) P_{k-1} with
μ_k = λ_k / (λ_0 + ... + λ_k). Where u_k never occurred, P_k = P_{k-1}: its weight goes
to the lower orders in proportion, and the sum stays 1.

The weights are given, or fitted by expectation maximisation to a held-out text: all of
it alike, or in buckets by how often the context occurred (bucket i: 2^i to 2^(i+1) - 1
times, the last one without end), so that frequent contexts are trusted more. Fitting
counts two tokens more in each bucket, so that no weight becomes 0 or 1.
Jelinek and Mercer, "Interpolated estimation of Markov source parameters from sparse
data", 1980; buckets: Bahl, Jelinek and Mercer, 1983.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from throughtime.checks import number, positive_int
from throughtime.errors import InvalidValue
from throughtime.models.ngram.counts import Counts, with_boundary
from throughtime.models.ngram.estimates import Part, interpolated, spread, sums
from throughtime.models.ngram.maximum_likelihood import MaximumLikelihood
from throughtime.models.ngram.tables import Floats, Ints, Level, look_up

ROUNDS = 200
# Change of every μ at which fitting stops.
TOLERANCE = 1e-5


@dataclass(frozen=True)
class Interpolation:
    """Fixed or fitted weights.

    Attributes:
        weights: λ_n to λ_1, the highest order first, then λ_0 if the uniform
            distribution takes part; they sum to 1. None: fitted.
        buckets: how many classes of contexts are fitted separately.
        trust: μ of each order from 1 up, for every bucket, as fitted.
    """

    weights: Sequence[float] | None = None
    buckets: int = 1
    trust: tuple[tuple[float, ...], ...] | None = None

    def __post_init__(self) -> None:
        positive_int("buckets", self.buckets)
        if self.weights is None:
            return
        for weight in self.weights:
            number("weights", weight, minimum=0, maximum=1)
        if not math.isclose(sum(self.weights), 1, abs_tol=1e-9):
            raise InvalidValue(
                f"weights must sum to 1, got {tuple(self.weights)}, which sum to "
                f"{sum(self.weights):g}"
            )

    def levels(
        self, counts: Sequence[Counts], *, boundary: int | None = None
    ) -> list[Level]:
        trust = self._trust(len(counts))
        parts = (_part(t, mu) for t, mu in zip(counts, trust, strict=True))
        return interpolated(counts, parts)

    def _trust(self, order: int) -> list[Floats]:
        if self.trust is not None:
            return [np.array(mu) for mu in self.trust]
        if self.weights is None:
            raise InvalidValue(
                "interpolation needs its weights: give them, or a held-out text to fit "
                "them to, as in fit(tokens, held_out=...)"
            )
        if len(self.weights) not in (order, order + 1):
            raise InvalidValue(
                f"weights must be {order} (orders {order} to 1, {order} being the "
                f"longest n-gram of the text), or {order + 1} with the uniform "
                f"distribution last, got {len(self.weights)}"
            )
        upward = np.array(self.weights)[::-1]
        if len(upward) == order:
            upward = np.array([0.0, *upward])
        below = np.cumsum(upward)
        # Where an order and all below weigh nothing, the order itself is as good.
        mu = np.where(below > 0, upward / np.maximum(below, 1e-300), 1.0)
        return [mu[k : k + 1] for k in range(1, order + 1)]

    def fitted(
        self, counts: Sequence[Counts], held_out: Ints, *, boundary: int | None = None
    ) -> Self:
        """With the weights that make a held-out text most likely."""
        past = 0 if boundary is None else 1
        text = with_boundary(held_out, boundary)
        p, bucket = [], []
        shares = MaximumLikelihood().levels(counts)
        for table, level, (contexts, found) in zip(
            counts, shares, look_up(shares, text), strict=True
        ):
            total = sums(table.counts, table.starts)
            which = buckets_of(total, self.buckets)
            p.append(np.where(found >= 0, np.exp(level.log_p[found]), 0.0)[past:])
            bucket.append(np.where(contexts >= 0, which[contexts], -1)[past:])
        uniform = 1 / len(counts[0].words)
        trust = [np.full(self.buckets, 0.5) for _ in counts]
        for _ in range(ROUNDS):
            before = trust
            trust = _better(before, p, bucket, uniform)
            change = np.max(np.abs(np.array(trust) - np.array(before)))
            if change < TOLERANCE:
                break
        return replace(self, trust=tuple(tuple(mu.tolist()) for mu in trust))


def buckets_of(total: Ints, buckets: int) -> Ints:
    """The bucket of each context by its count; -1 for one that nothing follows."""
    exponent = np.frexp(total)[1] - 1
    return np.where(total > 0, np.minimum(exponent, buckets - 1), -1)


def _part(table: Counts, mu: Floats) -> Part:
    total = sums(table.counts, table.starts)
    bucket = buckets_of(total, len(mu))
    weight: Floats = np.where(bucket >= 0, mu[bucket], 0.0)
    scale: Floats = spread(weight / np.maximum(total, 1), table.starts)
    return scale * table.counts, 1 - weight


def _better(
    trust: list[Floats], p: list[Floats], bucket: list[Ints], uniform: float
) -> list[Floats]:
    """One round of expectation maximisation.

    A token is drawn from order n with probability μ_n, else from order n - 1 with
    probability μ_{n-1}, and so on. μ_k is how many of those that came down to order k
    were drawn there.
    """
    mixed = [np.full(len(p[0]), uniform)]
    weights = []
    for mu, shares, which in zip(trust, p, bucket, strict=True):
        weight = np.where(which >= 0, mu[which], 0.0)
        weights.append(weight)
        mixed.append(weight * shares + (1 - weight) * mixed[-1])
    came_down = np.ones(len(p[0]))
    better = []
    for k in reversed(range(len(trust))):
        drawn = came_down * weights[k] * p[k] / mixed[k + 1]
        known = bucket[k] >= 0
        which, size = bucket[k][known], len(trust[k])
        here = np.bincount(which, drawn[known], size)
        all_ = np.bincount(which, came_down[known], size)
        # As if two more had come down, and one of them were drawn here.
        better.append((here + 1) / (all_ + 2))
        came_down = came_down - drawn
    return better[::-1]
