r"""Forecasts of the next H values of one or several series from those before.

    s_t = network(x_1, ..., x_t)                 x: values, and what is known beside
    y_{t+k} = V_k s_t + W tanh(A s_t + B f_{t+k})    f: what is known of the future
              + Σ_l a_{kl} y_{t-l}                   of the last few values themselves

``direct``: all k = 1 ... H from the last state, each with its own V_k. ``recursive``: a
model of the next step alone, which reads its own forecasts for the rest.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from throughtime.checks import from_entries, positive_int
from throughtime.data.examples import Batch
from throughtime.errors import InvalidValue, unknown_name
from throughtime.models.forecast_output import OUTPUTS, ForecastOutput, parse_levels
from throughtime.models.network import NONE, Network, NetworkConfig, valid_steps

STRATEGIES = ("direct", "recursive")
NORMALISATIONS = ("none", "last", "mean-std")
# Of a window in which nothing changes, as a share of the usual deviation, 1.
LEAST_DEVIATION = 1e-2


@dataclass(frozen=True)
class ForecasterConfig(NetworkConfig):
    """What a forecaster is made of: a network, and what its forecasts are.

    Attributes:
        output: ``mean`` or ``median``: one number, trained by squared or absolute
            error; ``gaussian``: mean and variance; ``quantile``: one value for each of
            the levels.
        quantiles: the levels, ascending, 0.5 among them.
        strategy: ``direct``: all steps of the horizon at once; ``recursive``: the next
            one alone, read again for those after it.
        normalisation: what is taken off each window, and put back on its forecast:
            ``none``, its ``last`` values, or mean and standard deviation (``mean-std``;
            Kim et al., "Reversible Instance Normalization", ICLR 2022).
        highway: so many of the last values of each series also go straight to its own
            forecast, by weights that all series share: a linear forecast, of which the
            network learns what it leaves (Lai et al., "LSTNet", arXiv 1703.07015).
            Only of direct forecasts.

    Raises:
        InvalidType: an entry has the wrong type.
        InvalidValue: an unknown name, or entries that contradict each other.
    """

    output: str = "mean"
    quantiles: str = "0.1,0.5,0.9"
    strategy: str = "direct"
    normalisation: str = "last"
    highway: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        names = (
            ("output", OUTPUTS),
            ("strategy", STRATEGIES),
            ("normalisation", NORMALISATIONS),
        )
        for name, known in names:
            if getattr(self, name) not in known:
                raise unknown_name(name, getattr(self, name), known)
        parse_levels(self.quantiles)
        if self.highway != 0:
            positive_int("highway", self.highway)
        if self.strategy == "recursive":
            if self.output == "quantile":
                raise InvalidValue(
                    "output 'quantile' has no recursive forecasts, as quantiles cannot "
                    "be fed back; take strategy 'direct', or output 'gaussian'"
                )
            if self.bidirectional:
                raise InvalidValue(
                    "strategy 'recursive' goes on step by step, which a bidirectional "
                    "network cannot; leave one of them out"
                )
            if self.highway:
                raise InvalidValue(
                    "highway belongs to strategy 'direct'; leave one of them out"
                )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "ForecasterConfig":
        """The config with these entries; the rest keeps its default.

        Raises:
            InvalidValue: unknown entry; the message lists the known ones.
        """
        return from_entries(cls, values, "option of the forecaster")

    @property
    def levels(self) -> tuple[float, ...]:
        """The levels of quantiles as numbers."""
        return parse_levels(self.quantiles)


class _Window(NamedTuple):
    """What a network reads, (T, B, I), and how windows were normalised, (B, C)."""

    inputs: Tensor
    lengths: Tensor
    shift: Tensor
    scale: Tensor


class Forecaster(nn.Module):
    """Forecasts H steps of C series from windows of any length.

    A batch holds

    - ``inputs``, (T, B, C + E + K): the C series to forecast, E others of which only
      the past is known, and K features that are known of the future, too; and
      ``inputs_lengths``, (B,), 0 allowed;
    - ``inputs_present``, bool, like inputs (optional): False where a value is missing;
    - ``future``, (H, B, K), if K > 0: the known features of the steps to forecast;
    - ``targets``, (H, B, C), and ``targets_mask``, bool, (H, B, C) (optional).

    Values should be about as large as 1, as after standardising them.

    Args:
        target_size: C.
        horizon: H.
        config: see ``ForecasterConfig``.
        past_size: E.
        known_size: K.

    Raises:
        InvalidType: a size is no int.
        InvalidValue: a size is out of range; or further inputs of which the future is
            unknown, where forecasts are to be recursive.

    >>> model = Forecaster(1, 3, ForecasterConfig(cell="gru", hidden_size=4))
    >>> batch = {"inputs": torch.zeros(5, 2, 1), "inputs_lengths": torch.tensor([5, 0])}
    >>> model.forecast(batch).shape
    torch.Size([3, 2, 1, 1])
    """

    def __init__(
        self,
        target_size: int,
        horizon: int,
        config: ForecasterConfig | None = None,
        *,
        past_size: int = 0,
        known_size: int = 0,
    ) -> None:
        super().__init__()
        config = ForecasterConfig() if config is None else config
        self.config = config
        self.target_size = positive_int("target_size", target_size)
        self.horizon = positive_int("horizon", horizon)
        self.past_size, self.known_size = past_size, known_size
        self.recursive = config.strategy == "recursive"
        if self.recursive and past_size:
            raise InvalidValue(
                "strategy 'recursive' needs all its inputs for steps to come: forecast "
                f"the {past_size} further inputs as well, or take strategy 'direct'"
            )
        self.output = ForecastOutput(config.output, config.levels)
        self.network = Network(target_size + past_size + known_size, config)
        size = self.network.output_size
        steps = 1 if self.recursive else horizon
        self.head = nn.Linear(size, steps * target_size * self.output.size)
        if config.highway:
            self.highway = nn.Linear(config.highway, horizon, bias=False)
            # To begin with the network alone, and nothing random beside it.
            nn.init.zeros_(self.highway.weight)
        if known_size:
            self.from_state = nn.Linear(size, size)
            self.from_future = nn.Linear(known_size, size, bias=False)
            self.mixed_head = nn.Linear(
                size, target_size * self.output.size, bias=False
            )

    def forward(self, batch: Batch) -> Tensor:
        """A forecast of each step, (H, B, C, P); see ``ForecastOutput``.

        Recursive ones see the true values of all steps before their own, which a batch
        must hold as ``targets`` (teacher forcing): so the network runs once.
        """
        window = self._window(batch)
        future = batch.get("future") if self.known_size else None
        if self.recursive:
            inputs, lengths = self._continued(window, batch, future)
        else:
            inputs, lengths = window.inputs, window.lengths
        outputs, _ = self.network(inputs, lengths=lengths)
        # In front the features of no step at all, so that step t is at place t + 1.
        outputs = torch.cat([outputs.new_zeros(1, *outputs.shape[1:]), outputs])
        rows = torch.arange(outputs.size(1), device=outputs.device)
        if self.recursive:
            steps = torch.arange(self.horizon, device=outputs.device).unsqueeze(1)
            state = outputs[window.lengths + steps, rows]
        else:
            state = outputs[window.lengths, rows]
            if self.config.bidirectional:
                half = state.size(-1) // 2
                first = outputs[(window.lengths > 0).long(), rows]
                state = torch.cat([state[:, :half], first[:, half:]], -1)
        straight = self._straight(window) if self.config.highway else None
        return self._scaled(self._read(state, future, straight), window)

    @torch.no_grad()
    def forecast(self, batch: Batch, *, samples: int = 100, seed: int = 0) -> Tensor:
        """A forecast of each step that looks at no target, (H, B, C, P).

        Recursive Gaussian forecasts follow ``samples`` paths, each of which draws a
        value and reads it (Salinas et al., "DeepAR", arXiv 1704.04110); mean and
        variance are those of the mixture of all paths. All windows share the draws, so
        that a forecast does not depend on the others in the batch.
        """
        if not self.recursive:
            return self(batch)
        gaussian = self.config.output == "gaussian"
        paths = samples if gaussian and self.horizon > 1 else 1
        window = self._window(batch)
        future = batch.get("future") if self.known_size else None
        outputs, state = self.network(window.inputs, lengths=window.lengths)
        outputs = torch.cat([outputs.new_zeros(1, *outputs.shape[1:]), outputs])
        rows = torch.arange(outputs.size(1), device=outputs.device)
        features = outputs[window.lengths, rows].repeat(paths, 1)
        state = _repeated(state, paths)
        noise = torch.Generator().manual_seed(seed)
        found = []
        for step in range(self.horizon):
            known = None if future is None else future[step].repeat(paths, 1)
            one = self._read(features, None if known is None else known.unsqueeze(0))[0]
            found.append(_mixture(one, paths) if gaussian else one)
            if step + 1 == self.horizon:
                break
            value = one[..., 0]
            if gaussian:
                drawn = torch.randn(
                    (paths, 1, self.target_size), generator=noise, dtype=torch.float64
                )
                drawn = drawn.to(value).expand(-1, len(rows), -1).reshape(value.shape)
                value = value + drawn * (0.5 * one[..., 1]).exp()
            x = value if known is None else torch.cat([value, known], -1)
            outputs, state = self.network(x.unsqueeze(0), state)
            features = outputs[0]
        return self._scaled(torch.stack(found), window)

    def batch_loss(self, batch: Batch) -> tuple[Tensor, int]:
        """The sum of the losses of all values that are there, and their number."""
        losses = self.output.loss(self(batch), batch["targets"])
        mask = batch.get("targets_mask")
        if mask is None:
            return losses.sum(), losses.numel()
        return losses.masked_fill(~mask, 0.0).sum(), int(mask.sum())

    def _window(self, batch: Batch) -> _Window:
        x = batch["inputs"]
        lengths = batch["inputs_lengths"].to(x.device)
        values = self.target_size + self.past_size
        present = valid_steps(lengths, x).unsqueeze(-1).expand(x.shape)
        if "inputs_present" in batch:
            present = present & batch["inputs_present"]
        x = x.masked_fill(~present, 0.0)
        shift, scale = _statistics(
            x[..., :values], present[..., :values], self.config.normalisation
        )
        normal = (x[..., :values] - shift) / scale
        normal = normal.masked_fill(~present[..., :values], 0.0)
        series = self.target_size
        return _Window(
            torch.cat([normal, x[..., values:]], -1),
            lengths,
            shift[:, :series],
            scale[:, :series],
        )

    def _continued(
        self, window: _Window, batch: Batch, future: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Each window with the true values of all steps to forecast but the last."""
        x, lengths = window.inputs, window.lengths
        if self.horizon == 1:
            return x, lengths
        values = (batch["targets"][:-1] - window.shift) / window.scale
        mask = batch.get("targets_mask")
        if mask is not None:
            values = values.masked_fill(~mask[:-1], 0.0)
        parts = [values] if future is None else [values, future[:-1]]
        joined = torch.cat([x, torch.cat(parts, -1)])
        step = torch.arange(len(joined), device=x.device).unsqueeze(1)
        # Behind its own end a window goes on with the true values, not with padding.
        place = torch.where(step < lengths, step, step - lengths + len(x))
        rows = torch.arange(x.size(1), device=x.device)
        joined = joined[place.clamp(max=len(joined) - 1), rows]
        return joined, lengths + self.horizon - 1

    def _straight(self, window: _Window) -> Tensor:
        """The linear part of each forecast, (H, B, C)."""
        values = window.inputs[..., : self.target_size]
        count, rows = self.config.highway, torch.arange(values.size(1))
        step = torch.arange(-count, 0).unsqueeze(1).to(values.device) + window.lengths
        # In front of a short window zeros, as where a value is missing.
        values = torch.cat([values.new_zeros(1, *values.shape[1:]), values])
        last = values[(step + 1).clamp(min=0), rows.to(values.device)]
        return self.highway(last.movedim(0, -1)).movedim(-1, 0)

    def _read(
        self, state: Tensor, future: Tensor | None, straight: Tensor | None = None
    ) -> Tensor:
        """Forecasts (H, B, C, P) of features (B, D), or of one for each step."""
        shape = (-1, state.size(-2), self.target_size, self.output.size)
        scores = self.head(state)
        if state.dim() == 2:
            # (B, H C P) -> (H, B, C, P)
            scores = scores.reshape(state.size(0), -1, *shape[2:]).transpose(0, 1)
        else:
            scores = scores.reshape(shape)
        if future is not None:
            mixed = (self.from_state(state) + self.from_future(future)).tanh()
            scores = scores + self.mixed_head(mixed).reshape(shape)
        if straight is not None:
            centre, size = self.output.centre, self.output.size
            before, after = centre, size - centre - 1
            scores = scores + F.pad(straight.unsqueeze(-1), (before, after))
        return self.output.read(scores)

    def _scaled(self, forecast: Tensor, window: _Window) -> Tensor:
        if self.config.normalisation == NONE:
            return forecast
        size = forecast.shape[:-1]
        return self.output.scaled(
            forecast, window.shift.expand(size), window.scale.expand(size)
        )


