"""The picture of the terms holds their norms."""

import numpy as np
import pytest
import torch

import throughtime as tt
from throughtime.gradients import decompose
from throughtime.plots import gradient_terms, to_svg


@pytest.fixture(scope="module")
def terms():
    torch.manual_seed(0)
    return decompose(tt.RNN(3, 4), torch.randn(9, 2, 3), lambda r: r[0].sum((1, 2)))


@pytest.mark.parametrize("dark", [False, True])
def test_table_bars_and_shares(terms, dark):
    figure = gradient_terms(terms, "weight_hh_l0", dark=dark)
    table, bars, _, shares = figure.axes
    shown = np.ma.getdata(table.images[0].get_array())
    norms = terms.norms["weight_hh_l0"].numpy()
    there = norms > norms.max() * 1e-6
    assert np.array_equal(np.isnan(shown), ~there)
    assert np.array_equal(shown[there], norms[there])
    heights = [bar.get_height() for bar in bars.patches]
    lags = terms.lag_norms(["weight_hh_l0"])
    assert heights == pytest.approx(lags.tolist())
    drawn = shares.lines[0].get_ydata()
    assert drawn[-1] == pytest.approx(100)
    assert drawn[2] == pytest.approx(
        100 * (1 - terms.share_beyond(2, ["weight_hh_l0"])), rel=1e-6
    )
    assert figure.get_suptitle() == "weight_hh_l0"
    assert to_svg(figure, dark=dark).startswith("<svg")


def test_nothing_to_draw_is_drawn():
    """A loss that does not reach the weight through time."""
    layer = tt.RNN(3, 4)
    terms = decompose(layer, torch.randn(5, 1, 3), lambda r: 0 * r[0].sum((1, 2)))
    figure = gradient_terms(terms, "weight_ih_l0", title="nothing")
    assert to_svg(figure).startswith("<svg")
