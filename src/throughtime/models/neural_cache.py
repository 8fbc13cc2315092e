r"""The neural cache: words that came in a state like this one are likely to come again.

    P(w | past) = (1 - λ) P_model(w | past) + λ P_cache(w | past)
    P_cache(w | past) ∝ Σ_i 1{w = x_{i+1}} exp(θ h_t · h_i)

over the last ``size`` steps i whose next token x_{i+1} was read. h is what the model's
output layer reads. Nothing is trained. Grave, Joulin and Usunier, "Improving neural
language models with a continuous cache", arXiv 1612.04426.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor

from throughtime.checks import number, positive_int
from throughtime.errors import InvalidType, InvalidValue
from throughtime.losses import OwnLoss, own_loss
from throughtime.models.cache import (
    age,
    checked_weight,
    fitted_weight,
    share_of,
    spread,
)
from throughtime.models.methods import LanguageModelMethods, answering
from throughtime.models.mixture import mix
from throughtime.models.protocol import LanguageModelProtocol, checked_prompt
from throughtime.models.scoring import token_log_probs


class NeuralState(NamedTuple):
    """What a neural cache remembers.

    Attributes:
        inner: the state of the model.
        features: h of the last steps, at most ``size``, (n, B, H); None: no step yet.
        tokens: what followed each but the newest of them, (n - 1, B).
    """

    inner: Any
    features: Tensor | None
    tokens: Tensor


class NeuralCache(LanguageModelMethods):
    """A network, mixed with what followed states like the present one.

    Meets ``LanguageModelProtocol``. A token enters the cache when it is read, so after
    it was predicted. At the first token, when the cache is empty, the model stands
    alone. Put the network into eval mode first.

    Args:
        model: a language model with ``features`` and ``features_loss``, see
            ``losses.OwnLoss``.
        size: steps remembered.
        weight: λ.
        theta: θ; 0 is the unigram cache of the tokens that followed.

    Raises:
        InvalidType: a model without features, or a number of the wrong type.
        InvalidValue: a number out of range.

    >>> from throughtime.models.language_model import LanguageModel
    >>> cached = NeuralCache(LanguageModel(10), size=100, weight=0.1, theta=0.3)
    >>> cached.next_distribution(torch.tensor([1, 2, 3])).sum()
    tensor(1.0000, dtype=torch.float64)
    """

    def __init__(
        self,
        model: LanguageModelProtocol,
        *,
        size: int = 500,
        weight: float = 0.1,
        theta: float = 0.3,
    ) -> None:
        own = own_loss(model)
        if own is None:
            raise InvalidType(
                f"a neural cache needs a model that has features and features_loss, "
                f"got {type(model).__name__}; UnigramCache takes any language model"
            )
        self._own: OwnLoss = own
        self.models = (model,)
        self.size = positive_int("size", size)
        self.weight = checked_weight(weight)
        self.theta = number("theta", theta, minimum=0)

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
        size: int = 500,
        thetas: Sequence[float] = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0),
    ) -> Self:
        """The θ among ``thetas``, and the λ, that fit a held-out text (N,) best.

        Of each θ the best λ is found by EM, see ``mixture.fit_weights``. The h of the
        whole text are held at once.

        Raises:
            InvalidShape: ``tokens`` is empty or not one sequence.
            InvalidType: an argument has the wrong type.
            InvalidValue: a number or a token is out of range, no θ, or only one token.
        """
        first = cls(model, size=size)
        tokens = checked_prompt("tokens", tokens, first.vocabulary_size)
        if len(tokens) < 2:
            raise InvalidValue("tokens has one token; give a text to fit to")
        column = tokens.unsqueeze(1)
        found = []
        with answering(model):
            base = token_log_probs(model, tokens)
            state, parts = model.initial_state(1), []
            for read in column[:-1].split(256):
                features, state = first._own.features(read, state)
                parts.append(features)
            features = torch.cat(parts)
            for theta in thetas:
                cache = cls(model, size=size, theta=theta)._whole(features, column)
                # Where the cache is empty, the model stands alone.
                cache = torch.where(cache.isnan(), base, cache)
                found.append((*fitted_weight(base, cache), theta))
        if not found:
            raise InvalidValue("thetas is empty; give at least one value to try")
        _, weight, theta = min(found)
        return cls(model, size=size, weight=weight, theta=theta)

    def target_log_probs(
        self, inputs: Tensor, targets: Tensor, state: NeuralState
    ) -> tuple[Tensor, NeuralState]:
        """See ``scoring.target_log_probs``; float64."""
        features, inner = self._own.features(inputs, state.inner)
        base = -self._own.features_loss(features, targets, reduction="none")
        shares, tokens, state = self._look_back(features, inputs, inner, state)
        return self._mix(base, share_of(shares, tokens, targets), shares), state

    # ---- LanguageModelProtocol

    def initial_state(self, batch_size: int) -> NeuralState:
        """An empty cache."""
        inner = self.models[0].initial_state(batch_size)
        return NeuralState(inner, None, torch.zeros((0, batch_size), dtype=torch.long))

    def next_log_probs(
        self, tokens: Tensor, state: NeuralState
    ) -> tuple[Tensor, NeuralState]:
        """log P(next token | everything read), float64 (T, B, V), and the state."""
        base, inner = self.models[0].next_log_probs(tokens, state.inner)
        features, _ = self._own.features(tokens, state.inner)
        shares, followers, state = self._look_back(features, tokens, inner, state)
        cache = spread(shares, followers, self.vocabulary_size)
        return self._mix(base, cache, shares.unsqueeze(-2)), state

    def select_state(self, state: NeuralState, indices: Tensor) -> NeuralState:
        """The state of the sequences ``indices`` of the batch."""
        inner = self.models[0].select_state(state.inner, indices)
        features = state.features
        if features is not None:
            features = features.index_select(1, indices.to(features.device))
        tokens = state.tokens.index_select(1, indices.to(state.tokens.device))
        return NeuralState(inner, features, tokens)

    # ---- the cache

    def _look_back(
        self, features: Tensor, inputs: Tensor, inner: Any, state: NeuralState
    ) -> tuple[Tensor, Tensor, NeuralState]:
        """Each entry's share at each step, what the entries hold, and the new state."""
        keys, tokens = features, inputs[1:]
        if state.features is not None:
            keys = torch.cat([state.features, features])
            tokens = torch.cat([state.tokens.to(inputs.device), inputs])
        shares = self._shares(keys, len(inputs))
        kept = keys[-self.size :]
        new = NeuralState(inner, kept, tokens[len(tokens) - len(kept) + 1 :])
        return shares, tokens, new

    def _shares(self, keys: Tensor, steps: int) -> Tensor:
        """Softmax of θ h_t · h_i over the entries i, (steps, B, n - 1); 0 if none."""
        ages = age(len(keys), steps, keys.device)[:, :-1]
        outside = ((ages < 1) | (ages > self.size)).unsqueeze(1)
        # One matrix product per sequence of the batch.
        now, past = (
            keys[len(keys) - steps :].transpose(0, 1),
            keys[:-1].permute(1, 2, 0),
        )
        scores = self.theta * (now @ past).transpose(0, 1).double()
        shares = torch.softmax(scores.masked_fill(outside, -torch.inf), -1)
        return shares.masked_fill(outside, 0.0)

    def _whole(self, features: Tensor, tokens: Tensor) -> Tensor:
        """log P_cache of tokens 2..N from all h (N - 1, 1, H); NaN: cache empty."""
        found = []
        for start in range(0, len(features), 256):
            first, stop = max(0, start - self.size), min(start + 256, len(features))
            shares = self._shares(features[first:stop], stop - start)
            held, targets = tokens[first + 1 : stop], tokens[start + 1 : stop + 1]
            found.append(share_of(shares, held, targets)[:, 0].log())
        found[0][0] = torch.nan
        return torch.cat(found)

    def _mix(self, base: Tensor, cache: Tensor, shares: Tensor) -> Tensor:
        """(1 - λ) P_model + λ P_cache, or P_model where nothing has a share."""
        mixed = mix([base, cache.log()], [1 - self.weight, self.weight])
        empty = shares.sum(-1) == 0
        return torch.where(empty, base.double(), mixed)
