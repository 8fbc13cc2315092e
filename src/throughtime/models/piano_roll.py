r"""Which keys of a piano sound next: a network over the frames of a piano roll.

h_t = network(x_t, h_{t-1}),  p_t = sigmoid(W h_t + b),  x_t in {0, 1}^K

-log P(x_{t+1} | x_1 .. x_t) = -Σ_k x_{t+1,k} log p_tk + (1 - x_{t+1,k}) log(1 - p_tk)

Keys are independent of each other given the past, as in the recurrent networks of
Boulanger-Lewandowski, Bengio and Vincent, arXiv 1206.6392, and of Chung et al., arXiv
1412.3555.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from throughtime.checks import number, positive_int
from throughtime.data.examples import Batch
from throughtime.errors import InvalidShape, InvalidValue
from throughtime.models.network import Network, NetworkConfig, valid_steps


class PianoRollModel(nn.Module):
    """Logits of every key at the next step.

    A batch, as ``Examples.batch`` makes it, holds ``inputs`` (T, B, K) of 0 and 1,
    ``inputs_lengths`` (B,), for the loss ``targets`` (T, B, K), and where frames are
    unknown ``inputs_present`` and ``targets_mask``, bool (T, B): an unknown frame is
    read as silence and counts in no loss.

    Args:
        config: see ``NetworkConfig``; default: an LSTM of 128 units.
        keys: K.

    Raises:
        InvalidType: ``keys`` is no int.
        InvalidValue: ``keys`` is not positive; the network is bidirectional, which
            would read the answer; or it is to embed, and keys are read as they are.

    >>> model = PianoRollModel(NetworkConfig(cell="gru", hidden_size=8))
    >>> frames = torch.zeros(5, 2, 88)
    >>> batch = {"inputs": frames, "inputs_lengths": torch.tensor([5, 3])}
    >>> model(batch).shape
    torch.Size([5, 2, 88])
    >>> loss, count = model.batch_loss({**batch, "targets": frames})
    >>> count
    8
    >>> model.eval().generate(frames[:, 0], 4).shape
    torch.Size([4, 88])
    """

    def __init__(self, config: NetworkConfig | None = None, keys: int = 88) -> None:
        super().__init__()
        config = NetworkConfig() if config is None else config
        if config.bidirectional:
            raise InvalidValue(
                "a model of the next frame cannot be bidirectional: it would read the "
                "answer; leave bidirectional out"
            )
        if config.embedding_size is not None:
            raise InvalidValue(
                "embedding_size is for tokens, and keys are read as they are; leave it "
                "out"
            )
        self.config = config
        self.keys = positive_int("keys", keys)
        self.network = Network(keys, config)
        self.output = nn.Linear(self.network.output_size, keys)

    def forward(self, batch: Batch) -> Tensor:
        """Logits (T, B, K) of the frame after each step."""
        inputs = batch["inputs"]
        if inputs.dim() != 3 or inputs.size(-1) != self.keys:
            raise InvalidShape(
                f"inputs must have shape (steps, batch, {self.keys}), got "
                f"{tuple(inputs.shape)}"
            )
        inputs = inputs.to(self.output.weight.dtype)
        present = batch.get("inputs_present")
        if present is not None:
            inputs = inputs.masked_fill(~present.unsqueeze(-1), 0)
        features, _ = self.network(inputs, lengths=batch["inputs_lengths"])
        return self.output(features)

    def frame_losses(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """-log P of each next frame in nats, 0 where none counts, and which count.

        Both (T, B); the second is bool.
        """
        logits = self(batch)
        targets = batch["targets"].to(logits.dtype)
        counts = valid_steps(batch["inputs_lengths"], logits)
        if "targets_mask" in batch:
            counts = counts & batch["targets_mask"]
        losses = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
        return losses.sum(-1).masked_fill(~counts, 0), counts

    def batch_loss(self, batch: Batch) -> tuple[Tensor, int]:
        """The sum over all frames that count, in nats, and how many these are."""
        losses, counts = self.frame_losses(batch)
        return losses.sum(), int(counts.sum())

    def initial_state(self, batch_size: int) -> Any:
        """The state before the first step."""
        return self.network.initial_state(batch_size)

    @torch.no_grad()
    def generate(
        self,
        prompt: Tensor,
        length: int,
        *,
        temperature: float = 1.0,
        most_notes: int | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Go on with a piece: each frame is drawn key by key, and read as the next.

        Args:
            prompt: the beginning, (T, K), at least one frame.
            length: frames to produce.
            temperature: divides the logits; near 0 keys sound that are likelier than
                not, and no others.
            most_notes: of the keys drawn for a frame, only so many of the likeliest
                sound; default: all.
            generator: where the draws come from; the same seed gives the same music.

        Returns:
            (length, K) of 0 and 1, without the prompt.

        Raises:
            InvalidShape: the prompt is empty or no roll of K keys.
            InvalidType: a number has the wrong type.
            InvalidValue: a number is out of range.
        """
        if prompt.dim() != 2 or prompt.size(1) != self.keys or len(prompt) == 0:
            raise InvalidShape(
                f"prompt must have shape (steps, {self.keys}), at least one step, got "
                f"{tuple(prompt.shape)}"
            )
        positive_int("length", length)
        number("temperature", temperature, minimum=0, exclude_minimum=True)
        if most_notes is not None:
            positive_int("most_notes", most_notes)
        frames = prompt.to(self.output.weight.dtype).unsqueeze(1)
        state, produced = self.initial_state(1), []
        for _ in range(length):
            features, state = self.network(frames, state)
            chances = (self.output(features[-1]) / temperature).sigmoid()
            drawn = torch.bernoulli(chances, generator=generator)
            if most_notes is not None and most_notes < self.keys:
                kept = (drawn * chances).topk(most_notes).indices
                drawn = drawn * torch.zeros_like(drawn).scatter(1, kept, 1)
            produced.append(drawn)
            frames = drawn.unsqueeze(0)
        return torch.cat(produced)
