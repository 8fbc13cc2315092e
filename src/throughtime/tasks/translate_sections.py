"""What a report shows of translation."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from throughtime.report import Figure, Section, Table
from throughtime.tasks.task import Evaluation, RawExample

if TYPE_CHECKING:
    from throughtime.tasks.translate import Translate

SHOWN = 12
# The picture is of the first answer between these lengths.
FEWEST, MOST = 5, 30


def translate_sections(
    task: "Translate",
    model: nn.Module,
    raw: Sequence[RawExample],
    evaluation: Evaluation,
) -> list[Section]:
    """Some answers beside what people wrote, and what attention looked at."""
    del raw
    details = evaluation.details
    sources, answers = details["sources"], details["answers"]
    chosen = range(0, len(sources), max(1, len(sources) // SHOWN))[:SHOWN]
    rows = [(sources[i], details["references"][i][0], answers[i]) for i in chosen]
    sections = [
        Section(
            "Answers",
            f"{len(rows)} of {len(sources):,}, evenly spaced.",
            table=Table(("source", "reference", "answer"), rows),
        )
    ]
    picture = _attention(task, model, sources)
    return sections if picture is None else [*sections, picture]


def _attention(
    task: "Translate", model: nn.Module, sources: Sequence[str]
) -> Section | None:
    if getattr(model, "attention", None) is None:
        return None
    fits = [s for s in sources if FEWEST <= len(task.source.encode(s)) <= MOST]
    source = (fits or list(sources))[0]
    usual = task.options
    try:
        task.options = replace(usual, show_attention=True)
        (answer,) = task.predict(model, [RawExample(source, None, "")])
    finally:
        task.options = usual
    read, said = answer["source_tokens"][:MOST], answer["tokens"][:MOST]
    weights = torch.tensor(answer["attention"])[:MOST, :MOST]

    def draw(dark: bool) -> Any:
        from throughtime.plots.attention import attention_map

        return attention_map(weights, read, said, dark=dark)

    looked = [read[int(i)] for i in weights.argmax(-1)]
    pairs = ", ".join(f"{t} at {s}" for t, s in zip(said, looked, strict=True))
    return Section(
        "Attention",
        "How much of each token of the source went into each token of the answer; "
        "every row sums to 1.",
        figure=Figure(draw, f"Each token looked most at: {pairs}."),
    )
