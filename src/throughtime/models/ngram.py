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

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from throughtime.checks import positive_int
from throughtime.errors import InvalidShape, InvalidValue
from throughtime.models.ngram_counts import Ints, Order, count_ngrams, find

Floats = NDArray[np.float64]


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

    Meets ``LanguageModelProtocol``; its state is the last order - 1 tokens.

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
        """Count a text (N,).

        Raises:
            InvalidShape: not one sequence, or empty.
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

        Raises:
            InvalidShape: not one sequence, or empty.
            InvalidValue: a token outside [0, V), or the model is not fitted.
        """
        text = self._as_array(tokens)
        return torch.from_numpy(np.log(self._probabilities(text)[1:]))

    def _probabilities(self, text: Ints) -> Floats:
        """P of each token given those before it, for a text without a past."""
        self._check_fitted()
        probability = np.full(len(text), 1 / self.vocabulary_size)
        # Number of the context u of each position in the order below; -1: never seen.
        contexts = np.zeros(len(text), dtype=np.int64)
        for n, level in enumerate(self._levels, start=1):
            found = find(level.table, contexts, text, self.vocabulary_size)
            seen = contexts >= 0
            left = np.where(seen, level.left[contexts], 1.0)
            share = np.where(found >= 0, level.first[found], 0.0)
            probability = share + left * probability
            # The context of the next order at t is the n-gram that ends at t - 1.
            contexts = np.full(len(text), -1, dtype=np.int64)
            contexts[n:] = found[n - 1 : -1] if len(text) > n else []
        return probability

    # ---- LanguageModelProtocol

    def initial_state(self, batch_size: int) -> Tensor:
        """No tokens yet, (0, B)."""
        return torch.zeros((0, batch_size), dtype=torch.long)

    def next_log_probs(self, tokens: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """log P(next token) after each of the tokens (T, B): float64 (T, B, V)."""
        self._check_fitted()
        history = torch.cat([state, tokens])
        rows = [
            [
                self._distribution(history[: len(state) + t + 1, b].numpy())
                for b in range(tokens.size(1))
            ]
            for t in range(tokens.size(0))
        ]
        log_probs = torch.from_numpy(np.log(np.array(rows)))
        log_probs = log_probs.reshape(*tokens.shape, self.vocabulary_size)
        kept = max(0, len(history) - (self.order - 1))
        return log_probs, history[kept:]

    def select_state(self, state: Tensor, indices: Tensor) -> Tensor:
        """The state of the sequences ``indices`` of the batch."""
        return state.index_select(1, indices)

    def _distribution(self, history: Ints) -> Floats:
        """P(· | history), (V,)."""
        size = self.vocabulary_size
        probability = np.full(size, 1 / size)
        for n, level in enumerate(self._levels, start=1):
            context = self._context(history, n - 1)
            if context < 0:
                break
            start, stop = np.searchsorted(
                level.table.keys, [context * size, (context + 1) * size]
            )
            probability = level.left[context] * probability
            probability[level.table.keys[start:stop] - context * size] += level.first[
                start:stop
            ]
        return probability

    def _context(self, history: Ints, length: int) -> int:
        """Number of the last ``length`` tokens; -1 if never seen."""
        if length > len(history):
            return -1
        number = np.zeros(1, dtype=np.int64)
        for level, token in zip(
            self._levels, history[len(history) - length :], strict=False
        ):
            number = find(level.table, number, np.array([token]), self.vocabulary_size)
        return int(number[0])

    # ---- checks

    def _check_fitted(self) -> None:
        if not self._levels:
            raise InvalidValue(
                "the n-gram model has counted nothing yet; call fit first"
            )

    def _as_array(self, tokens: Tensor) -> Ints:
        if tokens.dim() != 1 or len(tokens) == 0:
            raise InvalidShape(
                f"tokens must be one sequence (N,), not empty, got "
                f"{tuple(tokens.shape)}"
            )
        if not 0 <= int(tokens.min()) <= int(tokens.max()) < self.vocabulary_size:
            raise InvalidValue(
                f"tokens must lie in [0, {self.vocabulary_size}), got values from "
                f"{int(tokens.min())} to {int(tokens.max())}"
            )
        return tokens.numpy().astype(np.int64)


def discounts(counts: Ints) -> Floats:
    """D_1, D_2, D_3+ from the counts of one order, as (0, D_1, D_2, D_3+).

    Where the text is too small for the formula (some n_k is 0), or it leaves [0.1, k],
    D_k is the nearest value in that range: every seen context hands something down, and
    no share is negative.
    """
    n = [0, *(int((counts == k).sum()) for k in range(1, 5))]
    y = n[1] / (n[1] + 2 * n[2]) if n[1] else 0.5
    values = [0.0]
    for k in (1, 2, 3):
        d = k - (k + 1) * y * n[k + 1] / n[k] if n[k] else k * y
        values.append(min(max(d, 0.1), float(k)))
    return np.array(values)


def _level(table: Order, counts: Ints, contexts: int) -> _Level:
    d = discounts(counts)[np.minimum(counts, 3)]
    total = np.bincount(table.context, weights=counts, minlength=contexts)
    held = np.bincount(table.context, weights=d, minlength=contexts)
    total_or_1 = np.where(total > 0, total, 1.0)
    first = (counts - d) / total_or_1[table.context]
    return _Level(table, first, np.where(total > 0, held / total_or_1, 1.0))
