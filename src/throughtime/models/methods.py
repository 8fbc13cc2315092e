"""What can be asked of every language model, as its methods."""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from throughtime.models.protocol import LanguageModelProtocol
from throughtime.models.sampling import Decoding, sample
from throughtime.models.scoring import (
    log_prob,
    next_distribution,
    summarise,
    token_log_probs,
)


class LanguageModelMethods:
    """The functions of ``scoring`` and ``sampling`` as methods of a language model.

    A network answers as in eval mode, and is left in the mode it was in.
    """

    def log_prob(
        self: LanguageModelProtocol,
        tokens: Tensor,
        *,
        start: int | Tensor | None = None,
    ) -> Tensor:
        """log P of a text, in nats, float64.

        Args:
            tokens: one text (N,), or several (N, B).
            start: what is read first, see ``scoring.log_prob``; None: the first token
                itself, so that it is the rest that is predicted.

        Returns:
            A number (), or (B,).

        Raises:
            InvalidShape: ``tokens`` or ``start`` is empty or has another shape.
            InvalidType: tokens that are no integers.
            InvalidValue: a token outside [0, V).
        """
        with answering(self):
            single = isinstance(tokens, Tensor) and tokens.dim() == 1
            if start is None and single:
                return token_log_probs(self, tokens).sum()
            columns = tokens.unsqueeze(1) if single else tokens
            if start is None:
                texts = [token_log_probs(self, text) for text in columns.unbind(1)]
                return torch.stack(texts, 1).sum(0)
            found = log_prob(self, columns, start=start)
            return found[0] if single else found

    def next_distribution(self: LanguageModelProtocol, prefix: Tensor) -> Tensor:
        """See ``scoring.next_distribution``."""
        with answering(self):
            return next_distribution(self, prefix)

    def sample(
        self: LanguageModelProtocol,
        prompt: Tensor,
        length: int,
        *,
        count: int | None = None,
        generator: torch.Generator | None = None,
        **options: Any,
    ) -> Tensor:
        """Continue a prompt at random.

        Args:
            prompt: tokens (n,), at least one.
            length: tokens to produce.
            count: texts to produce at once; None: one.
            generator: where the draws come from.
            **options: of ``sampling.Decoding``, such as ``temperature``.

        Returns:
            tokens (length,), or with ``count`` (length, count).

        Raises:
            InvalidShape: the prompt is empty or not one sequence.
            InvalidType: an argument has the wrong type.
            InvalidValue: an option or a token is out of range.
        """
        with answering(self):
            texts = sample(
                self,
                prompt,
                length,
                count=1 if count is None else count,
                decoding=Decoding(**options),
                generator=generator,
            )
        return texts[:, 0] if count is None else texts

    def perplexity(self: LanguageModelProtocol, tokens: Tensor) -> float:
        """Of tokens 2..N of a text (N,), each given all before it.

        Infinite only if the model gives one of them probability 0.

        Raises:
            InvalidShape: not one sequence, or empty.
            InvalidType: tokens that are no integers.
            InvalidValue: a token outside [0, V), or there is only one.
        """
        with answering(self):
            return summarise(token_log_probs(self, tokens), tokens[1:]).perplexity


@contextmanager
def answering(model: LanguageModelProtocol) -> Generator[None]:
    """The networks in this model in eval mode, and without gradients."""
    networks = [part for part in _parts(model) if isinstance(part, nn.Module)]
    training = [m for network in networks for m in network.modules() if m.training]
    try:
        for module in training:
            module.training = False
        with torch.no_grad():
            yield
    finally:
        for module in training:
            module.training = True


def _parts(model: Any) -> Iterator[Any]:
    """The model and those it is made of."""
    yield model
    if not isinstance(model, nn.Module):
        for inner in getattr(model, "models", ()):
            yield from _parts(inner)
