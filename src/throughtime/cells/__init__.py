"""Recurrent cells: one step each, the parameters it needs, nothing else."""

from inspect import Parameter, signature
from typing import Any

from throughtime.cells.activations import ACTIVATIONS as ACTIVATIONS
from throughtime.cells.activations import Activation as Activation
from throughtime.cells.antisymmetric_rnn import AntisymmetricRNN as AntisymmetricRNN
from throughtime.cells.antisymmetric_rnn import (
    GatedAntisymmetricRNN as GatedAntisymmetricRNN,
)
from throughtime.cells.atr import ATR as ATR
from throughtime.cells.base import Cell as Cell
from throughtime.cells.base import HiddenState as HiddenState
from throughtime.cells.brc import BRC as BRC
from throughtime.cells.brc import NBRC as NBRC
from throughtime.cells.cfn import CFN as CFN
from throughtime.cells.clockwork import Clockwork as Clockwork
from throughtime.cells.cornn import CoRNN as CoRNN
from throughtime.cells.coupled_lstm import CoupledLSTM as CoupledLSTM
from throughtime.cells.declare import cell as cell
from throughtime.cells.elman import Elman as Elman
from throughtime.cells.fast_rnn import FastGRNN as FastGRNN
from throughtime.cells.fast_rnn import FastRNN as FastRNN
from throughtime.cells.gru import GRU as GRU
from throughtime.cells.indrnn import IndRNN as IndRNN
from throughtime.cells.irnn import IRNN as IRNN
from throughtime.cells.janet import JANET as JANET
from throughtime.cells.jordan import Jordan as Jordan
from throughtime.cells.layer_norm_gru import LayerNormGRU as LayerNormGRU
from throughtime.cells.leaky import Leaky as Leaky
from throughtime.cells.lem import LEM as LEM
from throughtime.cells.light_ru import LightRU as LightRU
from throughtime.cells.ligru import LiGRU as LiGRU
from throughtime.cells.lstm import LSTM as LSTM
from throughtime.cells.lstm import LSTMState as LSTMState
from throughtime.cells.lstm_variants import LayerNormLSTM as LayerNormLSTM
from throughtime.cells.lstm_variants import PeepholeLSTM as PeepholeLSTM
from throughtime.cells.mgu import MGU as MGU
from throughtime.cells.min_rnn import MinGRU as MinGRU
from throughtime.cells.min_rnn import MinLSTM as MinLSTM
from throughtime.cells.minimal_rnn import MinimalRNN as MinimalRNN
from throughtime.cells.multiplicative_lstm import (
    MultiplicativeLSTM as MultiplicativeLSTM,
)
from throughtime.cells.mut import MUT1 as MUT1
from throughtime.cells.mut import MUT2 as MUT2
from throughtime.cells.mut import MUT3 as MUT3
from throughtime.cells.nas import NAS as NAS
from throughtime.cells.np_rnn import NPRNN as NPRNN
from throughtime.cells.original_lstm import OriginalLSTM as OriginalLSTM
from throughtime.cells.own import cell_title as cell_title
from throughtime.cells.own import is_own as is_own
from throughtime.cells.own import load_own as load_own
from throughtime.cells.parts import PerUnit as PerUnit
from throughtime.cells.parts import row_norm as row_norm
from throughtime.cells.qrnn import QRNN as QRNN
from throughtime.cells.qrnn import QRNNWindow1 as QRNNWindow1
from throughtime.cells.ran import RAN as RAN
from throughtime.cells.rhn import RHN as RHN
from throughtime.cells.scrn import SCRN as SCRN
from throughtime.cells.slstm import SLSTM as SLSTM
from throughtime.cells.sru import SRU as SRU
from throughtime.cells.star import STAR as STAR
from throughtime.cells.ugrnn import UGRNN as UGRNN
from throughtime.cells.working_memory_lstm import WorkingMemoryLSTM as WorkingMemoryLSTM
from throughtime.errors import unknown_name

CELLS: dict[str, type[Cell]] = {
    kind.name: kind
    for kind in (
        Elman,
        IRNN,
        NPRNN,
        Leaky,
        LSTM,
        GRU,
        PeepholeLSTM,
        LayerNormLSTM,
        OriginalLSTM,
        CoupledLSTM,
        MultiplicativeLSTM,
        WorkingMemoryLSTM,
        SLSTM,
        MinLSTM,
        LayerNormGRU,
        LiGRU,
        MinGRU,
        MGU,
        MUT1,
        MUT2,
        MUT3,
        UGRNN,
        JANET,
        RAN,
        CFN,
        ATR,
        STAR,
        LightRU,
        MinimalRNN,
        BRC,
        NBRC,
        NAS,
        RHN,
        SCRN,
        Jordan,
        Clockwork,
        IndRNN,
        QRNN,
        QRNNWindow1,
        SRU,
        FastRNN,
        FastGRNN,
        AntisymmetricRNN,
        GatedAntisymmetricRNN,
        CoRNN,
        LEM,
    )
}


def find_cell(name: str) -> type[Cell]:
    """The class called ``name`` in ``CELLS``, or in a file: ``path/file.py:MyCell``.

    The file is run as Python.

    Raises:
        InvalidValue: unknown name; the message lists the known ones.
        DataError: the file is missing.
        InvalidCell: the file cannot be run, or its cell breaks a rule.

    >>> find_cell("gru").__name__
    'GRU'
    """
    if name in CELLS:
        return CELLS[name]
    if is_own(name):
        return load_own(name).kind
    raise unknown_name("cell", name, [*CELLS, "path/to/file.py:MyCell"])


def cell_options(name: str) -> dict[str, Any]:
    """The options of the cell ``name`` and their defaults.

    Raises:
        InvalidValue: unknown name; the message lists the known ones.

    >>> cell_options("gru")["reset_after"]
    True
    """
    return options_of(find_cell(name))


def options_of(kind: type[Cell]) -> dict[str, Any]:
    """The options of a class of cells and their defaults."""
    own = dict(getattr(kind, "step_options", {}))
    return own | {
        option.name: option.default
        for option in signature(kind).parameters.values()
        if option.kind is Parameter.KEYWORD_ONLY
        and option.name not in ("device", "dtype")
    }


def build_cell(
    name: str, input_size: int, hidden_size: int, options: dict[str, Any] | None = None
) -> Cell:
    """The cell called ``name``, see ``find_cell``, with options by name.

    Raises:
        InvalidValue: unknown cell or option; the message lists the known ones.

    >>> build_cell("elman", 3, 4, {"nonlinearity": "relu"})
    Elman(3, 4, nonlinearity='relu')
    """
    known = cell_options(name)
    for option in options or {}:
        if option not in known:
            raise unknown_name(f"option of cell {name!r}", option, known)
    return find_cell(name)(input_size, hidden_size, **(options or {}))
