"""``train forecast``: the next values of series, from tables of numbers over time."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import torch
from torch import nn

from throughtime.data.examples import Batch, Examples
from throughtime.data.time_axis import (
    Frequency,
    frequency_from_dict,
    frequency_to_dict,
)
from throughtime.errors import DataError
from throughtime.models.forecaster import Forecaster, ForecasterConfig
from throughtime.tasks.forecast_figures import (
    gaussian_crps,
    point_figures,
    quantile_figures,
    seasonal_error,
)
from throughtime.tasks.forecast_options import ForecastOptions
from throughtime.tasks.forecast_series import (
    answer,
    check_frequency,
    read_series,
    scales,
    table_of_numbers,
)
from throughtime.tasks.forecast_windows import (
    Array,
    Layout,
    Span,
    calendar_kinds,
    chronological_split,
    cut_windows,
    named_parts,
    origins,
    span_example,
)
from throughtime.tasks.task import Evaluation, RawExample, Task

if TYPE_CHECKING:
    from throughtime.report import Section

# Steps to forecast where the times tell of no season.
USUAL_HORIZON = 12
AT_ONCE = 256


class Forecast(Task):
    """Forecasts of series: the last part in time is held out.

    An example is a ``Span`` of a series. Windows are cut from it: each looks back over
    some steps, which may lie before the span, and forecasts steps of the span alone.
    What is learnt for scaling is of the training part.

    Args:
        options: what the user chose.
        layout: what is read and forecast.
        frequency: from one step to the next; None: the files have no times.
        period: steps of a season.
        horizon: steps to forecast.
        look_back: steps that are read before.
        naive_errors: of each target, the error of repeating the last season.
    """

    name: ClassVar[str] = "forecast"
    options_type: ClassVar[type] = ForecastOptions
    config_type: ClassVar[type] = ForecasterConfig
    usual: ClassVar[Mapping[str, Any]] = {
        "cell": "gru",
        "hidden_size": 64,
        "batch_size": 64,
        "learning_rate": 2e-3,
    }

    def __init__(
        self,
        options: ForecastOptions,
        layout: Layout,
        *,
        frequency: Frequency | None,
        period: int,
        horizon: int,
        look_back: int,
        naive_errors: Sequence[float],
    ) -> None:
        self.options = options
        self.layout = layout
        self.frequency = frequency
        self.period = period
        self.horizon = horizon
        self.look_back = look_back
        self.naive_errors = tuple(naive_errors)

    @classmethod
    def read(cls, files: Sequence[Path], options: Any) -> list[RawExample]:
        return [
            span_example(table, 0, len(table))
            for path in files
            for table in read_series(path, options)
        ]

    @classmethod
    def own_parts(
        cls, raw: Sequence[RawExample], options: Any
    ) -> dict[str, list[RawExample]] | None:
        """Those of the option ``parts``, one after the other in time."""
        return None if options.parts is None else named_parts(raw, options)

    @classmethod
    def split(
        cls, raw: Sequence[RawExample], share: float, seed: int, options: Any
    ) -> tuple[list[RawExample], list[RawExample]]:
        """What comes before, and the last share of each series."""
        del seed, options
        return chronological_split(raw, share)

    @classmethod
    def fit(cls, raw: Sequence[RawExample], options: Any) -> Self:
        spans: list[Span] = [example.input for example in raw]
        first = spans[0].table
        frequency = None if first.axis is None else first.axis.frequency
        for span in spans:
            check_frequency(span.table, frequency)
        inputs, known = options.names("inputs"), options.names("known")
        targets = options.names("targets") or [
            name for name in first.columns if name not in (*inputs, *known)
        ]
        columns = [*targets, *inputs, *known]
        for span in spans:
            if options.missing == "error":
                span.table.require(columns, span.stop)
        past = [span.table.columns_at(columns)[: span.stop] for span in spans]
        mean, std = scales(np.concatenate(past), columns, targets, first)
        season = 1 if frequency is None else frequency.season
        period = options.period or season
        horizon = options.horizon or (period if period > 1 else USUAL_HORIZON)
        look_back = options.look_back or 2 * max(period, horizon)
        longest = max(span.stop for span in spans)
        kinds = calendar_kinds(first.axis, longest) if options.calendar else ()
        layout = Layout(
            tuple(targets), tuple(inputs), tuple(known), kinds, tuple(mean), tuple(std)
        )
        for span in spans:
            origins(span, look_back, horizon, options.window_stride)
        errors = seasonal_error([part[:, : len(targets)] for part in past], period)
        # A series that repeats itself exactly, or is shorter than a season: the usual
        # deviation is the unit.
        unusable = ~(errors > 0)
        errors[unusable] = np.array(std)[: len(targets)][unusable]
        return cls(
            options,
            layout,
            frequency=frequency,
            period=period,
            horizon=horizon,
            look_back=look_back,
            naive_errors=errors.tolist(),
        )

    def to_dict(self) -> dict[str, Any]:
        return {
            "options": asdict(self.options),
            "layout": asdict(self.layout),
            "frequency": frequency_to_dict(self.frequency),
            "period": self.period,
            "horizon": self.horizon,
            "look_back": self.look_back,
            "naive_errors": list(self.naive_errors),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        layout = {name: tuple(part) for name, part in values["layout"].items()}
        return cls(
            ForecastOptions(**values["options"]),
            Layout(**layout),
            frequency=frequency_from_dict(values["frequency"]),
            period=values["period"],
            horizon=values["horizon"],
            look_back=values["look_back"],
            naive_errors=values["naive_errors"],
        )

    def encode(self, raw: Sequence[RawExample], *, labelled: bool = True) -> Examples:
        parts = []
        for example in raw:
            span: Span = example.input
            starts = self._origins(span) if labelled else np.array([span.stop])
            self._check(span, labelled)
            parts.append((span.table, starts))
        return Examples(
            cut_windows(
                self.layout, parts, self.look_back, self.horizon, labelled=labelled
            )
        )

    def build(self, config: Any) -> nn.Module:
        return Forecaster(
            len(self.layout.targets),
            self.horizon,
            config,
            past_size=len(self.layout.inputs),
            known_size=self.layout.known_size,
        )

    def evaluate(
        self, model: nn.Module, raw: Sequence[RawExample], examples: Examples
    ) -> Evaluation:
        """All back-tests: each origin forecasts the horizon."""
        forecaster = _forecaster(model)
        forecast = self._forecast(forecaster, examples)
        truth = self._truth(raw)
        point = self._in_units(forecaster.output.point(forecast).numpy())
        evaluation = self._point_evaluation(point, truth)
        quantiles = forecaster.output.quantiles(forecast)
        if quantiles is None:
            return evaluation
        levels = forecaster.output.levels
        in_units = self._in_units(quantiles.numpy(), 1)
        figures = evaluation.figures | quantile_figures(in_units, levels, truth)
        if forecaster.config.output == "gaussian":
            deviation = (0.5 * forecast[..., 1]).exp().numpy() * self._std
            figures["crps"] = gaussian_crps(point, deviation, truth)
        details = {"quantiles": in_units, "levels": levels}
        return Evaluation(figures, evaluation.details | details)

    def baselines(
        self, train: Sequence[RawExample], raw: Sequence[RawExample]
    ) -> dict[str, Evaluation]:
        from throughtime.tasks.forecast_comparison import baseline_forecasts

        spans = [(e.input, self._origins(e.input)) for e in raw]
        fitted = [(e.input, self._origins(e.input)) for e in train]
        truth = self._truth(raw)
        found = baseline_forecasts(
            fitted, spans, self.layout, self.look_back, self.horizon, self.period
        )
        return {
            name: self._point_evaluation(self._in_units(forecast), truth)
            for name, forecast in found.items()
        }

    def read_inputs(self, source: Path | str) -> list[RawExample]:
        if isinstance(source, Path) or Path(source).is_file():
            tables = read_series(Path(source), self.options, self.frequency)
        else:
            tables = [table_of_numbers(source, self.layout, self.frequency)]
        found = []
        for table in tables:
            stop = len(table)
            if self.layout.known:
                # Rows at the end that hold nothing but what is known of the future.
                targets = table.columns_at(self.layout.targets)
                stop = int(np.nonzero(~np.isnan(targets).all(1))[0].max(initial=-1)) + 1
            found.append(span_example(table, stop, stop))
        return found

    def predict(
        self, model: nn.Module, raw: Sequence[RawExample]
    ) -> list[dict[str, Any]]:
        """The H steps after the end of each series; ``text`` is a csv of them."""
        forecaster = _forecaster(model)
        forecast = self._forecast(forecaster, self.encode(raw, labelled=False))
        point = self._in_units(forecaster.output.point(forecast).numpy())
        quantiles = forecaster.output.quantiles(forecast)
        levels = forecaster.output.levels
        by_level: dict[str, Array] = {}
        if quantiles is not None:
            in_units = self._in_units(quantiles.numpy(), 1)
            by_level = {f"{q:g}": in_units[..., i] for i, q in enumerate(levels)}
        return [
            answer(
                example.input,
                self.layout.targets,
                point[n],
                {level: part[n] for level, part in by_level.items()},
            )
            for n, example in enumerate(raw)
        ]

    def sections(
        self, model: nn.Module, raw: Sequence[RawExample], evaluation: Evaluation
    ) -> "list[Section]":
        from throughtime.tasks.forecast_comparison import forecast_sections

        del model
        spans = [(e.input, self._origins(e.input)) for e in raw]
        return forecast_sections(
            spans, evaluation, self.layout, self.horizon, self.look_back, self.period
        )

    def describe(self) -> str:
        layout = self.layout
        parts = [f"{len(layout.targets)} to forecast"]
        parts += [f"{len(layout.inputs)} further inputs"] if layout.inputs else []
        parts += [f"{len(layout.known)} known ahead"] if layout.known else []
        step = "step" if self.frequency is None else str(self.frequency)
        parts += [f"one {step} a step", f"season {self.period}"]
        parts += [f"{self.look_back} steps to forecast {self.horizon}"]
        if layout.calendar:
            parts += ["calendar: " + ", ".join(layout.calendar)]
        return "; ".join(parts)

    @property
    def _mean(self) -> Array:
        return np.array(self.layout.mean[: len(self.layout.targets)])

    @property
    def _std(self) -> Array:
        return np.array(self.layout.std[: len(self.layout.targets)])

    def _in_units(self, standardised: Array, further: int = 0) -> Array:
        """Back from standardised values (..., C), with dimensions behind C."""
        shape = (-1, *[1] * further)
        return standardised * self._std.reshape(shape) + self._mean.reshape(shape)

    def _origins(self, span: Span) -> Array:
        return origins(span, self.look_back, self.horizon, self.options.window_stride)

    def _truth(self, raw: Sequence[RawExample]) -> Array:
        steps = np.arange(self.horizon)
        return np.concatenate(
            [
                e.input.table.columns_at(self.layout.targets)[
                    self._origins(e.input)[:, None] + steps
                ]
                for e in raw
            ]
        )

    def _check(self, span: Span, labelled: bool) -> None:
        check_frequency(span.table, self.frequency)
        layout, table = self.layout, span.table
        if self.options.missing == "error":
            table.require((*layout.targets, *layout.inputs), span.stop)
            table.require(layout.known)
        if labelled or not layout.known:
            return
        if len(table) < span.stop + self.horizon:
            raise DataError(
                f"{table.name}: the known columns {', '.join(layout.known)} are needed "
                f"for {self.horizon} steps after the last value of "
                f"{', '.join(layout.targets)}, got {len(table) - span.stop}; add rows "
                "with empty targets"
            )

    def _forecast(self, model: Forecaster, examples: Examples) -> torch.Tensor:
        """Standardised forecasts of all windows, (N, H, C, P), float64."""
        weight = next(model.parameters())
        found = []
        for batch in examples.batches(AT_ONCE):
            placed: Batch = {
                name: part.to(weight.device, weight.dtype)
                if part.is_floating_point()
                else part.to(weight.device)
                for name, part in batch.items()
            }
            found.append(model.forecast(placed).transpose(0, 1).double().cpu())
        return torch.cat(found)

    def _point_evaluation(self, point: Array, truth: Array) -> Evaluation:
        figures = point_figures(
            point, truth, std=self._std, naive_errors=np.array(self.naive_errors)
        )
        return Evaluation(figures, {"point": point, "truth": truth})


def _forecaster(model: nn.Module) -> Forecaster:
    assert isinstance(model, Forecaster)
    return model
