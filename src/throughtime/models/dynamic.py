r"""Dynamic evaluation: the model goes on learning from the text it predicts.

The text is read window by window. Each is predicted first, and then the weights take
one step on it, so that no token is predicted with its own help:

    w <- w - η ∇L + δ (w_0 - w)                                     plain
    w <- w - η ∇L / (r + ε) + min(δ r / r̄, 1) (w_0 - w)             with statistics

w_0 are the trained weights, r the root mean square of each weight's gradient over
windows of the training text, r̄ the mean over all arrays of weights of their mean r.
Mikolov et al., "Recurrent neural network based language model", Interspeech 2010;
Krause et al., "Dynamic evaluation of neural sequence models", arXiv 1709.07432.
"""

from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from throughtime.checks import number, positive_int
from throughtime.errors import InvalidShape, InvalidType, InvalidValue, TrainingError
from throughtime.models.protocol import checked_prompt, checked_tokens
from throughtime.models.scoring import target_log_probs


def dynamic_evaluation(
    model: nn.Module,
    tokens: Tensor,
    *,
    learning_rate: float,
    tau: int = 5,
    decay: float = 0.0,
    max_norm: float | None = None,
    statistics: Mapping[str, Tensor] | None = None,
    epsilon: float = 2e-5,
) -> Tensor:
    """log P of each token but the first, by a model that learns on the way.

    Runs in eval mode. Afterwards the model is exactly as it was before.

    Args:
        model: a language model that is a network.
        tokens: (N,), at least one; read in order, as one text.
        learning_rate: η, on the mean loss of a window.
        tau: tokens of a window.
        decay: δ, in [0, 1].
        max_norm: longer gradients are scaled down to this norm; None: none are.
        statistics: r by name of the parameter, from ``gradient_statistics``; None: the
            plain rule.
        epsilon: ε.

    Returns:
        float64 (N - 1,), for ``scoring.summarise``.

    Raises:
        TrainingError: the weights diverge.
        InvalidShape: ``tokens`` is empty or not one sequence, or statistics of another
            model.
        InvalidType: a model that is no network, or an argument of the wrong type.
        InvalidValue: a number or a token is out of range, or statistics that lack a
            parameter.

    >>> from throughtime.models.language_model import LanguageModel
    >>> model = LanguageModel(5).eval()
    >>> text = torch.tensor([0, 1, 2, 3, 4] * 20)
    >>> learning = dynamic_evaluation(model, text, learning_rate=1.0)
    >>> bool(learning[-20:].mean() > learning[:20].mean())
    True
    """
    number("learning_rate", learning_rate, minimum=0)
    number("decay", decay, minimum=0, maximum=1)
    number("epsilon", epsilon, minimum=0, exclude_minimum=True)
    positive_int("tau", tau)
    if max_norm is not None:
        number("max_norm", max_norm, minimum=0, exclude_minimum=True)
    parameters = _parameters(model)
    rates = _rates(parameters, decay, statistics)
    gains = {name: 1 / (r + epsilon) for name, r in (statistics or {}).items()}
    tokens = checked_prompt("tokens", tokens, _vocabulary_size(model))
    found = [torch.zeros(0, dtype=torch.float64, device=tokens.device)]
    with _restored(model, parameters) as start:
        for log_probs in _windows(model, tokens.unsqueeze(-1), tau):
            if log_probs.isnan().any():
                raise TrainingError(
                    "the weights diverged on the way; lower the learning rate, "
                    f"{learning_rate:g}, or set max_norm"
                )
            found.append(log_probs.detach()[:, 0].double())
            gradients = _gradients(log_probs, parameters)
            scale = learning_rate
            if max_norm is not None:
                norm = torch.stack([g.norm() for g in gradients.values()]).norm()
                scale = learning_rate * min(1.0, max_norm / (float(norm) + 1e-12))
            with torch.no_grad():
                for name, parameter in parameters.items():
                    if decay > 0:
                        parameter.lerp_(start[name], rates[name])
                    if statistics is None:
                        parameter.sub_(gradients[name], alpha=scale)
                    else:
                        parameter.addcmul_(gradients[name], gains[name], value=-scale)
    return torch.cat(found)


