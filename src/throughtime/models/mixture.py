r"""A mixture of language models, with weights fitted on validation data.

    P(w | u) = Σ_m λ_m P_m(w | u),    λ_m >= 0,  Σ_m λ_m = 1

The weights that give a text the highest probability are found by expectation
maximisation, in which each model takes the share of the text that it explains:

    g_m = (1/N) Σ_t P_m(w_t) / P(w_t),    λ_m <- λ_m g_m

Jelinek and Mercer, "Interpolated estimation of Markov source parameters from sparse
data", 1980. The log-likelihood per token L is concave in λ, with gradient g, so that
L* - L <= max_m g_m - 1 bounds what is left to gain (Cover, "An algorithm for maximizing
expected log investment return", 1984).
"""

from collections.abc import Sequence
from typing import Any, Self

import torch
from torch import Tensor

from throughtime.checks import number, positive_int
from throughtime.errors import InvalidShape, InvalidValue
from throughtime.models.methods import LanguageModelMethods, answering
from throughtime.models.protocol import LanguageModelProtocol
from throughtime.models.scoring import target_log_probs, token_log_probs


class Mixture(LanguageModelMethods):
    """Σ_m λ_m P_m, of any language models over one vocabulary.

    Meets ``LanguageModelProtocol``; its state is that of every model.

    Args:
        models: at least one, all with the same V.
        weights: λ, one number per model.

    Raises:
        InvalidType: a weight that is no number.
        InvalidValue: no model, vocabularies that differ, another number of weights than
            models, or weights that are negative or do not sum to 1.

    >>> from throughtime.models.ngram import NGramLM
    >>> text = torch.tensor([0, 1, 2, 0, 1, 0, 2, 2, 1, 0])
    >>> models = [NGramLM(n, vocabulary_size=3).fit(text) for n in (1, 3)]
    >>> mixture = Mixture(models, [0.25, 0.75])
    >>> round(float(mixture.next_distribution(text).sum()), 9)
    1.0
    """

    def __init__(
        self, models: Sequence[LanguageModelProtocol], weights: Sequence[float]
    ) -> None:
        self.models = tuple(models)
        self._vocabulary_size = _common_size(self.models)
        self.weights = tuple(
            number(f"weights[{m}]", w, minimum=0, maximum=1)
            for m, w in enumerate(weights)
        )
        if len(self.weights) != len(self.models):
            raise InvalidValue(
                f"weights must hold one number per model, {len(self.models)}, "
                f"got {len(self.weights)}"
            )
        if abs(sum(self.weights) - 1) > 1e-9:
            raise InvalidValue(
                f"weights must sum to 1, got {sum(self.weights)}; divide them by that"
            )

    @property
    def vocabulary_size(self) -> int:
        """V."""
        return self._vocabulary_size

    @classmethod
    def fit(
        cls,
        models: Sequence[LanguageModelProtocol],
        tokens: Tensor,
        *,
        tolerance: float = 1e-8,
    ) -> Self:
        """The mixture that fits a held-out text (N,) best, see ``fit_weights``.

        Raises:
            InvalidShape: ``tokens`` is empty or not one sequence.
            InvalidType: tokens that are no integers.
            InvalidValue: no model, vocabularies that differ, a token outside [0, V), or
                no token that any model can predict.
        """
        _common_size(models)
        found: list[Tensor] = []
        for model in models:
            with answering(model):
                found.append(token_log_probs(model, tokens))
        return cls(models, fit_weights(found, tolerance=tolerance))

    def score(self, tokens: Tensor) -> Tensor:
        """log P of each token but the first given all before it, float64 (N - 1,)."""
        return self._mix([token_log_probs(model, tokens) for model in self.models])

    def target_log_probs(
        self, inputs: Tensor, targets: Tensor, state: tuple[Any, ...]
    ) -> tuple[Tensor, tuple[Any, ...]]:
        """See ``scoring.target_log_probs``; float64."""
        found = [
            target_log_probs(model, inputs, targets, part)
            for model, part in zip(self.models, state, strict=True)
        ]
        return self._mix([values for values, _ in found]), tuple(s for _, s in found)

    # ---- LanguageModelProtocol

    def initial_state(self, batch_size: int) -> tuple[Any, ...]:
        """The initial state of every model."""
        return tuple(model.initial_state(batch_size) for model in self.models)

    def next_log_probs(
        self, tokens: Tensor, state: tuple[Any, ...]
    ) -> tuple[Tensor, tuple[Any, ...]]:
        """log P(next token | everything read), float64 (T, B, V), and the state."""
        found = [
            model.next_log_probs(tokens, part)
            for model, part in zip(self.models, state, strict=True)
        ]
        return self._mix([values for values, _ in found]), tuple(s for _, s in found)

    def select_state(self, state: tuple[Any, ...], indices: Tensor) -> tuple[Any, ...]:
        """The state of the sequences ``indices`` of the batch."""
        return tuple(
            model.select_state(part, indices)
            for model, part in zip(self.models, state, strict=True)
        )

    def _mix(self, log_probs: Sequence[Tensor]) -> Tensor:
        """log Σ λ_m P_m, element by element."""
        return mix(log_probs, self.weights)


