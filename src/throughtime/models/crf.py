r"""Labels of a sequence scored together: a linear-chain conditional random field.

score(y, x) = start_{y_1} + Σ_t e_t[y_t] + Σ_t A[y_{t-1}, y_t] + end_{y_T}
p(y | x) = exp score(y, x) / Z(x),      Z(x) = Σ_y exp score(y, x)

Lafferty, McCallum and Pereira (ICML 2001); on top of a recurrent network: Huang, Xu and
Yu (arXiv 1508.01991). e_t are the scores of a network, A, start and end are learnt.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from throughtime.checks import positive_int
from throughtime.errors import InvalidShape, InvalidType, InvalidValue
from throughtime.models.network import valid_steps

# Stands for -inf where gradients flow, as that of a sum of nothing would be NaN. No sum
# of scores comes near it.
IMPOSSIBLE = -1e9


class CRF(nn.Module):
    """Scores of neighbouring labels, and what follows from them.

    ``forbidden`` concerns ``decode`` and ``marginals``: they answer with possible label
    sequences alone. ``log_likelihood`` leaves it out, so that training and held-out
    data that break the rules keep a finite loss.

    Args:
        labels: K.
        forbidden: pairs (from, to) of labels that never follow each other.
        forbidden_first: labels that no sequence begins with.
        forbidden_last: labels that no sequence ends with.

    Raises:
        InvalidType: ``labels`` is no int.
        InvalidValue: ``labels`` is not positive, or a forbidden label is none.

    >>> crf = CRF(2)
    >>> emissions = torch.tensor([[[0.0, 1.0]], [[3.0, 1.0]]])
    >>> crf.decode(emissions, [2]).tolist(), crf.decode(emissions, [1]).tolist()
    ([[1], [0]], [[1], [0]])
    >>> CRF(2, forbidden=[(1, 0)]).decode(emissions, [2]).tolist()
    [[0], [0]]
    """

    transition_penalty: Tensor
    first_penalty: Tensor
    last_penalty: Tensor

    def __init__(
        self,
        labels: int,
        *,
        forbidden: Iterable[tuple[int, int]] = (),
        forbidden_first: Iterable[int] = (),
        forbidden_last: Iterable[int] = (),
    ) -> None:
        super().__init__()
        self.labels = positive_int("labels", labels)
        self.transitions = nn.Parameter(torch.zeros(labels, labels))
        self.start = nn.Parameter(torch.zeros(labels))
        self.end = nn.Parameter(torch.zeros(labels))
        pairs = [tuple(pair) for pair in forbidden]
        ends = [(label,) for label in forbidden_first], [(k,) for k in forbidden_last]
        for name, shape, places in (
            ("transition_penalty", (labels, labels), pairs),
            ("first_penalty", (labels,), ends[0]),
            ("last_penalty", (labels,), ends[1]),
        ):
            penalty = torch.zeros(shape)
            for place in places:
                if not all(0 <= label < labels for label in place):
                    raise InvalidValue(
                        f"forbidden labels must lie in [0, {labels}), got {place}"
                    )
                penalty[place] = IMPOSSIBLE
            self.register_buffer(name, penalty, persistent=False)

    def log_likelihood(
        self,
        emissions: Tensor,
        targets: Tensor,
        lengths: Tensor | Iterable[int],
        mask: Tensor | None = None,
    ) -> Tensor:
        """Log p of the given labels, (B,), in nats; 0 for sequences without any.

        Where a step has no label, all are possible: p is summed over them (Täckström
        et al., https://aclanthology.org/Q13-1001).

        Args:
            emissions: (T, B, K).
            targets: long, (T, B).
            lengths: steps of each sequence, (B,).
            mask: bool, (T, B), False where a step has no label; default: all have one.

        Raises:
            InvalidShape: shapes that do not fit.
            InvalidType: targets that are not long, or a mask that is not bool.
            InvalidValue: a target outside [0, K).
        """
        steps, counted = self._check(emissions, lengths)
        if targets.shape != steps.shape:
            raise InvalidShape(
                f"targets must have shape {tuple(steps.shape)}, got "
                f"{tuple(targets.shape)}"
            )
        if targets.dtype != torch.long:
            raise InvalidType(f"targets should be of dtype long, got: {targets.dtype}")
        if mask is not None and (mask.shape != steps.shape or mask.dtype != torch.bool):
            raise InvalidShape(
                f"mask must be bool of shape {tuple(steps.shape)}, got {mask.dtype} of "
                f"shape {tuple(mask.shape)}"
            )
        known = steps if mask is None else steps & mask
        targets = targets.masked_fill(~known, 0)
        if targets.numel() and not 0 <= int(targets.min()) <= int(targets.max()) < (
            self.labels
        ):
            raise InvalidValue(f"targets must lie in [0, {self.labels})")
        if bool((known == steps).all()):
            log_sum = self._log_sum(emissions, counted)
            return self._score(emissions, targets, steps, counted) - log_sum
        others = ~nn.functional.one_hot(targets, self.labels).bool()
        clamped = emissions.masked_fill(others & known.unsqueeze(-1), IMPOSSIBLE)
        # One recursion for both sums.
        both = torch.cat([clamped, emissions], 1)
        given, every = self._log_sum(both, torch.cat([counted, counted])).chunk(2)
        return torch.where(known.any(0), given - every, 0.0)

    def _check(
        self, emissions: Tensor, lengths: Tensor | Iterable[int]
    ) -> tuple[Tensor, Tensor]:
        """Which steps there are, (T, B), and how many, (B,)."""
        if emissions.dim() != 3 or emissions.size(2) != self.labels:
            raise InvalidShape(
                f"emissions must be (T, B, {self.labels}), got {tuple(emissions.shape)}"
            )
        if not isinstance(lengths, Tensor):
            lengths = torch.tensor(list(lengths), dtype=torch.long)
        lengths = lengths.to(emissions.device)
        if lengths.shape != emissions.shape[1:2]:
            raise InvalidShape(
                f"lengths must have shape ({emissions.size(1)},), got "
                f"{tuple(lengths.shape)}"
            )
        if bool(((lengths < 0) | (lengths > emissions.size(0))).any()):
            raise InvalidValue(f"lengths must lie in [0, {emissions.size(0)}]")
        return valid_steps(lengths, emissions), lengths

    def _score(
        self, emissions: Tensor, targets: Tensor, steps: Tensor, lengths: Tensor
    ) -> Tensor:
        """Of fully given labels, (B,)."""
        if not len(emissions):
            return emissions.new_zeros(emissions.size(1)) + 0 * self.end.sum()
        here = emissions.gather(2, targets.unsqueeze(-1)).squeeze(-1)
        between = self.transitions[targets[:-1], targets[1:]]
        last = targets.gather(0, (lengths - 1).clamp(min=0).unsqueeze(0)).squeeze(0)
        score = torch.where(steps, here, 0.0).sum(0)
        score = score + torch.where(steps[1:], between, 0.0).sum(0)
        score = score + self.start[targets[0]] + self.end[last]
        return torch.where(lengths > 0, score, 0.0)

    def _log_sum(self, emissions: Tensor, lengths: Tensor) -> Tensor:
        """Log Z, (B,): over no steps 0."""
        if not len(emissions):
            return emissions.new_zeros(emissions.size(1)) + 0 * self.end.sum()
        last = self._prefix_sums(
            emissions, lengths, self.start, self.transitions.unsqueeze(0)
        )[-1]
        return torch.where(lengths > 0, (last + self.end).logsumexp(-1), 0.0)

    @staticmethod
    def _prefix_sums(
        emissions: Tensor, lengths: Tensor, start: Tensor, transitions: Tensor
    ) -> list[Tensor]:
        """α_t[k]: log of the sum over all that ends in label k at step t, (B, K) each.

        α_t[k] = log Σ_j exp(α_{t-1}[j] + A[j, k]) + e_t[k];  beyond the end as before.
        """
        alphas = [start + emissions[0]]
        for t in range(1, len(emissions)):
            summed = (alphas[-1].unsqueeze(-1) + transitions).logsumexp(-2)
            inside = (t < lengths).unsqueeze(-1)
            alphas.append(torch.where(inside, summed + emissions[t], alphas[-1]))
        return alphas

    def _possible(self) -> tuple[Tensor, Tensor, Tensor]:
        """A, start and end with what is forbidden."""
        return (
            self.transitions + self.transition_penalty,
            self.start + self.first_penalty,
            self.end + self.last_penalty,
        )

    def marginals(self, emissions: Tensor, lengths: Tensor | Iterable[int]) -> Tensor:
        """p(y_t = k | x), (T, B, K), 0 beyond the lengths."""
        steps, counted = self._check(emissions, lengths)
        if not len(emissions):
            return emissions
        between, first, last = self._possible()
        alphas = self._prefix_sums(emissions, counted, first, between)
        # β_t[j] = log Σ_k exp(A[j, k] + e_{t+1}[k] + β_{t+1}[k]), at the last step end.
        betas = [last.expand_as(alphas[0])]
        for t in range(len(emissions) - 2, -1, -1):
            after = (emissions[t + 1] + betas[-1]).unsqueeze(-2)
            inside = (t + 1 < counted).unsqueeze(-1)
            betas.append(torch.where(inside, (between + after).logsumexp(-1), last))
        joint = torch.stack(alphas) + torch.stack(betas[::-1])
        return joint.softmax(-1) * steps.unsqueeze(-1)

    def decode(self, emissions: Tensor, lengths: Tensor | Iterable[int]) -> Tensor:
        """The most probable labels, (T, B), 0 beyond the lengths (Viterbi, 1967).

        >>> CRF(3).decode(torch.zeros(0, 2, 3), [0, 0]).shape
        torch.Size([0, 2])
        """
        steps, counted = self._check(emissions, lengths)
        if not len(emissions):
            return steps.long()
        between, first, last = self._possible()
        best = first + emissions[0]
        stay = torch.arange(self.labels, device=emissions.device).expand_as(best)
        before = []
        for t in range(1, len(emissions)):
            reached, source = (best.unsqueeze(-1) + between).max(-2)
            inside = (t < counted).unsqueeze(-1)
            best = torch.where(inside, reached + emissions[t], best)
            before.append(torch.where(inside, source, stay))
        path = [(best + last).argmax(-1)]
        for source in reversed(before):
            path.append(source.gather(1, path[-1].unsqueeze(1)).squeeze(1))
        return torch.stack(path[::-1]) * steps
