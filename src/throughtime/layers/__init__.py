"""Recurrent layers: the only place where cells meet kernels."""

from throughtime.layers.output import linear_cross_entropy as linear_cross_entropy
from throughtime.layers.recurrent import Recurrent as Recurrent
from throughtime.layers.rnn import GRU as GRU
from throughtime.layers.rnn import LSTM as LSTM
from throughtime.layers.rnn import RNN as RNN
from throughtime.layers.rnn_cells import GRUCell as GRUCell
from throughtime.layers.rnn_cells import LSTMCell as LSTMCell
from throughtime.layers.rnn_cells import RNNCell as RNNCell
from throughtime.layers.trace import Trace as Trace
