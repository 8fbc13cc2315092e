r"""What stands between the inputs and the read-out of every model of sequences.

h_t = cell(x_t, h_{t-1})            any cell, deep and bidirectional if asked for
h_t = tanh(W x_t + b)               cell "none": the same without a memory
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import torch
from torch import Tensor, nn

from throughtime.cells import build_cell
from throughtime.checks import boolean, from_entries, positive_int, probability
from throughtime.errors import InvalidType, InvalidValue
from throughtime.layers import Recurrent
from throughtime.layers.dropout import drop

NONE = "none"
# Options of NetworkConfig that mean nothing without a hidden state.
ABOUT_STATES = (
    *("bidirectional", "recurrent_dropout", "zoneout", "weight_drop"),
    *("residual", "learned_initial_state", "recompute"),
)


@dataclass(frozen=True)
class NetworkConfig:
    """What a network between inputs and read-out is made of.

    Attributes:
        cell: name of the cell, one of ``throughtime.cells.CELLS``, or of one in a file
            of one's own; or ``none``: a plain network without hidden state, which sees
            one step at a time.
        cell_options: options of the cell by name.
        hidden_size: H of every layer and direction.
        num_layers: L.
        bidirectional: also from the last step to the first.
        embedding_size: features of embedded tokens; None: as many as ``hidden_size``.
        dropout: p on what the network reads, between its layers, and on what it gives.
        variational: one mask for all steps in these dropouts.
        recurrent_dropout: as in ``Recurrent``.
        zoneout: as in ``Recurrent``.
        weight_drop: as in ``Recurrent``.
        residual: as in ``Recurrent``.
        learned_initial_state: as in ``Recurrent``.
        recompute: as in ``Recurrent``.

    Raises:
        InvalidType: an entry has the wrong type.
        InvalidValue: an entry is out of range, or entries contradict each other.
    """

    cell: str = "lstm"
    cell_options: dict[str, Any] = field(default_factory=dict)
    hidden_size: int = 128
    num_layers: int = 1
    bidirectional: bool = False
    embedding_size: int | None = None
    dropout: float = 0.0
    variational: bool = False
    recurrent_dropout: float = 0.0
    zoneout: float = 0.0
    weight_drop: float = 0.0
    residual: bool = False
    learned_initial_state: bool = False
    recompute: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.cell, str):
            raise InvalidType(f"cell should be a name, got {type(self.cell).__name__}")
        positive_int("hidden_size", self.hidden_size)
        positive_int("num_layers", self.num_layers)
        if self.embedding_size is not None:
            positive_int("embedding_size", self.embedding_size)
        for name in ("dropout", "recurrent_dropout", "zoneout", "weight_drop"):
            probability(name, getattr(self, name))
        flags = (
            "bidirectional",
            "variational",
            "residual",
            "learned_initial_state",
            "recompute",
        )
        for name in flags:
            boolean(name, getattr(self, name))
        if self.cell == NONE:
            for name in ABOUT_STATES:
                if getattr(self, name):
                    raise InvalidValue(
                        f"{name} is about hidden states, and cell 'none' has none; "
                        "leave it out"
                    )

    @property
    def embedded(self) -> int:
        """Features of embedded tokens."""
        return self.embedding_size or self.hidden_size

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for config.json."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The config with these entries; the rest keeps its default.

        Raises:
            InvalidValue: unknown entry; the message lists the known ones.
        """
        return from_entries(cls, values, "option of the network")


class Network(nn.Module):
    """Recurrent layers, or without a cell plain ones, from x_t to features of step t.

    Args:
        input_size: I.
        config: see ``NetworkConfig``.

    Raises:
        InvalidValue: the cell or one of its options is unknown.

    >>> network = Network(3, NetworkConfig(cell="gru", hidden_size=4))
    >>> outputs, final_state = network(torch.zeros(5, 2, 3), lengths=[5, 2])
    >>> outputs.shape, network.summary(final_state).shape
    (torch.Size([5, 2, 4]), torch.Size([2, 4]))
    """

    recurrent: Recurrent | None
    plain: nn.ModuleList | None

    def __init__(self, input_size: int, config: NetworkConfig | None = None) -> None:
        super().__init__()
        config = NetworkConfig() if config is None else config
        self.config = config
        self.input_size = positive_int("input_size", input_size)
        self.recurrent = self.plain = None
        if config.cell == NONE:
            sizes = [input_size, *[config.hidden_size] * config.num_layers]
            self.plain = nn.ModuleList(
                nn.Linear(a, b) for a, b in zip(sizes, sizes[1:], strict=False)
            )
            self.output_size = config.hidden_size
            return
        self.recurrent = Recurrent(
            build_cell(
                config.cell, input_size, config.hidden_size, config.cell_options
            ),
            config.num_layers,
            bidirectional=config.bidirectional,
            dropout=config.dropout,
            variational=config.variational,
            recurrent_dropout=config.recurrent_dropout,
            zoneout=config.zoneout,
            weight_drop=config.weight_drop,
            residual=config.residual,
            learned_initial_state=config.learned_initial_state,
            recompute=config.recompute,
        )
        self.output_size = self.recurrent.output_size

    def forward(
        self,
        x: Tensor,
        state: Any = None,
        *,
        lengths: Any = None,
        reset: Tensor | None = None,
        carry_gain: Tensor | None = None,
    ) -> tuple[Tensor, Any]:
        """Features of every step, (T, B, D), 0 beyond the lengths; and the final state.

        Args:
            x: (T, B, I).
            state: what an earlier call returned; default: the initial state.
            lengths: as in ``Recurrent``.
            reset: as in ``Recurrent``.
            carry_gain: as in ``Recurrent``.
        """
        x = self._drop(x)
        if self.recurrent is not None:
            outputs, state = self.recurrent(
                x, state, lengths=lengths, reset=reset, carry_gain=carry_gain
            )
        else:
            assert self.plain is not None
            outputs, state = x, ()
            for index, layer in enumerate(self.plain):
                outputs = self._drop(outputs) if index else outputs
                outputs = layer(outputs).tanh()
            if lengths is not None:
                outputs = outputs * valid_steps(lengths, outputs).unsqueeze(-1)
        return self._drop(outputs), state

    def _drop(self, x: Tensor) -> Tensor:
        config = self.config
        return drop(x, config.dropout, self.training, variational=config.variational)

    def summary(self, state: Any) -> Tensor | None:
        """h of the last layer after the last step, both directions, (B, D).

        None without a cell, as nothing remembers.
        """
        if self.recurrent is None:
            return None
        directions = self.recurrent.num_directions
        return torch.cat([part.h for part in state[-directions:]], -1)

    def initial_state(self, batch_size: int) -> Any:
        """The state before the first step."""
        return (
            () if self.recurrent is None else self.recurrent.initial_state(batch_size)
        )


def valid_steps(lengths: Any, like: Tensor) -> Tensor:
    """True on the first ``lengths`` steps of a batch (T, B, ...), (T, B).

    >>> valid_steps([2, 0], torch.zeros(2, 2)).tolist()
    [[True, False], [True, False]]
    """
    count = torch.as_tensor(lengths, device=like.device)
    return torch.arange(like.size(0), device=like.device).unsqueeze(1) < count
