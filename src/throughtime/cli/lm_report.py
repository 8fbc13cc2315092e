"""The report of a language-model run: what it learnt, and how the gradient flows."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from throughtime.cli.lm_kinds import backend_used, describe
from throughtime.cli.lm_measure import count_parameters
from throughtime.cli.report_parts import (
    events_section,
    flow_section,
    recurrent_spectra,
    settings_section,
    spectrum_section,
)
from throughtime.diagnostics import GradientFlow, gradient_flow
from throughtime.losses import cross_entropy
from throughtime.models import FixedWindowLM, LanguageModel
from throughtime.models.fixed_window import ParameterCount
from throughtime.plots import (
    Bar,
    bars,
    training_curves,
)
from throughtime.report import Figure, Report, Section, Table, render
from throughtime.training.checkpoint import write_atomically

if TYPE_CHECKING:
    from throughtime.cli.lm_measure import Evaluation
    from throughtime.cli.train_lm import LanguageModelTask

# The window on which the gradient flow is measured: steps, and streams at once.
FLOW_STEPS = 100
FLOW_STREAMS = 32


def write_run_report(
    task: "LanguageModelTask",
    result: "Evaluation",
    baseline: "Evaluation",
    baseline_name: str,
    sample: str,
) -> Path:
    """Write ``report.html`` into the run folder and return its path."""
    records = task.run.metrics()
    unit = {"char": "character", "bpe": "subword"}.get(task.vocabulary.unit, "word")
    better = "below" if result.perplexity < baseline.perplexity else "above"
    report = Report(
        title=f"Language model of {task.texts.source.title}",
        outcome=(
            f"The model, {describe(task.model)}, predicts the held-out text with "
            f"perplexity {result.perplexity:.3f} per {unit}, {better} "
            f"the {baseline_name} at {baseline.perplexity:.3f}."
        ),
        sections=(
            _results(result, baseline, baseline_name),
            Section(
                "Training",
                figure=Figure(
                    partial(_draw_curves, records, baseline.loss, baseline_name),
                    "Loss against updates: training, held out, and the baseline.",
                    "Mean loss of the text trained on, and of the held-out text after "
                    "every epoch.",
                ),
            ),
            Section(
                "Sample",
                "The model continues the beginning of the held-out text.",
                sample=sample.strip("\n"),
            ),
            *_inside(task),
            events_section(records),
            settings_section(
                {**task.model.config.to_dict(), **task.config.to_dict()},
                count_parameters(task.model),
                backend_used(task.model),
            ),
        ),
    )
    path = task.run.path / "report.html"
    write_atomically(path, render(report).encode())
    return path


def _inside(task: "LanguageModelTask") -> list[Section]:
    """What there is to see inside the network."""
    model = task.model
    if isinstance(model, LanguageModel):
        return [
            flow_section(measure_flow(model, task.held_out_tokens)),
            spectrum_section(recurrent_spectra(model)),
        ]
    rows = model.parameter_growth(range(1, model.config.window + 3))
    return [_growth(model.config.window, rows), _positions(model)]


def _growth(window: int, rows: Sequence[ParameterCount]) -> Section:
    header = ("window", "embedding", "hidden layer", "output", "all")
    lines = [
        (
            f"{row.window}" + (" (this model)" if row.window == window else ""),
            *(f"{n:,}" for n in (row.embedding, row.hidden, row.output, row.total)),
        )
        for row in rows
    ]
    text = (
        "The hidden layer has weights of its own for every place in the window, so it "
        "grows with the window; a recurrent network has the same for every step."
    )
    return Section("Parameters and the window", text, table=Table(header, lines))


def _positions(model: FixedWindowLM) -> Section:
    norms = model.position_weights().detach().flatten(1).norm(dim=1).tolist()
    count = len(norms)
    values = [
        Bar(f"{count - i} back", norm, f"{norm:.2f}") for i, norm in enumerate(norms)
    ][::-1]
    return Section(
        "What each place is worth",
        "Size of the hidden layer's weights of each token of the window, from the last "
        "one back.",
        figure=Figure(
            lambda dark: bars(values, value_name="norm of the weights", dark=dark),
            "A bar per place in the window: the norm of its weights.",
        ),
    )


def measure_flow(
    model: LanguageModel, tokens: Tensor, *, whole_state: bool = False
) -> dict[str, GradientFlow]:
    """The gradient flow from the loss of the last step of windows of held-out text."""
    steps = min(FLOW_STEPS, len(tokens) - 1)
    streams = max(1, min(FLOW_STREAMS, (len(tokens) - 1) // steps))
    tokens = tokens[: steps * streams + 1].long()
    inputs = tokens[:-1].view(streams, steps).t()
    targets = tokens[1:].view(streams, steps).t()

    def last_loss(output: Any) -> Tensor:
        return cross_entropy(output[0][-1:], targets[-1:], reduction="sum")

    return gradient_flow(model.eval(), inputs, last_loss, whole_state=whole_state)


def _draw_curves(
    records: list[dict[str, Any]], baseline: float, name: str, dark: bool
) -> Any:
    return training_curves(records, baseline=baseline, baseline_name=name, dark=dark)


def _results(result: "Evaluation", baseline: "Evaluation", name: str) -> Section:
    rows = [
        (
            title,
            f"{row.perplexity:.3f}",
            f"{row.bits_per_character:.4f}",
            f"{row.loss:.4f}",
        )
        for title, row in (("this model", result), (name, baseline))
    ]
    header = ("", "perplexity", "bits per character", "nats per token")
    caption = f"Both predict the same {result.tokens:,} tokens of the held-out text."
    return Section("Held-out text", table=Table(header, rows, caption))
