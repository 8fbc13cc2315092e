"""Pictures of forecasts hold the numbers they are given, in both themes."""

import pytest

from throughtime.plots import to_svg
from throughtime.plots.forecast import ForecastPanel, error_by_step, forecasts

WITH = ForecastPanel("a from 5", [1.0, 2.0], [3.0, 4.0], [2.5, 4.5], [2, 3], [3, 5])
WITHOUT = ForecastPanel("b from 9", [1.0], [2.0, 2.0], [2.5, 1.5])


@pytest.mark.parametrize("dark", [False, True])
def test_forecasts(dark):
    figure = forecasts([WITH, WITHOUT], interval="80 % interval", dark=dark)
    first, second = figure.axes
    lines = [line.get_xydata().tolist() for line in first.lines]
    assert lines[0] == [[-1, 1], [0, 2]]
    assert lines[1] == [[1, 3], [2, 4]]
    assert lines[2] == [[1, 2.5], [2, 4.5]]
    (band,) = first.collections
    assert band.get_paths()[0].get_extents().extents.tolist() == [1, 2, 2, 5]
    assert not second.collections
    svg = to_svg(figure, dark=dark)
    for word in ("a from 5", "b from 9", "forecast", "what happened", "80 % interval"):
        assert word in svg


@pytest.mark.parametrize("dark", [False, True])
def test_errors_by_step(dark):
    errors = {"this model": [1.0, 2.0], "naive": [3.0, 4.0]}
    figure = error_by_step(errors, value_name="error", dark=dark)
    (axes,) = figure.axes
    for line, (name, values) in zip(axes.lines, errors.items(), strict=True):
        assert line.get_label() == name
        assert line.get_xydata().tolist() == [[1, values[0]], [2, values[1]]]
    assert axes.get_ylim()[0] == 0
    assert "steps ahead" in to_svg(figure, dark=dark)


def test_a_horizon_of_one_step_is_seen():
    (axes,) = error_by_step({"naive": [1.0]}, value_name="error").axes
    assert axes.lines[0].get_marker() == "o"
