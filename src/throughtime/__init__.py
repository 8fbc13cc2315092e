"""Build, train, run and explain recurrent networks in PyTorch.

Names are looked up on first use, so that ``import throughtime`` itself is fast and
loads nothing, not even torch.

>>> import torch
>>> import throughtime as tt
>>> outputs, (h, c) = tt.LSTM(3, 4)(torch.zeros(7, 2, 3))
>>> outputs.shape
torch.Size([7, 2, 4])
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from throughtime import cells as cells
    from throughtime import data as data
    from throughtime import diagnostics as diagnostics
    from throughtime import gradients as gradients
    from throughtime import init as init
    from throughtime import losses as losses
    from throughtime import metrics as metrics
    from throughtime import models as models
    from throughtime import training as training
    from throughtime.cells.declare import cell as cell
    from throughtime.layers.output import linear_cross_entropy as linear_cross_entropy
    from throughtime.layers.recurrent import Recurrent as Recurrent
    from throughtime.layers.rnn import GRU as GRU
    from throughtime.layers.rnn import LSTM as LSTM
    from throughtime.layers.rnn import RNN as RNN
    from throughtime.layers.rnn_cells import GRUCell as GRUCell
    from throughtime.layers.rnn_cells import LSTMCell as LSTMCell
    from throughtime.layers.rnn_cells import RNNCell as RNNCell

__version__ = "0.1.0"

_ROOMS = (
    "cells",
    "data",
    "diagnostics",
    "gradients",
    "init",
    "losses",
    "metrics",
    "models",
    "training",
)
# Class or function -> the module that has it.
_DEFINED = {
    "cell": "throughtime.cells.declare",
    "linear_cross_entropy": "throughtime.layers.output",
    "Recurrent": "throughtime.layers.recurrent",
    "RNN": "throughtime.layers.rnn",
    "LSTM": "throughtime.layers.rnn",
    "GRU": "throughtime.layers.rnn",
    "RNNCell": "throughtime.layers.rnn_cells",
    "LSTMCell": "throughtime.layers.rnn_cells",
    "GRUCell": "throughtime.layers.rnn_cells",
}


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return import_module(f"{__name__}.{name}")
    if name in _DEFINED:
        return getattr(import_module(_DEFINED[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*_ROOMS, *_DEFINED, "__version__"})
