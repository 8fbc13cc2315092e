r"""Smaller tables: n-grams that matter little are taken out.

What stays keeps its p(u w). The back-off weights are computed anew where something
changed, so that every distribution sums to 1 again:

    b(u) = (1 - Σ p(u w)) / (1 - Σ P(w | u'))      over the followers w that stay

Tokens (order 1) and n-grams that begin a longer one that stays are never taken out.

By counts: n-grams that occur less often than a minimum per order. By relative entropy:
those whose loss alone would raise the perplexity of the model itself by less than a
threshold, as a share. With b' the weight of u after the loss,

    D = -P(u) [ p (log b' + log P(w | u') - log p) + (1 - Σ p) (log b' - log b) ]
    taken out if e^D - 1 < threshold

Stolcke, "Entropy-based pruning of backoff language models", DARPA Broadcast News
Transcription and Understanding Workshop, 1998. P(u) is what the model says of u; the
lower orders of Kneser-Ney are not made for that, so it loses more than others (Chelba,
Brants, Neveitt and Xu, "Study on interaction between entropy pruning and Kneser-Ney
smoothing", Interspeech 2010).
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from throughtime.checks import positive_int
from throughtime.errors import InvalidType, InvalidValue
from throughtime.models.ngram.counts import Counts
from throughtime.models.ngram.estimates import log, spread, sums
from throughtime.models.ngram.lower_orders import lower_log_p, suffixes
from throughtime.models.ngram.tables import Floats, Level

Masks = list[NDArray[np.bool_]]


def checked_minima(prune: Any) -> tuple[int, ...]:
    """Minimal counts of the orders 1, 2, ..., the first of them 1.

    Raises:
        InvalidType: no sequence of ints.
        InvalidValue: empty, not positive, or tokens would be pruned.
    """
    if isinstance(prune, str) or not isinstance(prune, Sequence):
        raise InvalidType(
            "prune should be a sequence of minimal counts, one per order, got "
            f"{type(prune).__name__}; (1, 1, 2) keeps all but trigrams that occur once"
        )
    minima = tuple(positive_int("prune", minimum) for minimum in prune)
    if not minima or minima[0] != 1:
        raise InvalidValue(
            f"prune must begin with 1, since no token is pruned, got {minima}"
        )
    return minima


def prune_counts(
    levels: Sequence[Level], counts: Sequence[Counts], minima: Sequence[int]
) -> list[Level]:
    """Without the n-grams that occur less often than the minimum of their order.

    Args:
        levels: orders 1..n.
        counts: what they were made of.
        minima: of orders 1, 2, ...; the last one is also that of all orders above.
    """
    wanted = [minima[min(n, len(minima) - 1)] for n in range(len(counts))]
    keep = [t.counts >= least for t, least in zip(counts, wanted, strict=True)]
    keep[0][:] = True
    return prune(levels, keep)


def prune_entropy(levels: Sequence[Level], threshold: float) -> list[Level]:
    """Without the n-grams that matter less to the perplexity than the threshold."""
    keep = [np.ones(len(levels[0].words), dtype=np.bool_)]
    log_p_context = np.zeros(1)
    for n, suffix in enumerate(suffixes(levels), start=2):
        below, level = levels[n - 2], levels[n - 1]
        # log P(u), by the chain rule.
        log_p_context = below.log_p + spread(log_p_context, below.starts)
        log_low = lower_log_p(levels, n, suffix)
        p, low = np.exp(level.log_p), np.exp(log_low)
        left = np.maximum(1 - sums(p, level.starts), 0)
        unseen = 1 - sums(low, level.starts)
        log_b = spread(log_ratio(left, unseen), level.starts)
        left, unseen = spread(left, level.starts), spread(unseen, level.starts)
        log_b_new = log_ratio(left + p, unseen + low)
        # Nothing is left in some contexts: log b is -inf, and weighs nothing.
        rise = np.where(left > 0, log_b_new - np.where(left > 0, log_b, 0.0), 0.0)
        change = p * (log_b_new + log_low - level.log_p) + left * rise
        loss = -np.exp(spread(log_p_context, level.starts)) * change
        keep.append(np.expm1(loss) >= threshold)
    return prune(levels, keep)


def prune(levels: Sequence[Level], keep: Masks) -> list[Level]:
    """What the masks keep, one per order, and all that it stands on; weights anew."""
    keep = [mask.copy() for mask in keep]
    for n in range(len(levels), 1, -1):
        followers = sums(keep[n - 1].astype(np.int64), levels[n - 1].starts)
        keep[n - 2] |= followers > 0
    pruned = [levels[0]]
    for level, mask, below in zip(levels[1:], keep[1:], keep, strict=False):
        followers = sums(mask.astype(np.int64), level.starts)[below]
        starts = np.zeros(len(followers) + 1, level.starts.dtype)
        np.cumsum(followers, out=starts[1:])
        backoff = None if level.log_backoff is None else level.log_backoff[mask]
        pruned.append(Level(level.words[mask], starts, level.log_p[mask], backoff))
    # From the bottom up: a weight depends on those of the orders below.
    for n, suffix in enumerate(suffixes(pruned), start=2):
        below, level = pruned[n - 2], pruned[n - 1]
        # A weight changes with the followers, and with what is below each of them.
        followers_before = np.diff(levels[n - 1].starts)[keep[n - 2]]
        changed = np.diff(level.starts) < followers_before
        changed |= sums((suffix < 0).astype(np.int64), level.starts) > 0
        left = 1 - sums(np.exp(level.log_p), level.starts)
        unseen = 1 - sums(np.exp(lower_log_p(pruned, n, suffix)), level.starts)
        assert below.log_backoff is not None
        anew = np.where(changed, log_ratio(left, unseen), below.log_backoff)
        pruned[n - 2] = replace(below, log_backoff=anew)
    while len(pruned) > 1 and not len(pruned[-1].words):
        del pruned[-1]
        pruned[-1] = replace(pruned[-1], log_backoff=None)
    return pruned


def log_ratio(left: Floats, unseen: Floats) -> Floats:
    """log b of contexts with so much left, for what so much is unseen of below."""
    none = (left <= 0) | (unseen <= 0)
    ratio = left / np.where(none, 1.0, unseen)
    return log(np.where(none, 0.0, ratio))
