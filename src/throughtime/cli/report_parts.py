"""Sections that the reports of all runs share."""

import platform
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn

from throughtime import __version__, init
from throughtime.diagnostics import GradientFlow
from throughtime.layers import Recurrent
from throughtime.plots import eigenvalues, gradient_norm_against_lag
from throughtime.report import Figure, Section, Table


def recurrent_layers(model: nn.Module) -> Iterator[tuple[str, Recurrent]]:
    """Every stack of recurrent layers inside a model, with its name."""
    for name, part in model.named_modules():
        if isinstance(part, Recurrent):
            yield name, part


def recurrent_spectra(model: nn.Module) -> dict[str, init.Spectrum]:
    """The spectrum of every square gate block of every W_hh."""
    found = list(recurrent_layers(model))
    spectra: dict[str, init.Spectrum] = {}
    for stack, layers in found:
        prefix = f"{stack}." if len(found) > 1 else ""
        for index, cell in enumerate(layers.cells):
            weight = cell.prepare(layers.weights(index)).get("weight_hh")
            if weight is None or weight.size(1) != cell.hidden_size:
                continue  # no recurrent product, or not square as it is projected
            count = cell.recurrent_gates
            names = cell.gate_names[:count] or [f"gate {k}" for k in range(count)]
            blocks = weight.detach().chunk(count)
            for gate, block in zip(names if count > 1 else ("",), blocks, strict=True):
                name = f"{prefix}weight_hh{layers.suffixes[index]} {gate}".strip()
                spectra[name] = init.spectrum(block)
    return spectra


def flow_section(
    flows: Mapping[str, GradientFlow], loss: str = "the last step's loss"
) -> Section:
    """How the gradient of a loss flows through time, layer by layer."""
    header = ("layer", "verdict", "mean change per step", "horizon (steps)")
    rows = [
        (name, flow.verdict, f"{torch.tensor(flow.rate).exp():.3f}", str(flow.horizon))
        for name, flow in flows.items()
    ]
    return Section(
        "Gradient through time",
        f"How much of the gradient of {loss} is left after so many steps back. A line "
        "that falls fast means that the model can hardly learn from what lies further "
        "back; from the horizon on, less than 1 % is left.",
        figure=Figure(
            lambda dark: gradient_norm_against_lag(flows, dark=dark),
            "Norm of the gradient with respect to h against lag, one line per layer.",
        ),
        table=Table(header, rows),
    )


def spectrum_section(spectra: Mapping[str, init.Spectrum]) -> Section:
    """Eigenvalues and norms of the recurrent weights."""
    header = ("matrix", "spectral radius", "largest singular value", "condition")
    rows = [
        (
            name,
            f"{s.spectral_radius:.3f}",
            f"{s.spectral_norm:.3f}",
            f"{s.condition_number:.3g}",
        )
        for name, s in spectra.items()
    ]
    return Section(
        "Spectrum of the recurrent weights",
        "Eigenvalues of each square block of W_hh; the dashed circle has radius 1. The "
        "radius sets the long-run rate of growth, the largest singular value bounds "
        "each single step.",
        figure=Figure(
            lambda dark: eigenvalues(spectra, dark=dark),
            "Eigenvalues in the complex plane with the unit circle.",
        ),
        table=Table(header, rows),
    )


def events_section(records: list[dict[str, Any]]) -> Section:
    """What happened beside updates."""
    events = [record for record in records if record["record"] == "event"]
    if not events:
        return Section("Events", "Nothing out of the ordinary: no update was skipped.")
    rows = [(e["kind"], str(e["step"]), e["message"]) for e in events[-50:]]
    return Section("Events", table=Table(("event", "update", "what happened"), rows))


def settings_section(
    values: Mapping[str, Any], parameters: int, backend: str
) -> Section:
    """All options, and what ran them."""
    rows = [(key, str(value)) for key, value in values.items()]
    rows += [
        ("parameters", f"{parameters:,}"),
        ("backend", backend),
        ("threads", str(torch.get_num_threads())),
        (
            "versions",
            f"throughtime {__version__}, torch {torch.__version__}, "
            f"Python {platform.python_version()}",
        ),
    ]
    return Section("Settings", table=Table(("option", "value"), rows))