def gradient_statistics(
    model: nn.Module, tokens: Tensor, *, tau: int = 5, batch_size: int = 100
) -> dict[str, Tensor]:
    """r: the root mean square of every weight's gradient over windows of a text.

    The gradients are of the mean loss of a window of ``batch_size`` streams. Their size
    falls with ``batch_size``, so the learning rate goes with it.

    Args:
        model: a language model that is a network.
        tokens: training text (N,).
        tau: steps of a window, as in ``dynamic_evaluation``.
        batch_size: streams that the text is cut into; what is left over is not read.

    Returns:
        By name of the parameter, each like it.

    Raises:
        InvalidShape: ``tokens`` is not one sequence, or too short for the streams.
        InvalidType: a model that is no network, or tokens that are no integers.
        InvalidValue: a number or a token is out of range.
    """
    positive_int("tau", tau)
    positive_int("batch_size", batch_size)
    parameters = _parameters(model)
    tokens = checked_tokens("tokens", tokens, _vocabulary_size(model))
    if tokens.dim() != 1 or len(tokens) < 2 * batch_size:
        raise InvalidShape(
            f"tokens must be (N,), at least 2 for each of {batch_size} streams, got "
            f"{tuple(tokens.shape)}; give a longer text or fewer streams"
        )
    length = len(tokens) // batch_size
    streams = tokens[: length * batch_size].view(batch_size, length).t()
    squares = {name: torch.zeros_like(p) for name, p in parameters.items()}
    windows = 0
    with _restored(model, parameters):
        for log_probs in _windows(model, streams, tau):
            windows += 1
            for name, gradient in _gradients(log_probs, parameters).items():
                squares[name].addcmul_(gradient, gradient)
    return {name: (total / windows).sqrt() for name, total in squares.items()}


def _windows(model: Any, streams: Tensor, tau: int) -> Iterator[Tensor]:
    """log P of the next tokens, window by window, with a graph back to its start.

    The model may change between two windows.
    """
    with torch.enable_grad():
        state = model.initial_state(streams.size(1))
    for first in range(0, len(streams) - 1, tau):
        inputs = streams[first : min(first + tau, len(streams) - 1)]
        targets = streams[first + 1 : first + 1 + len(inputs)]
        with torch.enable_grad():
            log_probs, state = target_log_probs(model, inputs, targets, state)
        state = _detached(state)
        yield log_probs


def _gradients(
    log_probs: Tensor, parameters: dict[str, nn.Parameter]
) -> dict[str, Tensor]:
    """Of the mean loss of a window."""
    with torch.enable_grad():
        loss = -log_probs.mean()
    found = torch.autograd.grad(
        loss, list(parameters.values()), allow_unused=True, materialize_grads=True
    )
    return dict(zip(parameters, (g.to_dense() for g in found), strict=True))


def _parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    if not isinstance(model, nn.Module):
        raise InvalidType(
            f"model should be a network that can learn, got {type(model).__name__}"
        )
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def _vocabulary_size(model: Any) -> int:
    return model.vocabulary_size


def _rates(
    parameters: dict[str, nn.Parameter],
    decay: float,
    statistics: Mapping[str, Tensor] | None,
) -> dict[str, float | Tensor]:
    """How far each weight goes back towards w_0 in a step."""
    if statistics is None:
        return dict.fromkeys(parameters, decay)
    for name, parameter in parameters.items():
        if name not in statistics:
            raise InvalidValue(
                f"statistics lack the parameter {name!r}; compute them by "
                "gradient_statistics of the same model"
            )
        if statistics[name].shape != parameter.shape:
            raise InvalidShape(
                f"statistics of {name!r} must be {tuple(parameter.shape)}, got "
                f"{tuple(statistics[name].shape)}"
            )
    mean = torch.stack([statistics[name].mean() for name in parameters]).mean()
    return {
        name: (decay * statistics[name] / mean).clamp(max=1.0) for name in parameters
    }


@contextmanager
def _restored(
    model: nn.Module, parameters: dict[str, nn.Parameter]
) -> Generator[dict[str, Tensor]]:
    """The model in eval mode; w_0 is handed out, and back in place afterwards."""
    start = {name: p.detach().clone() for name, p in parameters.items()}
    training = [module for module in model.modules() if module.training]
    try:
        for module in training:
            module.training = False
        yield start
    finally:
        with torch.no_grad():
            for name, parameter in parameters.items():
                parameter.copy_(start[name])
        for module in training:
            module.training = True


def _detached(state: Any) -> Any:
    """The same state, without its history."""
    if isinstance(state, Tensor):
        return state.detach()
    if isinstance(state, tuple):
        parts = [_detached(part) for part in state]
        return type(state)(*parts) if hasattr(state, "_fields") else tuple(parts)
    return state
