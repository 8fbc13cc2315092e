r"""The softmax over all words, trained on a sample of them.

    loss = -z_w + ln Ẑ,   Ẑ = Σ_{v in the targets} exp z_v + Σ_{v drawn} exp z_v / π_v

Bengio and Senécal, "Quick training of probabilistic neural nets by importance
sampling", AISTATS 2003; one sample for all rows as in Jean et al., arXiv 1412.2007.

Here every word v that is no target of this batch is drawn or not on its own, with
probability π_v (Poisson sampling). Each word is then drawn once at most, and dividing
by π_v makes the expectation of Ẑ the sum over all words exactly (Horvitz and Thompson,
1952). The loss is that of Ẑ: too small by about half the relative variance of Ẑ, as ln
is concave; with all words drawn it is the full one. Evaluation is by all words.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from throughtime.checks import positive_int
from throughtime.errors import unknown_name
from throughtime.layers import linear_cross_entropy
from throughtime.losses import check_targets
from throughtime.models.output_base import (
    Words,
    by_frequency,
    check_range,
    checked_counts,
)
from throughtime.models.output_full import FullOutput

PROPOSALS = ("log_uniform", "unigram")


class SampledOutput(FullOutput):
    """The softmax over all words, in training over the targets and a sample.

    Args:
        vocabulary_size: V.
        hidden_size: of h; not used.
        counts: how often each word occurs, (V,).
        samples: words drawn on average, beside the targets; V and more: all of them.
        proposal: π_v is proportional to this, up to 1: ``log_uniform``
            ln((r + 2) / (r + 1)) for the word of rank r = 0, 1, ... by frequency, or
            ``unigram``, its count + 1.
        init_range: not used.

    Raises:
        InvalidType: ``samples`` is no int.
        InvalidValue: it is not positive, the proposal is unknown, or counts are not
            usable.

    >>> output = SampledOutput(4, 3, torch.tensor([8, 4, 2, 1]), samples=2)
    >>> float(output.log_inclusion.exp().sum())
    2.0
    """

    options = ("samples", "proposal")
    needs_counts = True
    log_inclusion: Tensor

    def __init__(
        self,
        vocabulary_size: int,
        hidden_size: int,
        counts: Any,
        *,
        samples: int = 2000,
        proposal: str = "log_uniform",
        init_range: float = 0.1,
    ) -> None:
        super().__init__()
        del hidden_size, init_range
        positive_int("samples", samples)
        counts = checked_counts("sampled", counts, vocabulary_size)
        if proposal == "log_uniform":
            rank = torch.empty(vocabulary_size, dtype=torch.double)
            rank[by_frequency(counts)] = torch.arange(vocabulary_size).double()
            share = torch.log1p(1 / (rank + 1))
        elif proposal == "unigram":
            share = counts + 1
        else:
            raise unknown_name("proposal", proposal, PROPOSALS)
        log_inclusion = inclusion(share, samples).log()
        self.register_buffer(
            "log_inclusion", log_inclusion.to(torch.get_default_dtype())
        )

    def draw(self) -> Tensor:
        """Which words are drawn, bool (V,); by torch's global generator."""
        return torch.rand_like(self.log_inclusion) < self.log_inclusion.exp()

    def loss(
        self,
        h: Tensor,
        targets: Tensor,
        words: Words | None,
        *,
        mask: Tensor | None = None,
        reduction: str = "mean",
    ) -> Tensor:
        """See ``Output.loss``; in eval mode the loss over all words."""
        if not self.training:
            return super().loss(h, targets, words, mask=mask, reduction=reduction)
        assert words is not None
        check_targets(targets, h.shape[:-1], mask, reduction)
        counted = targets if mask is None else targets[mask]
        check_range(counted, len(words.weight))
        drawn = self.draw()
        drawn[counted.reshape(-1)] = True
        correction = self.log_inclusion.index_fill(0, counted.reshape(-1), 0.0)
        chosen = drawn.nonzero().squeeze(1)
        place = torch.cumsum(drawn, 0) - 1
        if mask is not None:
            targets = targets.masked_fill(~mask, 0)
        return linear_cross_entropy(
            h,
            F.embedding(chosen, words.weight),
            place[targets],
            bias=(words.bias - correction)[chosen],
            mask=mask,
            reduction=reduction,
        )


def inclusion(share: Tensor, samples: int) -> Tensor:
    """π_v = min(1, λ share_v) with Σ π_v = samples, or all 1.

    >>> inclusion(torch.tensor([6.0, 1.0, 1.0]), 2)
    tensor([1.0000, 0.5000, 0.5000])
    """
    if samples >= len(share):
        return torch.ones_like(share)
    # With the k largest at 1, λ_k shares what is left among the others; the right k is
    # the first whose next word stays below 1.
    ordered = share.sort(descending=True).values
    rest = ordered.flip(0).cumsum(0).flip(0)
    left = samples - torch.arange(len(share), dtype=share.dtype, device=share.device)
    factors = left / rest
    k = int((factors * ordered < 1).nonzero()[0])
    return (factors[k] * share).clamp(max=1)
