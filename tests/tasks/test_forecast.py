"""The task from files to forecasts, and everything that a user may get wrong."""

import json
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch

from throughtime.errors import DataError, InvalidType, InvalidValue
from throughtime.models.forecaster import ForecasterConfig
from throughtime.report import render
from throughtime.report.page import Report
from throughtime.tasks.forecast import Forecast
from throughtime.tasks.forecast_options import ForecastOptions


def write(folder, rows, header="day,x,y", name="a.csv"):
    path = folder / name
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def daily(count, start=1, value=lambda t: (np.sin(t), t % 7)):
    """Rows from 2024-01-01 on."""
    days = np.datetime64("2024-01-01") + np.arange(start - 1, start - 1 + count)
    return [
        ",".join([str(day), *(f"{v:.9g}" for v in value(t))])
        for t, day in enumerate(days, start=start)
    ]


def fit(path, share=0.25, **options):
    options = ForecastOptions(**options)
    raw = Forecast.read([path], options)
    train, held_out = Forecast.split(raw, share, 0, options)
    return Forecast.fit(train, options), train, held_out


def build(task, **entries):
    torch.manual_seed(0)
    config = ForecasterConfig(**{"cell": "gru", "hidden_size": 4} | entries)
    return task.build(config).double().eval()


def test_from_a_file_to_figures_and_forecasts(tmp_path):
    path = write(tmp_path, daily(80))
    task, train, held_out = fit(path, horizon=5)
    assert task.describe() == (
        "2 to forecast; one day a step; season 7; 14 steps to forecast 5; "
        "calendar: week"
    )
    again = Forecast.from_dict(json.loads(json.dumps(task.to_dict())))
    assert again.to_dict() == task.to_dict()
    examples = again.encode(held_out)
    assert len(examples) == 20 - 5 + 1
    assert len(again.encode(train)) == 60 - 14 - 5 + 1
    for output in ("mean", "gaussian", "quantile"):
        model = build(again, output=output)
        loss, count = model.batch_loss(examples.batch([0, 1]) | _double(examples))
        assert loss.isfinite()
        assert count == 2 * 5 * 2
        evaluation = again.evaluate(model, held_out, examples)
        assert all(np.isfinite(v) for v in evaluation.figures.values())
        assert ("coverage" in evaluation.figures) == (output != "mean")
        assert ("crps" in evaluation.figures) == (output == "gaussian")
        (answer,) = again.predict(model, again.read_inputs(path))
        assert answer["times"] == [f"2024-03-{d}" for d in range(21, 26)]
        lines = answer["text"].split("\n")
        assert lines[0] == (
            "time,x,y"
            if output == "mean"
            else "time,x,x_0.1,x_0.5,x_0.9,y,y_0.1,y_0.5,y_0.9"
        )
        assert len(lines) == 6
        assert float(lines[1].split(",")[1]) == pytest.approx(
            answer["forecast"]["x"][0], rel=1e-5
        )
        json.dumps(answer)


def _double(examples):
    batch = examples.batch([0, 1])
    return {k: v.double() for k, v in batch.items() if v.is_floating_point()}


def test_evaluation_and_prediction_are_one_and_the_same(tmp_path):
    """A forecast of the back-test is what predict says of the file cut off there."""
    rows = daily(80)
    task, _, held_out = fit(write(tmp_path, rows), horizon=5)
    model = build(task, output="gaussian", strategy="recursive")
    evaluation = task.evaluate(model, held_out, task.encode(held_out))
    cut = write(tmp_path, rows[:70], name="cut.csv")
    (answer,) = task.predict(model, task.read_inputs(cut))
    found = np.array(list(answer["forecast"].values())).T
    np.testing.assert_allclose(found, evaluation.details["point"][10], rtol=1e-9)
    truth = [[float(v) for v in row.split(",")[1:]] for row in rows[70:75]]
    np.testing.assert_allclose(evaluation.details["truth"][10], truth, rtol=1e-9)
    quantiles = answer["quantiles"]["y"]["0.9"]
    want = evaluation.details["quantiles"][10, :, 1, 2]
    np.testing.assert_allclose(quantiles, want, rtol=1e-9)


def test_nothing_of_the_held_out_part_is_learnt(tmp_path):
    rows = daily(80)
    other = rows[:60] + daily(20, 61, lambda t: (1e6 * t, -5.0))
    a = fit(write(tmp_path, rows), horizon=5)
    b = fit(write(tmp_path, other), horizon=5)
    assert a[0].to_dict() == b[0].to_dict()
    first, second = (task.encode(train) for task, train, _ in (a, b))
    for index in range(len(first)):
        for name, part in first.sequences.items():
            assert torch.equal(part[index], second.sequences[name][index])
    # Nor by the baselines: each forecast sees what lies before it.
    first, second = (task.baselines(train, late) for task, train, late in (a, b))
    for name, evaluation in first.items():
        (x, y) = (e.details["point"][0] for e in (evaluation, second[name]))
        np.testing.assert_array_equal(x, y)


