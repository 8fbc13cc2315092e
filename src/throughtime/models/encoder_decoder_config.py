"""What an encoder and a decoder are made of."""

from dataclasses import dataclass

from throughtime.checks import boolean, number, positive_int
from throughtime.errors import InvalidType, InvalidValue, unknown_name
from throughtime.models.attention import SCORES
from throughtime.models.network import NONE, NetworkConfig
from throughtime.models.teacher_forcing import truth_probability

ATTENTIONS = ("none", *SCORES)


@dataclass(frozen=True)
class EncoderDecoderConfig(NetworkConfig):
    """What an encoder and a decoder are made of: the same cell and sizes in both.

    Beside the attributes of ``NetworkConfig``, of which ``bidirectional`` is about the
    encoder alone:

    Attributes:
        attention: how the decoder looks at the encoder's steps: ``none``, ``dot``,
            ``bilinear``, ``additive`` or ``mean``, see ``Attention``. With ``dot`` both
            directions of the encoder are added, so that sizes fit.
        attention_size: units of ``additive`` attention; None: as many as
            ``hidden_size``.
        decoder_layers: layers of the decoder; None: ``num_layers``.
        input_feeding: the decoder also reads what the last step told the output layer.
            Steps then run one after the other in training, which takes longer.
        tied: the output weight is the embedding of the targets.
        shared: the same embedding for inputs and targets, which have one vocabulary.
        label_smoothing: ε of the loss in training, see ``losses.cross_entropy``.
        teacher_forcing: ``constant``, ``linear``, ``exponential`` or
            ``inverse-sigmoid``, see ``truth_probability``. With all but the first,
            steps run one after the other in training.
        forcing_decay: k of this schedule, in updates.
        forcing_least: the least probability of the true token.

    Raises:
        InvalidType: an entry has the wrong type.
        InvalidValue: an entry is out of range, or entries contradict each other.
    """

    attention: str = "bilinear"
    attention_size: int | None = None
    decoder_layers: int | None = None
    input_feeding: bool = False
    tied: bool = False
    shared: bool = False
    label_smoothing: float = 0.0
    teacher_forcing: str = "constant"
    forcing_decay: float = 1000.0
    forcing_least: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("attention", "teacher_forcing"):
            if not isinstance(getattr(self, name), str):
                kind = type(getattr(self, name)).__name__
                raise InvalidType(f"{name} should be a name, got {kind}")
        if self.attention not in ATTENTIONS:
            raise unknown_name("attention", self.attention, ATTENTIONS)
        for name in ("attention_size", "decoder_layers"):
            if getattr(self, name) is not None:
                positive_int(name, getattr(self, name))
        for name in ("input_feeding", "tied", "shared"):
            boolean(name, getattr(self, name))
        number("label_smoothing", self.label_smoothing, minimum=0, maximum=1)
        truth_probability(
            self.teacher_forcing, 0, self.forcing_decay, self.forcing_least
        )
        if self.cell == NONE and self.input_feeding:
            raise InvalidValue(
                "input_feeding remembers what was said before, and cell 'none' is to "
                "remember nothing; leave it out"
            )

    @property
    def attends(self) -> str:
        """The score of attention that is used; ``none``: there is no attention.

        Without a memory nothing else than attention can carry the inputs across, so
        cell ``none`` reads their mean at least.
        """
        no_memory = self.cell == NONE and self.attention == "none"
        return "mean" if no_memory else self.attention

    @property
    def is_stepwise(self) -> bool:
        """Whether training runs the steps of the decoder one after the other."""
        return self.input_feeding or self.teacher_forcing != "constant"