def mix(log_probs: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """log Σ_m λ_m P_m of tensors of log P_m, in float64.

    >>> mix([torch.tensor([0.5]).log(), torch.tensor([0.0]).log()], [0.5, 0.5]).exp()
    tensor([0.2500], dtype=torch.float64)
    """
    total: Tensor | None = None
    for values, weight in zip(log_probs, weights, strict=True):
        if weight > 0:
            part = values.double() + torch.tensor(weight, dtype=torch.float64).log()
            total = part if total is None else torch.logaddexp(total, part)
    assert total is not None  # weights sum to 1
    return total


def fit_weights(
    log_probs: Sequence[Tensor], *, tolerance: float = 1e-8, max_steps: int = 10_000
) -> list[float]:
    """λ that maximises the probability of a held-out text, by EM from equal weights.

    A token that no model can predict says nothing about the weights, and is left out.

    Args:
        log_probs: per model, log P of each token of the text, (N,); see
            ``scoring.token_log_probs``.
        tolerance: stop within this many nats per token of the best weights.
        max_steps: stop after as many steps, within log(M) / max_steps nats per token of
            the best of M models' weights.

    Returns:
        M numbers that sum to 1.

    Raises:
        InvalidShape: not one (N,) for all models.
        InvalidType: ``tolerance`` or ``max_steps`` has the wrong type.
        InvalidValue: no model, NaN, no token that any model can predict, or a number
            out of range.

    >>> sure, wrong = torch.tensor([0.5, 0.5]).log(), torch.tensor([0.1, 0.1]).log()
    >>> fit_weights([sure, wrong])
    [1.0, 0.0]
    """
    number("tolerance", tolerance, minimum=0, exclude_minimum=True)
    positive_int("max_steps", max_steps)
    shares = _shares(log_probs)
    weights = torch.full_like(shares[0], 1 / len(log_probs))
    for _ in range(max_steps):
        gain = em_gain(shares, weights)
        weights = weights * gain
        weights = weights / weights.sum()  # which it is, but for rounding
        if gain.max() - 1 <= tolerance:
            break
    return weights.tolist()


def em_gain(shares: Tensor, weights: Tensor) -> Tensor:
    """g_m = (1/N) Σ_t P_m(w_t) / P(w_t): EM's next weights are λ_m g_m.

    Args:
        shares: P_m(w_t), up to a factor per token, (N, M).
        weights: λ, (M,).
    """
    return (shares / (shares @ weights).unsqueeze(1)).mean(0)


def _shares(log_probs: Sequence[Tensor]) -> Tensor:
    """P_m(w_t) / max_m P_m(w_t), (N, M), of the tokens that some model can predict."""
    if len(log_probs) == 0:
        raise InvalidValue("there is no model to weigh; give at least one")
    shapes = [tuple(values.shape) for values in log_probs]
    if len(set(shapes)) > 1 or len(shapes[0]) != 1:
        raise InvalidShape(
            f"log_probs must be (N,) of one length for all models, got {shapes}"
        )
    values = torch.stack([v.double() for v in log_probs], 1)
    if values.isnan().any():
        raise InvalidValue("log_probs holds NaN; check that training converged")
    highest = values.amax(1, keepdim=True) if len(values) else values[:, :1]
    possible = highest[:, 0] > -torch.inf
    if not possible.any():
        raise InvalidValue(
            "no token can be predicted by any model, so nothing tells the weights; "
            "give a held-out text in the models' vocabulary"
        )
    return (values[possible] - highest[possible]).exp()


def _common_size(models: Sequence[LanguageModelProtocol]) -> int:
    if len(models) == 0:
        raise InvalidValue("there is no model to mix; give at least one")
    sizes = [model.vocabulary_size for model in models]
    if len(set(sizes)) > 1:
        raise InvalidValue(
            f"models must have one vocabulary, got vocabulary_size {sizes}; train them "
            "on the same vocabulary"
        )
    return sizes[0]
