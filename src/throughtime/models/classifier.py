r"""Many to one: a label or a number for a whole sequence.

h_1..h_T = network(x_1..x_T),   s = pooling(h_1..h_T)
P(label | x) = softmax(U s + b)            or a number, u·s + b
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from throughtime.checks import from_entries, number
from throughtime.data.examples import Batch
from throughtime.errors import InvalidValue
from throughtime.models.network import Network, NetworkConfig
from throughtime.models.pooling import Pooling, check_pooling


@dataclass(frozen=True)
class ClassifierConfig(NetworkConfig):
    """What a classifier is made of: a network, and how it is read.

    Attributes:
        pooling: ``last``, ``mean``, ``max`` or ``attention``, see ``Pooling``.
        label_smoothing: of the labels, as in ``losses.cross_entropy``.

    Raises:
        InvalidType: an entry has the wrong type.
        InvalidValue: an entry is out of range, or entries contradict each other.
    """

    pooling: str = "last"
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_pooling(self.pooling)
        number("label_smoothing", self.label_smoothing, minimum=0, maximum=1)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "ClassifierConfig":
        """The config with these entries; the rest keeps its default.

        Raises:
            InvalidValue: unknown entry; the message lists the known ones.
        """
        return from_entries(cls, values, "option of the classifier")


class Classifier(nn.Module):
    """A label, or a number, for each sequence of a batch.

    Args:
        front_end: from a batch to (T, B, I), with ``output_size`` I.
        num_labels: K; None: a number is asked for.
        config: see ``ClassifierConfig``.
        mean: of the numbers in the training data; only for numbers.
        std: of them; the network learns (number - mean) / std.

    Raises:
        InvalidValue: fewer than 2 labels, or an option that cannot be used.

    >>> from throughtime.models.front_ends import VectorFrontEnd
    >>> model = Classifier(VectorFrontEnd(3), 2, ClassifierConfig(hidden_size=4))
    >>> batch = {"inputs": torch.zeros(5, 1, 3), "inputs_lengths": torch.tensor([5])}
    >>> model(batch).shape
    torch.Size([1, 2])
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        front_end: nn.Module,
        num_labels: int | None,
        config: ClassifierConfig | None = None,
        *,
        mean: float = 0.0,
        std: float = 1.0,
    ) -> None:
        super().__init__()
        config = ClassifierConfig() if config is None else config
        if num_labels is not None and num_labels < 2:
            raise InvalidValue(
                f"num_labels must be at least 2, got {num_labels}; None asks for a "
                "number"
            )
        self.config, self.num_labels = config, num_labels
        self.front_end = front_end
        self.network = Network(int(front_end.output_size), config)  # pyright: ignore
        self.pooling = Pooling(self.network.output_size, config.pooling)
        self.read = nn.Linear(self.network.output_size, num_labels or 1)
        self.register_buffer("mean", torch.tensor(float(mean)))
        self.register_buffer("std", torch.tensor(float(std)))

    def forward(self, batch: Batch) -> Tensor:
        """Logits of the labels, (B, K); or the numbers, (B,)."""
        features, pooled = self.pooled(batch)
        del features
        outputs = self.read(pooled)
        if self.num_labels is not None:
            return outputs
        return outputs.squeeze(-1) * self.std + self.mean

    def pooled(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Features of every step, (T, B, D), and of the sequences, (B, D)."""
        lengths = batch["inputs_lengths"]
        features, state = self.network(self.front_end(batch), lengths=lengths)
        summary = self.network.summary(state)
        if summary is not None and self.training:
            summary = F.dropout(summary, self.config.dropout)
        return features, self.pooling(features, lengths, summary)

    def attention(self, batch: Batch) -> Tensor:
        """How much each step counts, (T, B), with pooling ``attention``.

        Raises:
            InvalidValue: another pooling.
        """
        if self.config.pooling != "attention":
            raise InvalidValue(
                f"attention needs pooling='attention', got {self.config.pooling!r}"
            )
        features, _ = self.network(
            self.front_end(batch), lengths=batch["inputs_lengths"]
        )
        return self.pooling.weights(features, batch["inputs_lengths"])

    def batch_loss(self, batch: Batch) -> tuple[Tensor, int]:
        """Cross entropy of ``labels`` (B,), or squared error of ``numbers`` (B,).

        Labels below 0 and numbers that are NaN are unknown and do not count. Squared
        errors are in units of ``std``.
        """
        outputs = self(batch)
        if self.num_labels is None:
            known = ~batch["numbers"].isnan()
            error = (outputs - batch["numbers"])[known] / self.std
            return error.square().sum(), int(known.sum())
        known = batch["labels"] >= 0
        loss = F.cross_entropy(
            outputs[known],
            batch["labels"][known],
            reduction="sum",
            label_smoothing=self.config.label_smoothing if self.training else 0.0,
        )
        return loss, int(known.sum())
