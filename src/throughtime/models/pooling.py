r"""From the features of all steps to one vector for the whole sequence.

    last:       h after the last step, of both directions
    mean:       (1/T) Σ_t h_t
    max:        max_t h_t, unit by unit
    attention:  Σ_t α_t h_t,  α = softmax_t(vᵀ tanh(W h_t + b))

Attention as in Yang et al., "Hierarchical attention networks for document
classification", NAACL 2016. Steps beyond a sequence's length have no part in any.
"""

import torch
from torch import Tensor, nn

from throughtime.errors import unknown_name
from throughtime.models.network import valid_steps

POOLINGS = ("last", "mean", "max", "attention")


def check_pooling(pooling: str) -> str:
    """The name itself.

    Raises:
        InvalidValue: unknown.
    """
    if pooling not in POOLINGS:
        raise unknown_name("pooling", pooling, POOLINGS)
    return pooling


class Pooling(nn.Module):
    """One vector for each sequence of a batch; zeros for one of length 0.

    Args:
        size: features of a step, D.
        kind: ``last``, ``mean``, ``max`` or ``attention``.

    Raises:
        InvalidValue: an unknown kind.

    >>> steps = torch.tensor([1.0, 3.0, 9.0]).view(3, 1, 1)
    >>> Pooling(1, "mean")(steps, torch.tensor([2]))
    tensor([[2.]])
    """

    def __init__(self, size: int, kind: str = "last") -> None:
        super().__init__()
        self.kind = check_pooling(kind)
        if kind == "attention":
            self.score = nn.Linear(size, size)
            self.context = nn.Linear(size, 1, bias=False)

    def forward(
        self, features: Tensor, lengths: Tensor, summary: Tensor | None = None
    ) -> Tensor:
        """Pool a batch.

        Args:
            features: (T, B, D), of any value beyond the lengths.
            lengths: (B,).
            summary: what ``last`` gives where there is a hidden state, (B, D), see
                ``Network.summary``; None: the features of the last step.

        Returns:
            (B, D).
        """
        if self.kind == "last":
            if summary is not None:
                return summary
            last = (lengths - 1).clamp(min=0).to(features.device)
            columns = torch.arange(features.size(1), device=features.device)
            if len(features) == 0:
                return features.new_zeros(features.shape[1:])
            return features[last, columns] * (lengths > 0).to(features).unsqueeze(1)
        valid = valid_steps(lengths, features).unsqueeze(-1)
        if self.kind == "mean":
            total = features.masked_fill(~valid, 0).sum(0)
            return total / lengths.clamp(min=1).to(features).unsqueeze(1)
        if self.kind == "max":
            # Something to take the greatest of, also where there is no step.
            none = features.new_full((1, *features.shape[1:]), -torch.inf)
            masked = torch.cat([features.masked_fill(~valid, -torch.inf), none])
            return masked.amax(0).masked_fill((lengths == 0).unsqueeze(1), 0)
        weights = self.weights(features, lengths).unsqueeze(-1)
        return (weights * features.masked_fill(~valid, 0)).sum(0)

    def weights(self, features: Tensor, lengths: Tensor) -> Tensor:
        """α of ``attention``, (T, B): 1 in sum over the steps of a sequence."""
        scores = self.context(self.score(features).tanh()).squeeze(-1)
        valid = valid_steps(lengths, features)
        scores = scores.masked_fill(~valid, -torch.inf)
        # A sequence of length 0 has no weights to share out.
        empty = (lengths == 0).to(scores.device)
        return scores.masked_fill(empty, 0).softmax(0) * valid
