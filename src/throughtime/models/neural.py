"""What the neural language models share: words at both ends of a network."""

from typing import Any

import torch
from torch import Tensor, nn

from throughtime.checks import positive_int
from throughtime.models.methods import LanguageModelMethods
from throughtime.models.output import build_output
from throughtime.models.output_base import Words


class NeuralLanguageModel(LanguageModelMethods, nn.Module):
    """A network from tokens to h_t, and an output layer that reads h_t.

    A model says with ``features`` how it comes from tokens to h. All else that
    ``LanguageModelProtocol`` and ``losses.OwnLoss`` ask for, but its state, is here.

    Args:
        vocabulary_size: V.
        config: with ``tied``, ``output``, ``output_options`` and ``init_range``.
    """

    embedding_weight: nn.Parameter | None
    output_weight: nn.Parameter | None
    output_bias: nn.Parameter | None

    def __init__(self, vocabulary_size: int, config: Any) -> None:
        super().__init__()
        self.config = config
        self.vocabulary_size = positive_int("vocabulary_size", vocabulary_size)

    def add_words(self, embedding_size: int | None, width: int, counts: Any) -> None:
        """Make the embedding (None: there is none) and the output layer of h."""
        config = self.config
        self.output = build_output(
            config.output,
            self.vocabulary_size,
            width,
            config.output_options,
            counts,
            init_range=config.init_range,
        )
        self.embedding_weight = self.output_weight = self.output_bias = None
        if embedding_size is not None:
            self.embedding_weight = self._weight(embedding_size)
        if self.output.reads_words:
            if not config.tied:
                self.output_weight = self._weight(width)
            self.output_bias = nn.Parameter(torch.zeros(self.vocabulary_size))

    def _weight(self, width: int) -> nn.Parameter:
        weight = torch.empty(self.vocabulary_size, width)
        bound = self.config.init_range
        return nn.Parameter(weight.uniform_(-bound, bound))

    def _words(self) -> Words | None:
        """What the output layer reads of the model."""
        if not self.output.reads_words:
            return None
        weight = self.embedding_weight if self.config.tied else self.output_weight
        assert weight is not None  # one of the two exists by construction
        assert self.output_bias is not None
        return Words(weight, self.output_bias)

    def read(self, tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
        """From tokens (T, B) to the h that the output layer reads, (T, B, H)."""
        raise NotImplementedError

    def forward(self, tokens: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Logits of the next token after every token read.

        Args:
            tokens: integers, (T, B).
            state: what an earlier call returned; default: the initial state.

        Returns:
            logits (T, B, V), and the state after the last step. Outputs that have no
            logits of all words give log P instead, whose softmax is P as well.
        """
        h, state = self.read(tokens, state)
        return self.output.scores(h, self._words()), state

    # ---- losses.OwnLoss

    def features(self, tokens: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """What the output layer reads after every token; for ``features_loss``.

        Args:
            tokens: integers, (T, B).
            state: what an earlier call returned; default: the initial state.

        Returns:
            h after its dropout, (T, B, H), and the state after the last step.
        """
        return self.read(tokens, state)

    def features_loss(
        self,
        features: Tensor,
        targets: Tensor,
        *,
        mask: Tensor | None = None,
        reduction: str = "mean",
    ) -> Tensor:
        """``losses.cross_entropy`` of the logits, without holding all of them.

        Where the output is ``sampled``, training mode estimates it from a sample.
        """
        return self.output.loss(
            features, as_long(targets), self._words(), mask=mask, reduction=reduction
        )

    # ---- LanguageModelProtocol

    def next_log_probs(self, tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
        """log P(next token | everything read), (T, B, V), and the new state."""
        h, state = self.read(tokens, state)
        return self.output.log_probs(h, self._words()), state


def as_long(tokens: Tensor) -> Tensor:
    """Tokens of any integer type as long; anything else as it is.

    >>> as_long(torch.tensor([1, 2], dtype=torch.int32)).dtype
    torch.int64
    """
    if tokens.dtype in (torch.int32, torch.int16, torch.uint8, torch.int8):
        return tokens.long()
    return tokens
