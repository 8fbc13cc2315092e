r"""A recogniser: from a sequence to the symbols it says, without knowing where.

    h_t = network(x_1..x_T)_t              any cell, best in both directions
    p_t = softmax(U h_t + b)               over the symbols and a blank
    loss = -log Σ_{paths that read y} Π_t p_t(π_t)

See ``models.ctc``. Steps can be taken together, k at a time (``subsample``): fewer
steps to run through, where neighbours say much the same, as in sound.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from throughtime.checks import positive_int
from throughtime.data.examples import Batch
from throughtime.models.ctc import (
    Continuation,
    beam_readings,
    ctc_loss,
    greedy_reading,
)
from throughtime.models.network import Network, NetworkConfig, valid_steps


def subsampled(lengths: Tensor, by: int) -> Tensor:
    """How many steps are left when ``by`` at a time are taken together.

    >>> subsampled(torch.tensor([0, 1, 3, 4]), 3)
    tensor([0, 1, 1, 2])
    """
    return (lengths + by - 1) // by


class Recogniser(nn.Module):
    """P(symbols | sequence), trained without an alignment.

    Args:
        front_end: from a batch to (T, B, I), I its ``output_size``.
        symbols: S, how many symbols there are; the blank is index S.
        config: see ``NetworkConfig``.
        subsample: k, steps that are taken together before the network reads them.

    Raises:
        InvalidType: a number is no int.
        InvalidValue: a number is not positive, or the cell is unknown.

    >>> from throughtime.models.front_ends import VectorFrontEnd
    >>> model = Recogniser(VectorFrontEnd(2), 3, NetworkConfig(hidden_size=4))
    >>> four, one = torch.tensor([4]), torch.tensor([1])
    >>> batch = {"inputs": torch.zeros(4, 1, 2), "inputs_lengths": four}
    >>> logits, lengths = model(batch)
    >>> logits.shape, lengths
    (torch.Size([4, 1, 4]), tensor([4]))
    >>> batch |= {"targets": torch.tensor([[2]]), "targets_lengths": one}
    >>> loss, count = model.batch_loss(batch)
    >>> count
    1
    """

    def __init__(
        self,
        front_end: nn.Module,
        symbols: int,
        config: NetworkConfig | None = None,
        *,
        subsample: int = 1,
    ) -> None:
        super().__init__()
        self.front_end = front_end
        self.symbols = positive_int("symbols", symbols)
        self.subsample = positive_int("subsample", subsample)
        size: int = front_end.output_size  # pyright: ignore[reportAssignmentType]
        self.network = Network(size * subsample, config)
        self.output = nn.Linear(self.network.output_size, symbols + 1)

    @property
    def blank(self) -> int:
        """Index of the blank."""
        return self.symbols

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Logits of every step, (T', B, S + 1), and the steps of each sequence, (B,).

        Args:
            batch: ``inputs``, (T, B, ...), with ``inputs_lengths``, and what else the
                front end reads.

        Returns:
            T' is T over ``subsample``, rounded up.
        """
        lengths = batch["inputs_lengths"]
        x = self.front_end(batch)
        carry_gain = batch.get("carry_gain")
        if self.subsample > 1:
            x = x * valid_steps(lengths, x).unsqueeze(-1)
            x = self._together(x).movedim(1, 2).flatten(2)
            lengths = subsampled(lengths, self.subsample)
            if carry_gain is not None:
                gains = self._together(carry_gain.to(x.dtype), filling=1.0)
                carry_gain = gains.prod(1)
        h, _ = self.network(x, lengths=lengths, carry_gain=carry_gain)
        return self.output(h), lengths

    def _together(self, x: Tensor, filling: float = 0.0) -> Tensor:
        """(T, B, ...) as (T', k, B, ...)."""
        missing = -len(x) % self.subsample
        widths = [0, 0] * (x.dim() - 1) + [0, missing]
        x = F.pad(x, widths, value=filling)
        return x.unflatten(0, (len(x) // self.subsample, self.subsample))

    def batch_loss(self, batch: Batch) -> tuple[Tensor, int]:
        """-log P(targets | inputs), summed, and how many symbols the targets have.

        An empty target counts as one, that of saying nothing.

        Args:
            batch: as in ``forward``, with ``targets``, (L, B), in [0, S), and
                ``targets_lengths``.

        Raises:
            InvalidValue: a target needs more steps than its sequence has.
        """
        logits, lengths = self(batch)
        sizes = batch["targets_lengths"]
        losses = ctc_loss(logits, lengths, batch["targets"], sizes, blank=self.blank)
        return losses.sum(), int(sizes.clamp(min=1).sum())

    @torch.no_grad()
    def log_probs(self, batch: Batch) -> list[Tensor]:
        """log p_t of each sequence by itself, (T', S + 1)."""
        logits, lengths = self(batch)
        return [
            rows[:length].log_softmax(-1)
            for rows, length in zip(logits.unbind(1), lengths.tolist(), strict=True)
        ]

    def read(
        self,
        batch: Batch,
        *,
        beam_size: int = 1,
        continuation: Continuation | None = None,
        weight: float = 1.0,
        bonus: float = 0.0,
    ) -> list[list[int]]:
        """The symbols that each sequence says; put the model into eval mode first.

        Args:
            batch: as in ``forward``.
            beam_size: 1: what the likeliest path says; more: see ``beam_readings``.
            continuation: see ``beam_readings``; it needs a beam.
            weight: see ``beam_readings``.
            bonus: see ``beam_readings``.

        Raises:
            InvalidType: an option has the wrong type.
            InvalidValue: an option is out of range.
        """
        positive_int("beam_size", beam_size)
        if beam_size == 1 and continuation is None:
            return [greedy_reading(p, blank=self.blank) for p in self.log_probs(batch)]
        found: list[Sequence[int]] = [
            beam_readings(
                log_probs,
                blank=self.blank,
                beam_size=beam_size,
                continuation=continuation,
                weight=weight,
                bonus=bonus,
            )[0].symbols
            for log_probs in self.log_probs(batch)
        ]
        return [list(symbols) for symbols in found]
