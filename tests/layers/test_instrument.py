"""An instrument sees every pass in the place of a backend, and is gone afterwards."""

import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence

import throughtime as tt
from throughtime.layers.instrument import instrument, run_by
from throughtime.layers.loop import loop


def test_every_pass_padded():
    layer = tt.LSTM(3, 4, 2, bidirectional=True)
    x = pack_padded_sequence(torch.randn(5, 2, 3), torch.tensor([5, 3]))
    want, (h, _) = layer(x)
    seen = []

    def watch(one):
        seen.append((one.x.shape, one.options["reverse"]))
        return loop(*one[:4], **one.options)

    with run_by(watch):
        found, (last, _) = layer(x)
    sizes = [(5, 2, 3)] * 2 + [(5, 2, 8)] * 2
    assert seen == list(zip(sizes, [False, True] * 2, strict=True))
    torch.testing.assert_close(found.data, want.data)
    torch.testing.assert_close(last, h)


def test_an_error_takes_it_away():
    def broken(one):
        raise ZeroDivisionError

    layer = tt.RNN(3, 4)
    with run_by(broken), pytest.raises(ZeroDivisionError):
        layer(torch.zeros(2, 1, 3))
    assert instrument() is None
    with pytest.raises(ZeroDivisionError), run_by(broken):
        layer(torch.zeros(2, 1, 3))
    assert instrument() is None
