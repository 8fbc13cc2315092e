r"""An n-gram language model: interpolated modified Kneser-Ney.

    P_n(w | u) = max(c(u w) - D(c(u w)), 0) / c(u ·)  +  γ(u) P_{n-1}(w | u')
    γ(u) = (D_1 N_1(u ·) + D_2 N_2(u ·) + D_3 N_3+(u ·)) / c(u ·)

u' is u without its first token, N_k(u ·) the number of tokens that follow u k times
(3+: three or more), P_0 = 1/V. At the highest order c counts occurrences; below, it
counts the different tokens that precede (continuation counts). Per order, with n_k the
number of n-grams of count k: Y = n_1 / (n_1 + 2 n_2) and
D_k = k - (k + 1) Y n_{k+1} / n_k.
Chen and Goodman, "An empirical study of smoothing techniques for language modeling",
Harvard TR-10-98, 1998.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from throughtime.checks import positive_int
from throughtime.errors import InvalidShape, InvalidValue
from throughtime.models.ngram.keys import Ints, Order, count_ngrams, find
from throughtime.models.protocol import checked_tokens

Floats = NDArray[np.float64]

# Where the formula has no answer: what KenLM's --discount_fallback uses.
FALLBACK_DISCOUNTS = (0.5, 1.0, 1.5)


@dataclass(frozen=True)
class _Level:
    """One order, ready for look-up.

    table: its n-grams; first: the discounted share of each, max(c - D, 0) / c(u ·);
    left: γ of each context, by the context's number in the order below.
    """

    table: Order
    first: Floats
    left: Floats


class NGramLM:
    """Interpolated modified Kneser-Ney over one continuous text.

    Meets ``LanguageModelProtocol``; its state is the last order - 1 tokens, or all of
    them if fewer were read. Every token has some probability in every context.

    Args:
        order: n, so that a token depends on the n - 1 before it.
        vocabulary_size: V.

    Raises:
        InvalidType: no int.
        InvalidValue: not positive.

    >>> model = NGramLM(2, vocabulary_size=3).fit(torch.tensor([0, 1, 0, 1, 0, 2]))
    >>> log_probs, _ = model.next_log_probs(torch.tensor([[0]]), model.initial_state(1))
    >>> log_probs.shape, round(float(log_probs.exp().sum()), 9)
    (torch.Size([1, 1, 3]), 1.0)
    """

    def __init__(self, order: int = 5, *, vocabulary_size: int) -> None:
        self.order = positive_int("order", order)
        self._vocabulary_size = positive_int("vocabulary_size", vocabulary_size)
        self._levels: list[_Level] = []

    @property
    def vocabulary_size(self) -> int:
        """V."""
        return self._vocabulary_size

    def fit(self, tokens: Tensor) -> Self:
        """Count a text (N,); with N < order the highest order is N.

        Raises:
            InvalidShape: not one sequence, or empty.
            InvalidType: no tensor of integers.
            InvalidValue: a token outside [0, V).
        """
        text = self._as_array(tokens)
        tables = count_ngrams(text, min(self.order, len(text)), self.vocabulary_size)
        self._levels = []
        for n, table in enumerate(tables, start=1):
            counts = table.counts
            if n < len(tables):
                # Continuation counts: how many different tokens precede.
                above = tables[n].suffix
                counts = np.bincount(above, minlength=len(table.keys))
            contexts = len(tables[n - 2].keys) if n > 1 else 1
            self._levels.append(_level(table, counts, contexts))
        return self

    def score(self, tokens: Tensor) -> Tensor:
        """log P of each token but the first given all before it, float64 (N - 1,).

        The first token is only read: nothing comes before it.

        Raises:
            InvalidShape: not one sequence, or empty.
            InvalidType: no tensor of integers.
            InvalidValue: a token outside [0, V), or the model is not fitted.
        """
        self._check_fitted()
        text = self._as_array(tokens)
        probability = np.full(len(text), 1 / self.vocabulary_size)
        for level, contexts, found in self._look_up(text):
            left = np.where(contexts >= 0, level.left[contexts], 1.0)
            share = np.where(found >= 0, level.first[found], 0.0)
            probability = share + left * probability
        return torch.from_numpy(np.log(probability[1:]))

    def _look_up(self, text: Ints) -> Iterator[tuple[_Level, Ints, Ints]]:
        """Where every order's n-grams of a text are in the tables.

        Args:
            text: (N,) or (N, B), without a past.

        Yields:
            Per order, for every position: the number of the context before it, and of
            the n-gram that ends at it; -1 for what was never counted.
        """
        contexts = np.zeros_like(text)
        for level in self._levels:
            found = find(level.table, contexts, text, self.vocabulary_size)
            yield level, contexts, found
            # What ends at t - 1 is the context of the next order at t.
            contexts = np.full_like(text, -1)
            contexts[1:] = found[:-1]

    # ---- LanguageModelProtocol

    def initial_state(self, batch_size: int) -> Tensor:
        """No tokens yet, (0, B)."""
        positive_int("batch_size", batch_size)
        return torch.zeros((0, batch_size), dtype=torch.long)

    def next_log_probs(self, tokens: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """log P(next token) after each of the tokens (T, B): float64 (T, B, V).

        Computed on the CPU, returned on the device of ``tokens``.

        Raises:
            InvalidShape: tokens not (T, B), or a state of another batch.
            InvalidType: no tensor of integers.
            InvalidValue: a token outside [0, V), or the model is not fitted.
        """
        self._check_fitted()
        tokens = checked_tokens("tokens", tokens, self.vocabulary_size)
        if tokens.dim() != 2 or state.dim() != 2 or tokens.size(1) != state.size(1):
            raise InvalidShape(
                f"tokens must be (T, B) and state (n, B), got {tuple(tokens.shape)} "
                f"and {tuple(state.shape)}; begin with initial_state(B)"
            )
        history = torch.cat([state, tokens.cpu()])
        log_probs = np.log(self._distributions(history.numpy(), len(tokens)))
        kept = max(0, len(history) - (self.order - 1))
        return torch.from_numpy(log_probs).to(tokens.device), history[kept:]

    def select_state(self, state: Tensor, indices: Tensor) -> Tensor:
        """The state of the sequences ``indices`` of the batch."""
        return state.index_select(1, indices.cpu())

    def _distributions(self, history: Ints, steps: int) -> Floats:
        """P(· | history up to there) after each of the last steps, (steps, B, V)."""
        size = self.vocabulary_size
        batch = history.shape[1]
        rows = np.full((steps * batch, size), 1 / size)
        # What ends at t is the context of the next order at t + 1.
        contexts = np.zeros(steps * batch, dtype=np.int64)
        for level, _, found in self._look_up(history):
            keys = level.table.keys
            first_key = contexts * size
            starts, stops = np.searchsorted(keys, [first_key, first_key + size])
            for row in np.flatnonzero(contexts >= 0):
                followers = slice(starts[row], stops[row])
                rows[row] *= level.left[contexts[row]]
                rows[row, keys[followers] - first_key[row]] += level.first[followers]
            contexts = found[len(history) - steps :].reshape(-1)
        return rows.reshape(steps, batch, size)

    # ---- checks

    def _check_fitted(self) -> None:
        if not self._levels:
            raise InvalidValue(
                "the n-gram model has counted nothing yet; call fit first"
            )

    def _as_array(self, tokens: Tensor) -> Ints:
        text = checked_tokens("tokens", tokens, self.vocabulary_size)
        if text.dim() != 1 or len(text) == 0:
            raise InvalidShape(
                f"tokens must be one sequence (N,), not empty, got {tuple(text.shape)}"
            )
        return text.cpu().numpy()


def discounts(counts: Ints) -> Floats:
    """D_1, D_2, D_3+ from the counts of one order, as (0, D_1, D_2, D_3+).

    A text that is small, or has few kinds of tokens, can have an n_k of 0 or a D_k that
    is not positive. Such an order takes 0.5, 1, 1.5.
    """
    n = [0, *(int((counts == k).sum()) for k in range(1, 5))]
    if min(n[1:]) == 0:
        return np.array([0.0, *FALLBACK_DISCOUNTS])
    y = n[1] / (n[1] + 2 * n[2])
    values = [k - (k + 1) * y * n[k + 1] / n[k] for k in (1, 2, 3)]
    if min(values) <= 0:
        values = FALLBACK_DISCOUNTS
    return np.array([0.0, *values])


def _level(table: Order, counts: Ints, contexts: int) -> _Level:
    d = discounts(counts)[np.minimum(counts, 3)]
    total = np.bincount(table.context, weights=counts, minlength=contexts)
    held = np.bincount(table.context, weights=d, minlength=contexts)
    total_or_1 = np.where(total > 0, total, 1.0)
    first = (counts - d) / total_or_1[table.context]
    return _Level(table, first, np.where(total > 0, held / total_or_1, 1.0))
