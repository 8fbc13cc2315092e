"""Figures hold the data they were given, and leave no trace in matplotlib."""

import math
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
import torch

from throughtime.diagnostics import GradientFlow
from throughtime.init import spectrum
from throughtime.plots import (
    eigenvalues,
    gradient_norm_against_lag,
    to_svg,
    training_curves,
)

RECORDS = [
    *({"record": "step", "step": s, "loss": 5 / s} for s in range(1, 3001)),
    {"record": "step", "step": 3001, "loss": None},
    {"record": "validation", "step": 1500, "loss": 0.5},
    {"record": "validation", "step": 3000, "loss": 0.4},
    {"record": "event", "step": 3, "kind": "skipped", "message": "..."},
]


def test_curves():
    figure = training_curves(RECORDS, baseline=0.45, baseline_name="5-gram")
    train, valid, level = figure.axes[0].lines
    assert len(train.get_xdata()) <= 400
    # Groups of 8: means of x and y.
    steps = np.arange(1, 9)
    assert train.get_xdata()[0] == steps.mean()
    assert train.get_ydata()[0] == pytest.approx((5 / steps).mean())
    assert list(valid.get_ydata()) == [0.5, 0.4]
    assert set(level.get_ydata()) == {0.45}
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["training", "held out", "5-gram"]


def test_curves_without_records():
    assert len(training_curves([]).axes[0].lines) == 0


def test_gradient_norms_are_shares_of_lag_zero():
    norms = torch.tensor([0.0, 0.5, 1.0, 2.0, 0.0], dtype=torch.float64)
    figure = gradient_norm_against_lag({"l0": GradientFlow(norms)})
    shares = list(figure.axes[0].lines[0].get_ydata())
    assert shares[:3] == [1.0, 0.5, 0.25]
    assert math.isnan(shares[3])
    assert figure.axes[0].get_yscale() == "log"
    assert "l0: vanishing" in figure.legends[0].get_texts()[0].get_text()


def test_eigenvalues_of_a_rotation():
    turn = torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=torch.float64)
    figure = eigenvalues({"W": spectrum(turn)})
    points = np.asarray(figure.axes[0].collections[0].get_offsets())
    assert sorted(points.round(12).tolist()) == [[0, -1], [0, 1]]
    assert math.isclose(figure.axes[0].patches[0].get_radius(), 1)


@pytest.mark.parametrize("count", [1, 3, 4, 6, 8])
def test_every_matrix_has_a_panel_of_its_own(count):
    spectra = {f"W{i} gate": spectrum(torch.eye(2) * i) for i in range(count)}
    shown = [axes for axes in eigenvalues(spectra).axes if axes.get_visible()]
    assert [axes.get_title() for axes in shown] == [f"W{i}\ngate" for i in range(count)]
    for i, axes in enumerate(shown):
        assert np.asarray(axes.collections[0].get_offsets()).tolist() == [[i, 0]] * 2
        assert axes.get_xlim()[1] >= max(1, count - 1)


@pytest.mark.parametrize("dark", [False, True])
def test_svg_is_well_formed_and_style_stays_inside(dark):
    before = dict(matplotlib.rcParams)
    figure = training_curves(RECORDS, dark=dark)
    root = ElementTree.fromstring(to_svg(figure, dark=dark))
    assert root.tag.endswith("svg")
    assert dict(matplotlib.rcParams) == before
    assert to_svg(figure, dark=dark) == to_svg(figure, dark=dark)
