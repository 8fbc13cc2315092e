"""The softmax over all words.

P(w | h) = exp z_w / Σ_v exp z_v,   z = h Wᵀ + b
"""

from torch import Tensor
from torch.nn import functional as F

from throughtime.layers import linear_cross_entropy
from throughtime.models.output_base import Output, Words


class FullOutput(Output):
    """The softmax over all words, its loss without ever holding all scores."""

    needs_counts = False

    def loss(
        self,
        h: Tensor,
        targets: Tensor,
        words: Words | None,
        *,
        mask: Tensor | None = None,
        reduction: str = "mean",
    ) -> Tensor:
        """See ``layers.linear_cross_entropy``."""
        assert words is not None
        return linear_cross_entropy(
            h, words.weight, targets, bias=words.bias, mask=mask, reduction=reduction
        )

    def scores(self, h: Tensor, words: Words | None) -> Tensor:
        """z, (..., V)."""
        assert words is not None
        return F.linear(h, words.weight, words.bias)

    def log_probs(self, h: Tensor, words: Words | None) -> Tensor:
        """See ``Output.log_probs``."""
        return F.log_softmax(self.scores(h, words), -1)