def test_scales_are_those_of_the_training_part(tmp_path):
    task, train, _ = fit(write(tmp_path, daily(80)), horizon=5)
    values = train[0].input.table.values[:60]
    np.testing.assert_allclose(task.layout.mean, values.mean(0), rtol=1e-12)
    np.testing.assert_allclose(task.layout.std, values.std(0), rtol=1e-12)
    errors = np.abs(values[7:] - values[:-7]).mean(0)
    assert task.naive_errors[0] == pytest.approx(errors[0], rel=1e-12)
    # y repeats itself every week: its deviation is the unit instead.
    assert task.naive_errors[1] == pytest.approx(values[:, 1].std(), rel=1e-12)


def test_baselines(tmp_path):
    task, train, held_out = fit(write(tmp_path, daily(80)), horizon=9, targets="y")
    found = task.baselines(train, held_out)
    assert list(found) == [
        "naive",
        "seasonal naive (7)",
        "drift",
        "mean of the window",
        "linear",
    ]
    assert found["seasonal naive (7)"].figures["mae"] == pytest.approx(0, abs=1e-12)
    assert found["linear"].figures["mae"] < 0.1 < found["naive"].figures["mae"]
    short, train, held_out = fit(
        write(tmp_path, daily(80)), horizon=9, targets="y", period=70, look_back=5
    )
    assert "seasonal naive (70)" not in short.baselines(train, held_out)


def test_several_series_and_files(tmp_path):
    rows = [f"{s},{row}" for s in "ab" for row in daily(40)]
    path = write(tmp_path, rows, "shop,day,x,y")
    task, train, held_out = fit(path, horizon=3, series="shop", time="day")
    assert [e.group for e in train] == ["a", "b"]
    assert len(task.encode(held_out)) == 2 * (10 - 3 + 1)
    answers = task.predict(build(task), task.read_inputs(path))
    assert [answer["series"] for answer in answers] == ["a", "b"]
    one = write(tmp_path, daily(40), name="b.csv")
    both = Forecast.read([one, one], ForecastOptions())
    assert [e.input.table.path.name for e in both] == ["b.csv", "b.csv"]


def test_inputs_and_what_is_known_ahead(tmp_path):
    rows = daily(60, value=lambda t: (np.sin(t), t % 5, t % 3))
    header = "day,x,past,plan"
    path = write(tmp_path, rows, header)
    options = {"targets": "x", "inputs": "past", "known": "plan", "horizon": 4}
    task, _, _ = fit(path, **options)
    assert task.describe().startswith("1 to forecast; 1 further inputs; 1 known ahead")
    model = build(task)
    with pytest.raises(DataError, match=r"plan are needed for 4 steps .* got 0; add"):
        task.predict(model, task.read_inputs(path))
    ahead = [f"2024-03-0{day},,,{day}" for day in (1, 2, 3, 4)]
    longer = write(tmp_path, rows + ahead, header, "b.csv")
    (answer,) = task.predict(model, task.read_inputs(longer))
    assert answer["times"][0] == "2024-03-01"
    other = write(tmp_path, rows + [r[:-1] + "9" for r in ahead], header, "c.csv")
    (changed,) = task.predict(model, task.read_inputs(other))
    assert changed["forecast"]["x"] != answer["forecast"]["x"]
    with pytest.raises(InvalidValue, match="forecast the 1 further inputs as well"):
        build(task, strategy="recursive")


def test_missing_values(tmp_path):
    rows = daily(80)
    rows[30] = "2024-01-31,,2"
    path = write(tmp_path, rows)
    with pytest.raises(DataError, match=r"a.csv:32: no value in column 'x'.*skip"):
        fit(path, horizon=5)
    del rows[70]
    path = write(tmp_path, rows)
    task, train, held_out = fit(path, horizon=5, missing="skip")
    model, examples = build(task), task.encode(train)
    assert sum(
        int(mask[:, 0].sum()) for mask in examples.sequences["targets_mask"]
    ) == (42 * 5 - 5)
    evaluation = task.evaluate(model, held_out, task.encode(held_out))
    assert np.isnan(evaluation.details["truth"]).sum() == 2 * 5
    for figures in (evaluation, *task.baselines(train, held_out).values()):
        assert np.isfinite(list(figures.figures.values())).all()


def test_a_held_out_value_that_is_missing(tmp_path):
    rows = daily(80)
    rows[70] = rows[70].rpartition(",")[0] + ","
    task, _, held_out = fit(write(tmp_path, rows), horizon=5)
    with pytest.raises(DataError, match=r"a.csv:72: no value in column 'y'"):
        task.encode(held_out)


