"""Language models that count: the next token from the n - 1 before it."""

import tempfile
from collections.abc import Sequence
from copy import copy
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from throughtime.checks import number, positive_int
from throughtime.errors import InvalidShape, InvalidType, InvalidValue
from throughtime.models.methods import LanguageModelMethods
from throughtime.models.ngram.counts import Counts, count_ngrams
from throughtime.models.ngram.external import count_ngrams_external
from throughtime.models.ngram.interpolation import Interpolation
from throughtime.models.ngram.lower_orders import totals
from throughtime.models.ngram.pruning import (
    checked_minima,
    prune_counts,
    prune_entropy,
)
from throughtime.models.ngram.smoothing import make_estimator
from throughtime.models.ngram.storage import OrderStorage, storage
from throughtime.models.ngram.stupid_backoff import StupidBackoff, raw_scores
from throughtime.models.ngram.tables import Ints, Level, distributions, score
from throughtime.models.protocol import checked_tokens

# Tokens scored at once, which bounds the memory that it takes.
CHUNK = 1 << 20


class NGramLM(LanguageModelMethods):
    """An n-gram model with any smoothing, interpolated modified Kneser-Ney by default.

    Meets ``LanguageModelProtocol``; its state is the last order - 1 tokens, or all of
    them if fewer were read. What every smoothing does, and which options it has:
    docs/ngrams.md.

    Args:
        order: n, so that a token depends on the n - 1 before it.
        vocabulary_size: V.
        smoothing: how probabilities come from counts, a name in ``SMOOTHINGS``.
        **options: of the smoothing, for example ``delta`` of "additive".

    Attributes:
        order, smoothing: as given.
        estimator: the smoothing with its options, those found in fitting too.
        boundary: the token that ends independent lines, or None for one stream.

    Raises:
        InvalidType: no int.
        InvalidValue: not positive, or a smoothing or option that there is not.

    >>> model = NGramLM(2, vocabulary_size=3).fit(torch.tensor([0, 1, 0, 1, 0, 2]))
    >>> log_probs, _ = model.next_log_probs(torch.tensor([[0]]), model.initial_state(1))
    >>> log_probs.shape, round(float(log_probs.exp().sum()), 9)
    (torch.Size([1, 1, 3]), 1.0)
    """

    def __init__(
        self,
        order: int = 5,
        *,
        vocabulary_size: int,
        smoothing: str = "kneser-ney",
        **options: Any,
    ) -> None:
        self.order = positive_int("order", order)
        if vocabulary_size == 0:
            raise InvalidValue(
                "empty vocabulary: vocabulary_size must be greater than zero, got 0"
            )
        self._vocabulary_size = positive_int("vocabulary_size", vocabulary_size)
        self.smoothing = smoothing
        self.estimator = make_estimator(smoothing, **options)
        self.boundary: int | None = None
        self._levels: list[Level] = []
        self._foreign = False

    @classmethod
    def from_levels(
        cls,
        levels: Sequence[Level],
        *,
        boundary: int | None = None,
        smoothing: str = "kneser-ney",
        **options: Any,
    ) -> Self:
        """A model of tables made before, for example read from a file.

        Args:
            levels: orders 1..n; that of order 1 holds every token.
            boundary: the token that ends independent lines, or None.
            smoothing: how they were made.
            **options: of the smoothing.

        Raises:
            InvalidValue: no levels, a boundary outside [0, V), or a smoothing or option
                that there is not.
        """
        if not levels:
            raise InvalidValue("levels is empty; give those of the orders 1..n")
        size = len(levels[0].words)
        model = cls(len(levels), vocabulary_size=size, smoothing=smoothing, **options)
        model.boundary = checked_boundary(boundary, size)
        model._levels = list(levels)
        model._foreign = True
        return model

    @property
    def vocabulary_size(self) -> int:
        """V."""
        return self._vocabulary_size

    @property
    def levels(self) -> list[Level]:
        """The tables, in back-off form: orders 1..n.

        Raises:
            InvalidValue: the model is not fitted.
        """
        if not self._levels:
            raise InvalidValue(
                "the n-gram model has counted nothing yet; call fit first"
            )
        return self._levels

    @property
    def normalised(self) -> bool:
        """Whether the probabilities of the next token sum to 1 in every context.

        So do those of every smoothing. Levels from elsewhere are measured, to 1e-3.
        """
        if not self._foreign:
            return True
        return all((np.abs(total - 1) < 1e-3).all() for total in totals(self.levels))

    def storage(self) -> list[OrderStorage]:
        """Per order: n-grams, contexts that something follows, and bytes in memory."""
        return storage(self.levels)

    def fit(
        self,
        tokens: Tensor | Ints,
        *,
        boundary: int | None = None,
        held_out: Tensor | Ints | None = None,
        prune: Sequence[int] | None = None,
        memory: str | int | None = None,
    ) -> Self:
        """Count a text (N,); one shorter than the order has fewer levels.

        Args:
            tokens: the text; a numpy array may be memory-mapped.
            boundary: None: the text is one continuous stream. A token: it ends each
                line, and lines are independent. Each is read after one boundary, and
                no history goes beyond it.
            held_out: another text, to which "interpolation" fits its weights.
            prune: how often n-grams must occur to be kept, for the orders 1, 2, ...,
                the last number also for all above: (1, 1, 2) drops trigrams, and longer
                ones, that occur once. See ``pruned`` for the other kind of pruning.
            memory: count on disk, in a temporary folder (``TMPDIR`` says where), with
                about so many bytes of memory, as "1GB"; None: count in memory. The
                result is the same, and the model itself is in memory in any case.

        Raises:
            InvalidShape: not one sequence, or empty.
            InvalidType: no integers.
            InvalidValue: a token or the boundary outside [0, V), ``prune`` does not
                begin with 1, or ``held_out`` for a smoothing that fits nothing to it.
        """
        text = checked_text("tokens", tokens, self.vocabulary_size)
        boundary = checked_boundary(boundary, self.vocabulary_size)
        minima = None if prune is None else checked_minima(prune)
        order = min(self.order, len(text) + (boundary is not None))
        size = self.vocabulary_size
        if memory is None:
            counts = count_ngrams(text, order, size, boundary=boundary)
            return self._fit(counts, boundary, held_out, minima)
        with tempfile.TemporaryDirectory(prefix="throughtime-") as folder:
            counts = count_ngrams_external(
                text, order, size, boundary=boundary, memory=memory, folder=folder
            )
            return self._fit(counts, boundary, held_out, minima)

    def _fit(
        self,
        counts: list[Counts],
        boundary: int | None,
        held_out: Tensor | Ints | None,
        minima: Sequence[int] | None,
    ) -> Self:
        # No line may be as long as the order.
        counts = [table for table in counts if len(table.words)]
        if held_out is not None:
            other = checked_text("held_out", held_out, self.vocabulary_size)
            if not isinstance(self.estimator, Interpolation):
                raise InvalidValue(
                    f"smoothing {self.smoothing!r} fits nothing to held_out; only "
                    "'interpolation' does, leave it out"
                )
            self.estimator = self.estimator.fitted(counts, other, boundary=boundary)
        levels = self.estimator.levels(counts, boundary=boundary)
        if minima is not None:
            levels = prune_counts(levels, counts, minima)
        self._levels, self._foreign = levels, False
        self.boundary = boundary
        return self

    def pruned(self, threshold: float) -> Self:
        """A smaller model, by relative entropy (Stolcke, 1998).

        Args:
            threshold: an n-gram goes if its loss raises the model's own perplexity by
                less than this share; 1e-8 is mild, 1e-6 strong.

        Raises:
            InvalidType: no number.
            InvalidValue: negative, or the model is not fitted.
        """
        number("threshold", threshold, minimum=0)
        smaller = copy(self)
        smaller._levels = prune_entropy(self.levels, threshold)
        return smaller

    def zeros(self, tokens: Tensor | Ints) -> int:
        """How many tokens of a text but the first have probability 0.

        One is enough to make its perplexity infinite. Only "maximum-likelihood", and
        "interpolation" with weights that leave out the uniform distribution, have any.

        Raises:
            InvalidShape: not one sequence, or empty.
            InvalidType: no integers.
            InvalidValue: a token outside [0, V), or the model is not fitted.
        """
        return int(torch.isneginf(self.score(tokens)).sum())

    def score_raw(self, tokens: Tensor | Ints) -> Tensor:
        """log S of each token but the first, the scores of "stupid-backoff" (N - 1,).

        They are what Brants et al. define, and do not sum to 1; ``score`` gives the
        probabilities made of them.

        Raises:
            InvalidShape: not one sequence, or empty.
            InvalidType: no integers.
            InvalidValue: another smoothing, a token outside [0, V), or the model is not
                fitted.
        """
        if not isinstance(self.estimator, StupidBackoff):
            raise InvalidValue(
                f"smoothing {self.smoothing!r} has no raw scores; only 'stupid-backoff'"
                " has, use score"
            )
        text = checked_text("tokens", tokens, self.vocabulary_size)
        raw = raw_scores(
            self.levels, text, alpha=self.estimator.alpha, boundary=self.boundary
        )
        return torch.from_numpy(raw[1:])

    def score(self, tokens: Tensor | Ints) -> Tensor:
        """log P of each token but the first given all before it, float64 (N - 1,).

        The first token is only read: nothing comes before it. Where lines are
        independent, what is before a boundary is forgotten after it. -inf where the
        probability is 0; see ``zeros``.

        Raises:
            InvalidShape: not one sequence, or empty.
            InvalidType: no integers.
            InvalidValue: a token outside [0, V), or the model is not fitted.
        """
        levels = self.levels
        text = checked_text("tokens", tokens, self.vocabulary_size)
        result = np.empty(len(text) - 1)
        for start in range(1, len(text), CHUNK):
            stop = min(start + CHUNK, len(text))
            past = max(0, start - (self.order - 1))
            # At least one token of the past, also at order 1.
            past = min(past, start - 1)
            part = text[past:stop].astype(np.int64)
            part = score(levels, part)[start - past :]
            result[start - 1 : stop - 1] = part
        return torch.from_numpy(result)

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
        levels = self.levels
        tokens = checked_tokens("tokens", tokens, self.vocabulary_size)
        if tokens.dim() != 2 or state.dim() != 2 or tokens.size(1) != state.size(1):
            raise InvalidShape(
                f"tokens must be (T, B) and state (n, B), got {tuple(tokens.shape)} "
                f"and {tuple(state.shape)}; begin with initial_state(B)"
            )
        history = torch.cat([state, tokens.cpu()])
        log_probs = distributions(levels, history.numpy(), len(tokens))
        kept = max(0, len(history) - (self.order - 1))
        return torch.from_numpy(log_probs).to(tokens.device), history[kept:]

    def select_state(self, state: Tensor, indices: Tensor) -> Tensor:
        """The state of the sequences ``indices`` of the batch."""
        return state.index_select(1, indices.cpu())


