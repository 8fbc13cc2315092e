r"""A cache: words that were read lately are likely to come again.

    P(w | past) = (1 - λ) P_model(w | past) + λ P_cache(w | past)
    P_cache(w | past) = Σ_i a_i 1{w = x_i},    Σ_i a_i = 1

over the last ``size`` tokens x_i of the text itself. In the unigram cache a token's
share a_i depends on its age alone: 1/size for all, or falling with the distance. Kuhn
and De Mori, "A cache-based natural language model for speech recognition", IEEE
Transactions on Pattern Analysis and Machine Intelligence 12, 1990.
"""

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor

from throughtime.checks import number, positive_int
from throughtime.errors import InvalidValue
from throughtime.models.methods import LanguageModelMethods, answering
from throughtime.models.mixture import fit_weights, mix
from throughtime.models.protocol import LanguageModelProtocol, checked_prompt
from throughtime.models.scoring import target_log_probs, token_log_probs


class UnigramState(NamedTuple):
    """What a unigram cache remembers.

    Attributes:
        inner: the state of the model.
        tokens: the last tokens read, at most ``size``, (n, B).
    """

    inner: Any
    tokens: Tensor


class UnigramCache(LanguageModelMethods):
    """Any language model, mixed with the frequencies of the last tokens.

    Meets ``LanguageModelProtocol``. A token enters the cache when it is read, so after
    it was predicted. Of a text shorter than ``size`` all of it is in the cache.

    Args:
        model: the language model.
        size: tokens remembered.
        weight: λ.
        decay: a token's share in the cache is ``decay`` times that of the next.

    Raises:
        InvalidType: a number of the wrong type.
        InvalidValue: a number out of range.

    >>> from throughtime.models.ngram import NGramLM
    >>> text = torch.tensor([0, 1, 2, 0, 1, 0, 2, 2, 1, 0])
    >>> model = NGramLM(1, vocabulary_size=3).fit(text)
    >>> cached = UnigramCache(model, size=4, weight=0.5)
    >>> cached.next_distribution(torch.tensor([2, 2, 2, 2]))
    tensor([0.2000, 0.1500, 0.6500], dtype=torch.float64)
    """

    def __init__(
        self,
        model: LanguageModelProtocol,
        *,
        size: int = 500,
        weight: float = 0.1,
        decay: float = 1.0,
    ) -> None:
        self.models = (model,)
        self.size = positive_int("size", size)
        self.weight = checked_weight(weight)
        self.decay = number("decay", decay, minimum=0, maximum=1, exclude_minimum=True)

    @property
    def vocabulary_size(self) -> int:
        """V."""
        return self.models[0].vocabulary_size

    @classmethod
    def fit(
        cls,
        model: LanguageModelProtocol,
        tokens: Tensor,
        *,
        sizes: Sequence[int] = (100, 200, 500, 1000, 2000),
        decays: Sequence[float] = (1.0,),
    ) -> Self:
        """The size and decay among these, and the λ, that fit a text (N,) best.

        The text is one held out from training. Of each size and decay the best λ is
        found by EM, see ``mixture.fit_weights``.

        Raises:
            InvalidShape: ``tokens`` is empty or not one sequence.
            InvalidType: an argument has the wrong type.
            InvalidValue: a number or a token is out of range, nothing to try, or
                only one token.
        """
        with answering(model):
            base = token_log_probs(model, tokens)
        found = []
        for size, decay in itertools.product(sizes, decays):
            cache = cls(model, size=size, decay=decay).cache_log_probs(tokens)
            found.append((*fitted_weight(base, cache), size, decay))
        if not found:
            raise InvalidValue("sizes or decays is empty; give at least one to try")
        _, weight, size, decay = min(found)
        return cls(model, size=size, weight=weight, decay=decay)

    def cache_log_probs(self, tokens: Tensor) -> Tensor:
        """log P_cache of each token of a text but the first, float64 (N - 1,)."""
        tokens = checked_prompt("tokens", tokens, self.vocabulary_size).unsqueeze(1)
        past = tokens[:0]
        found = [torch.zeros((0, 1), dtype=torch.float64, device=tokens.device)]
        pairs = zip(tokens[:-1].split(256), tokens[1:].split(256), strict=True)
        for read, asked in pairs:
            history = torch.cat([past, read])
            found.append(share_of(self._shares(history, len(read)), history, asked))
            past = history[-self.size :]
        return torch.cat(found)[:, 0].log()

    def score(self, tokens: Tensor) -> Tensor:
        """log P of each token but the first given all before it, float64 (N - 1,)."""
        cache = self.cache_log_probs(tokens)
        return self._mix(token_log_probs(self.models[0], tokens), cache)

    def target_log_probs(
        self, inputs: Tensor, targets: Tensor, state: UnigramState
    ) -> tuple[Tensor, UnigramState]:
        """See ``scoring.target_log_probs``; float64."""
        model = self.models[0]
        base, inner = target_log_probs(model, inputs, targets, state.inner)
        history = torch.cat([state.tokens.to(inputs.device), inputs])
        cache = share_of(self._shares(history, len(inputs)), history, targets)
        new = UnigramState(inner, history[-self.size :])
        return self._mix(base, cache.log()), new

    # ---- LanguageModelProtocol

    def initial_state(self, batch_size: int) -> UnigramState:
        """An empty cache."""
        inner = self.models[0].initial_state(batch_size)
        return UnigramState(inner, torch.zeros((0, batch_size), dtype=torch.long))

    def next_log_probs(
        self, tokens: Tensor, state: UnigramState
    ) -> tuple[Tensor, UnigramState]:
        """log P(next token | everything read), float64 (T, B, V), and the state."""
        base, inner = self.models[0].next_log_probs(tokens, state.inner)
        history = torch.cat([state.tokens.to(tokens.device), tokens])
        shares = self._shares(history, len(tokens))
        cache = spread(shares, history, self.vocabulary_size)
        new = UnigramState(inner, history[-self.size :])
        return self._mix(base, cache.log()), new

    def select_state(self, state: UnigramState, indices: Tensor) -> UnigramState:
        """The state of the sequences ``indices`` of the batch."""
        inner = self.models[0].select_state(state.inner, indices)
        index = indices.to(state.tokens.device)
        return UnigramState(inner, state.tokens.index_select(1, index))

    def _mix(self, base: Tensor, cache: Tensor) -> Tensor:
        return mix([base, cache], [1 - self.weight, self.weight])

    def _shares(self, history: Tensor, steps: int) -> Tensor:
        """a_i after each of the last steps, (steps, 1, n), of a history (n, B)."""
        ages = age(len(history), steps, history.device)
        shares = self.decay ** ages.clamp(min=0).double()
        shares = shares * ((ages >= 0) & (ages < self.size))
        return (shares / shares.sum(-1, keepdim=True)).unsqueeze(1)


