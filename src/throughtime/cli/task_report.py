"""The report of a task's run: figures beside baselines, curves, and a look inside."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from throughtime.cli.lm_measure import count_parameters
from throughtime.cli.report_parts import (
    events_section,
    flow_section,
    recurrent_layers,
    recurrent_spectra,
    settings_section,
    spectrum_section,
)
from throughtime.cli.task_table import rows, shown
from throughtime.data.examples import Batch, Examples
from throughtime.diagnostics import GradientFlow, gradient_flow
from throughtime.models.network import valid_steps
from throughtime.plots import training_curves
from throughtime.report import Figure, Report, Section, Table, render
from throughtime.tasks.measure import MODEL
from throughtime.tasks.task import Evaluation
from throughtime.training.checkpoint import write_atomically

if TYPE_CHECKING:
    from throughtime.cli.train_task import Training

# Examples on which the gradient flow is measured.
FLOW_EXAMPLES = 32


def write_task_report(
    training: "Training", results: Mapping[str, Mapping[str, Evaluation]]
) -> Path:
    """Write ``report.html`` into the run folder and return its path."""
    from throughtime.cli.train_task import all_settings, backends

    run = training.run
    records = run.folder.metrics()
    sections = [_results(part, found) for part, found in results.items()]
    sections.append(
        Section(
            "Training",
            figure=Figure(
                lambda dark: training_curves(records, dark=dark, per="target"),
                "Loss against updates: training and held out.",
                "Mean loss of the examples trained on, and of those held out after "
                "every epoch.",
            ),
        )
    )
    part = "test" if "test" in results else "held out"
    raw = training.parts.test if part == "test" else training.parts.held_out
    with torch.no_grad():
        sections += run.task.sections(run.model, raw, results[part][MODEL])
    if any(recurrent_layers(run.model)):
        flows, loss = measure_flow(run.model, training.held_out)
        sections += [flow_section(flows, loss)] if flows else []
        spectra = recurrent_spectra(run.model)
        sections += [spectrum_section(spectra)] if spectra else []
    sections.append(events_section(records))
    sections.append(
        settings_section(
            all_settings(training), count_parameters(run.model), backends(run)
        )
    )
    report = Report(
        title=f"{run.task.name.capitalize()}: {run.source.title}",
        outcome=_outcome(part, results[part]),
        sections=sections,
    )
    path = run.folder.path / "report.html"
    write_atomically(path, render(report).encode())
    return path


def _outcome(part: str, results: Mapping[str, Evaluation]) -> str:
    name, value = next(iter(results[MODEL].figures.items()))
    others = [
        f"{title} {shown(name, found.figures[name])}"
        for title, found in results.items()
        if title != MODEL and name in found.figures
    ]
    what = name.replace("_", " ")
    text = f"The model's {what} on the {part} examples is {shown(name, value)}"
    return text + (f"; {', '.join(others)}." if others else ".")


def _results(part: str, results: Mapping[str, Evaluation]) -> Section:
    names, lines = rows(results)
    return Section(
        part.capitalize(),
        table=Table(("", *(n.replace("_", " ") for n in names)), lines),
    )


class _Loss(nn.Module):
    """The loss of a batch as the output of a module."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: Batch) -> Tensor:
        return self.model.batch_loss(batch)[0]  # pyright: ignore


def measure_flow(
    model: nn.Module, examples: Examples
) -> tuple[dict[str, GradientFlow], str]:
    """The gradient flow of examples of one length, and of which loss it is.

    Of targets step by step only the last of each example counts.
    """
    lengths = examples.lengths.tolist()
    # As many steps as possible in all, so that long and frequent ones are preferred.
    counts = Counter(length for length in lengths if length > 0)
    if not counts:
        return {}, ""
    best = max(counts, key=lambda n: n * min(counts[n], FLOW_EXAMPLES))
    chosen = [i for i, length in enumerate(lengths) if length == best][:FLOW_EXAMPLES]
    whole = examples.batch(chosen)
    batch = _last_only(whole)
    loss = "the whole loss" if batch is whole else "the last target's loss"
    model.eval()
    flows = gradient_flow(_Loss(model), batch, lambda loss: loss)
    return {n.removeprefix("model."): flow for n, flow in flows.items()}, loss


def _last_only(batch: Batch) -> Batch:
    """Of targets step by step, only the last of each example counts."""
    targets: Any = batch.get("targets")
    given: Any = batch.get("targets_mask")
    if targets is None or "targets_lengths" not in batch:
        return batch
    if given is not None and given.dim() != 2:
        return batch  # as of forecasts: all targets are said at the last step
    steps = valid_steps(batch["targets_lengths"], targets)
    mask = steps if given is None else steps & given
    last = torch.zeros_like(mask)
    for column in range(mask.size(1)):
        steps = torch.nonzero(mask[:, column]).flatten()
        if len(steps):
            last[steps[-1], column] = True
    return {**batch, "targets_mask": last}