def checked_text(name: str, tokens: Any, vocabulary_size: int) -> Ints:
    """One sequence of tokens, as a numpy array, which is not copied.

    Raises:
        InvalidShape: not one sequence, or empty.
        InvalidType: no integers.
        InvalidValue: a token outside [0, V).
    """
    if isinstance(tokens, Tensor) and not tokens.is_floating_point():
        # Mapped tokens of 2 or 4 bytes stay as they are.
        tokens = tokens.detach().cpu().numpy()
    if isinstance(tokens, np.ndarray):
        if tokens.dtype.kind not in "iu":
            raise InvalidType(f"{name} should be integers, got {tokens.dtype}")
        outside = tokens.size and not (
            0 <= int(tokens.min()) <= int(tokens.max()) < vocabulary_size
        )
        if outside:
            raise InvalidValue(
                f"{name} must lie in [0, {vocabulary_size}), got values from "
                f"{tokens.min()} to {tokens.max()}; encode them with the vocabulary "
                "of the model"
            )
        text = tokens
    else:
        text = checked_tokens(name, tokens, vocabulary_size).cpu().numpy()
    if text.ndim != 1 or len(text) == 0:
        raise InvalidShape(
            f"{name} must be one sequence (N,), not empty, got {text.shape}"
        )
    return text


def checked_boundary(boundary: Any, vocabulary_size: int) -> int | None:
    """None, or a token in [0, V).

    Raises:
        InvalidValue: anything else.
    """
    if boundary is None:
        return None
    if isinstance(boundary, bool) or boundary not in range(vocabulary_size):
        raise InvalidValue(
            f"boundary must be a token in [0, {vocabulary_size}) or None, got "
            f"{boundary!r}"
        )
    return int(boundary)