# ---- shared with the neural cache


def fitted_weight(base: Tensor, cache: Tensor) -> tuple[tuple[int, float], float]:
    """The best λ on a held-out text, and how good it is there, less being better.

    Returns:
        (tokens of probability 0, nats of the others), and λ.
    """
    weights = fit_weights([base, cache])
    mixed = mix([base, cache], weights)
    possible = mixed > -torch.inf
    rank = (int((~possible).sum()), -mixed[possible].sum().item())
    return rank, min(weights[1], 1.0)


def age(count: int, steps: int, device: torch.device) -> Tensor:
    """Steps since each of ``count`` entries came, at each of the last steps.

    Returns:
        (steps, count); negative where an entry is still to come.

    >>> age(3, 2, torch.device("cpu"))
    tensor([[ 1,  0, -1],
            [ 2,  1,  0]])
    """
    entries = torch.arange(count, device=device)
    return entries[count - steps :, None] - entries


def spread(shares: Tensor, tokens: Tensor, vocabulary_size: int) -> Tensor:
    """P_cache: the shares of the entries that hold each token, added up.

    Args:
        shares: a, (T, B, n), or (T, 1, n) for all columns alike.
        tokens: what the entries hold, (n, B).
        vocabulary_size: V.

    Returns:
        (T, B, V).
    """
    steps, batch = len(shares), tokens.size(1)
    index = tokens.t().expand(steps, batch, len(tokens))
    total = shares.new_zeros(steps, batch, vocabulary_size)
    return total.scatter_add_(-1, index, shares.expand(index.shape))


def share_of(shares: Tensor, tokens: Tensor, targets: Tensor) -> Tensor:
    """P_cache of the targets (T, B) alone, see ``spread``."""
    return (shares * (tokens.t() == targets.unsqueeze(-1))).sum(-1)


def checked_weight(weight: float) -> float:
    """λ, a number in [0, 1].

    Raises:
        InvalidType: no number.
        InvalidValue: outside [0, 1].
    """
    return number("weight", weight, minimum=0, maximum=1)