def test_numbers_without_times(tmp_path):
    path = write(tmp_path, [f"{np.sin(t):.6f}" for t in range(60)], "x")
    task, _, _ = fit(path, period=6)
    assert (task.horizon, task.look_back) == (6, 12)
    model = build(task)
    (answer,) = task.predict(model, task.read_inputs(path))
    assert answer["times"][0] == "61"
    (short,) = task.predict(model, task.read_inputs("0.1 0.5,0.9"))
    assert short["times"] == ["4", "5", "6", "7", "8", "9"]
    for text in ("hello", "1 nan"):
        with pytest.raises(DataError, match=f"'{text}' is no file .*numbers with"):
            task.read_inputs(text)
    dated, _, _ = fit(write(tmp_path, daily(40)), horizon=2)
    with pytest.raises(DataError, match="columns x, y with its times$"):
        dated.read_inputs("1 2 3")


def test_sections(tmp_path):
    task, _, held_out = fit(write(tmp_path, daily(80)), horizon=5)
    model = build(task, output="quantile")
    evaluation = task.evaluate(model, held_out, task.encode(held_out))
    sections = task.sections(model, held_out, evaluation)
    titles = [section.title for section in sections]
    assert titles == ["Error by step", "Error by column", "Forecasts"]
    assert sections[0].table.header[1:] == ("this model", "naive", "seasonal naive (7)")
    assert len(sections[0].table.rows) == 5
    assert "80 %" in sections[2].text
    assert "seasonal naive (7)" in render(Report("", "", sections))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"targets": "z"}, "no column 'z': there are day, x, y"),
        ({"inputs": "z"}, "no column 'z' of numbers: there are x, y"),
        ({"time": "x", "targets": "y"}, "comes after"),
        ({"look_back": 70}, "too few for one window: 70 to look back and 7 to"),
    ],
)
def test_options_that_do_not_fit_the_file(tmp_path, options, says):
    with pytest.raises(DataError, match=says):
        fit(write(tmp_path, daily(80)), **options)


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"horizon": 0}, InvalidValue, "horizon must be greater than zero"),
        ({"window_stride": 1.5}, InvalidType, "window_stride should be of type int"),
        ({"missing": "drop"}, InvalidValue, "unknown way .*known are error, skip"),
        ({"parts": "1"}, InvalidValue, "parts must be two or three numbers"),
        ({"parts": "0.5,0.6"}, InvalidValue, "parts must be two or three numbers"),
        ({"parts": "a,b"}, InvalidValue, "parts must be two or three numbers"),
        ({"targets": "x", "known": "x"}, DataError, "'x' is in targets and in known"),
    ],
)
def test_options_that_cannot_be_used(options, error, says):
    with pytest.raises(error, match=says):
        ForecastOptions(**options)


def test_every_option_has_help():
    assert all(len(entry.metadata["help"]) > 10 for entry in fields(ForecastOptions))


def test_a_series_that_never_changes(tmp_path):
    path = write(tmp_path, daily(80, value=lambda t: (0.1, t)))
    with pytest.raises(DataError, match="'x' is 0.1 throughout the training part"):
        fit(path)
    task, _, _ = fit(path, targets="y", inputs="x")
    assert task.layout.std[1] == 1
    empty = write(tmp_path, [row.replace(",0.1,", ",,") for row in daily(80)])
    rows = [",".join([r.split(",")[0], "", "1"]) for r in daily(80)]
    empty = write(tmp_path, rows)
    with pytest.raises(DataError, match="'x' has no value in the training part"):
        fit(empty, missing="skip")


def test_series_of_other_steps(tmp_path):
    task, _, _ = fit(write(tmp_path, daily(80)), horizon=5)
    other = write(tmp_path, ["1,2", "3,4"], "x,y", "b.csv")
    with pytest.raises(DataError, match="expected steps of one day .* got no times"):
        task.encode(task.read_inputs(other), labelled=False)


def test_the_usual_split_of_ett(data_folder):
    options = ForecastOptions(parts="8640,2880,2880", targets="OT", horizon=24)
    path = Path(data_folder) / "ett" / "ETTh1.csv.gz"
    parts = Forecast.own_parts(Forecast.read([path], options), options)
    task = Forecast.fit(parts["train"], options)
    assert len(task.encode(parts["test"])) == 2880 - 24 + 1
    # Closed form on the file itself: the mean of the first 8,640 temperatures.
    want = parts["train"][0].input.table.columns_at(["OT"])[:8640].mean()
    assert task.layout.mean[0] == pytest.approx(want, rel=1e-12)