def _statistics(x: Tensor, present: Tensor, kind: str) -> tuple[Tensor, Tensor]:
    """What is taken off the values of each window, and what they are divided by."""
    batch = x.shape[1:]
    if kind == NONE or not len(x):
        return x.new_zeros(batch), x.new_ones(batch)
    if kind == "last":
        step = torch.arange(len(x), device=x.device).view(-1, 1, 1)
        last = torch.where(present, step, 0).amax(0, keepdim=True)
        # Where no value is present x holds 0.
        return x.gather(0, last)[0], x.new_ones(batch)
    count = present.sum(0).clamp(min=1)
    mean = x.sum(0) / count
    centred = (x - mean).masked_fill(~present, 0.0)
    variance = (centred**2).sum(0) / count
    # Of a window without a value nothing is known: it stays as it is.
    scale = (variance + LEAST_DEVIATION**2).sqrt()
    return mean, torch.where(present.any(0), scale, 1.0)


def _mixture(forecast: Tensor, paths: int) -> Tensor:
    """Mean and log-variance of a mixture of Gaussians in equal parts, (B, C, 2)."""
    mean, log_variance = forecast.view(paths, -1, *forecast.shape[1:]).unbind(-1)
    centre = mean.mean(0)
    variance = log_variance.exp().mean(0) + ((mean - centre) ** 2).mean(0)
    return torch.stack([centre, variance.log()], -1)


def _repeated(state: Any, times: int) -> Any:
    """A state of each sequence, ``times`` times one after the other."""
    return tuple(
        type(part)(*(field.repeat(times, 1) for field in part)) for part in state
    )
