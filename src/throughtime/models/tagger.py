r"""A label for every step: o_t = W h_t + b, and what is made of these scores.

softmax      p(y_t | x) = softmax(o_t)[y_t], step by step
crf          p(y | x) of all labels together, see ``CRF``
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from throughtime.checks import positive_int, probability
from throughtime.data.examples import Batch
from throughtime.errors import InvalidType, InvalidValue, unknown_name
from throughtime.losses import cross_entropy
from throughtime.models.crf import CRF
from throughtime.models.network import Network, NetworkConfig, valid_steps

OUTPUTS = ("softmax", "crf")


@dataclass(frozen=True)
class TaggerConfig(NetworkConfig):
    """What a tagger is made of.

    Attributes:
        cell: this and what follows as in ``NetworkConfig``.
        output: ``softmax``, every step for itself, or ``crf``, labels together.
        character_size: of words, H of the LSTM over their characters in each direction;
            0: words are read as wholes only.
        word_dropout: share of the words that training replaces by the unknown one.

    Raises:
        InvalidType: an entry has the wrong type.
        InvalidValue: an entry is out of range, or entries contradict each other.
    """

    output: str = "softmax"
    character_size: int = 50
    word_dropout: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.output not in OUTPUTS:
            raise unknown_name("output", self.output, OUTPUTS)
        size = self.character_size
        if not isinstance(size, int) or isinstance(size, bool):
            raise InvalidType(
                f"character_size should be of type int, got: {type(size).__name__}"
            )
        if size < 0:
            raise InvalidValue(f"character_size must not be negative, got {size}")
        probability("word_dropout", self.word_dropout)


class Tagger(nn.Module):
    """Labels of the steps of sequences.

    A batch holds what the front end reads, ``inputs_lengths``, and for the loss
    ``targets``, long (T, B), and where some steps lack a label ``targets_mask``, bool.

    Args:
        front_end: from a batch to (T, B, ``output_size``).
        labels: K.
        config: see ``TaggerConfig``.
        forbidden: pairs of labels that never follow each other, and
        forbidden_first: labels that no sequence begins with, and
        forbidden_last: labels that none ends with; these are for ``crf`` alone, which
            then answers without them.

    Raises:
        InvalidType: ``labels`` is no int.
        InvalidValue: ``labels`` is not positive, or a cell is unknown.

    >>> from throughtime.models.front_ends import TokenFrontEnd
    >>> config = TaggerConfig(hidden_size=4, bidirectional=True, output="crf")
    >>> tagger = Tagger(TokenFrontEnd(9, 6), 3, config).eval()
    >>> inputs = torch.tensor([[7, 2], [1, 0]])
    >>> batch = {"inputs": inputs, "inputs_lengths": torch.tensor([2, 1])}
    >>> tagger.predict(batch).shape, tagger.probabilities(batch).sum(-1).round()
    (torch.Size([2, 2]), tensor([[1., 1.],
            [1., 0.]]))
    """

    def __init__(
        self,
        front_end: nn.Module,
        labels: int,
        config: TaggerConfig | None = None,
        *,
        forbidden: Iterable[tuple[int, int]] = (),
        forbidden_first: Iterable[int] = (),
        forbidden_last: Iterable[int] = (),
    ) -> None:
        super().__init__()
        config = TaggerConfig() if config is None else config
        self.config = config
        self.front_end = front_end
        self.labels = positive_int("labels", labels)
        size: int = front_end.output_size  # pyright: ignore[reportAssignmentType]
        self.network = Network(size, config)
        self.output = nn.Linear(self.network.output_size, labels)
        self.crf = None
        if config.output == "crf":
            self.crf = CRF(
                labels,
                forbidden=forbidden,
                forbidden_first=forbidden_first,
                forbidden_last=forbidden_last,
            )

    def forward(self, batch: Batch) -> Tensor:
        """Scores o_t of every label at every step, (T, B, K)."""
        features, _ = self.network(
            self.front_end(batch),
            lengths=batch["inputs_lengths"],
            carry_gain=batch.get("carry_gain"),
        )
        return self.output(features)

    def batch_loss(self, batch: Batch) -> tuple[Tensor, int]:
        """-log p of all labels there are, in nats, summed; and how many there are."""
        scores, lengths = self(batch), batch["inputs_lengths"]
        steps, given = valid_steps(lengths, scores), batch.get("targets_mask")
        mask = steps if given is None else steps & given
        targets = batch["targets"]
        if self.crf is None:
            loss = cross_entropy(scores, targets, mask=mask, reduction="sum")
        else:
            loss = -self.crf.log_likelihood(scores, targets, lengths, mask).sum()
        return loss, int(mask.sum())

    @torch.no_grad()
    def predict(self, batch: Batch) -> Tensor:
        """The most probable labels, long (T, B), 0 beyond the lengths.

        With ``crf`` the most probable labels together, else those of each step.
        """
        scores, lengths = self(batch), batch["inputs_lengths"]
        if self.crf is not None:
            return self.crf.decode(scores, lengths)
        return scores.argmax(-1) * valid_steps(lengths, scores)

    @torch.no_grad()
    def probabilities(self, batch: Batch) -> Tensor:
        """p(y_t = k | x), (T, B, K), 0 beyond the lengths."""
        scores, lengths = self(batch), batch["inputs_lengths"]
        if self.crf is not None:
            return self.crf.marginals(scores, lengths)
        return scores.softmax(-1) * valid_steps(lengths, scores).unsqueeze(-1)
