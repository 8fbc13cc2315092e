"""``throughtime compare RUN RUN...``: models of one text in one table."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from torch import Tensor

from throughtime.cli.lm_measure import Evaluation, evaluation
from throughtime.cli.lm_run import LanguageModelRun, open_run
from throughtime.cli.lm_text import text_or_held_out
from throughtime.cli.reading import show_reading
from throughtime.cli.targets import check_file
from throughtime.data import Text
from throughtime.errors import InvalidValue
from throughtime.models.mixture import fit_weights, mix
from throughtime.models.scoring import token_log_probs


@dataclass(frozen=True)
class Scored:
    """What a model gives every token but the first of a text.

    Attributes:
        tokens: of the text, in the model's vocabulary, (N,).
        log_probs: in nats, (N - 1,).
        seconds: that took.
    """

    tokens: Tensor
    log_probs: Tensor
    seconds: float


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes:
        model: name of the run, or of the mixture.
        kind: ``rnn``, ``window``, ``ngram`` or ``mixture``.
        unit: of the tokens.
        size: parameters, or n-grams.
        bytes: of the file of weights or counts.
        tokens_per_second: of scoring this text.
        evaluation: of this text.
        weights: of a mixture, by model.
    """

    model: str
    kind: str
    unit: str
    size: int
    bytes: int
    tokens_per_second: float
    evaluation: Evaluation
    weights: dict[str, float] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, without a level for ``evaluation``."""
        values = asdict(self)
        return {**values, **values.pop("evaluation")}


def compare_runs(
    paths: Sequence[Path],
    *,
    files: Sequence[Path],
    mixed: bool,
    valid: Sequence[Path],
    report: Path | None,
    overwrite: bool,
) -> dict[str, Any]:
    """Score one text with every run, and with the mixture of all; print the table.

    Args:
        paths: runs, or ARPA files.
        files: the text; none: the held-out part of the first run.
        mixed: also the best mixture of all, see ``models.mixture``.
        valid: what its weights are fitted on; none: the held-out part of the first run.
        report: where to write a page with table and picture; None: nowhere.
        overwrite: whether a page there is replaced.

    Raises:
        InvalidValue: models that cannot be mixed, or no text of its own to fit the
            mixture on.
    """
    console = Console()
    if report is not None:
        check_file(report, overwrite=overwrite, option="--report")
    names = _names(paths)
    runs = [open_run(path) for path in paths]
    if mixed:
        _check_mixable(names, runs, files, valid)
    with show_reading(console) as seen:
        text, title = text_or_held_out(files, runs[0].source, seen)
    scored = _score_all(console, names, runs, text, title)
    rows = [
        _row(name, run, found)
        for name, run, found in zip(names, runs, scored, strict=True)
    ]
    if mixed:
        with show_reading(console) as seen:
            fitted_on, title_of_it = text_or_held_out(valid, runs[0].source, seen)
        others = _score_all(console, names, runs, fitted_on, title_of_it)
        rows.append(_mixture(names, runs, rows, scored, others))
    rows.sort(key=lambda row: row.evaluation.bits_per_character)
    _print_table(console, rows, title)
    result: dict[str, Any] = {"text": title, "models": [r.to_dict() for r in rows]}
    if report is not None:
        from throughtime.cli.compare_runs_report import write_page

        write_page(report, title, rows)
        console.print(f"report  {report}", highlight=False)
        result["report"] = str(report)
    return result


def _names(paths: Sequence[Path]) -> list[str]:
    """The last parts of the paths, or all of them where those are the same."""
    short = [path.name for path in paths]
    return short if len(set(short)) == len(short) else [str(path) for path in paths]


def _check_mixable(
    names: Sequence[str],
    runs: Sequence[LanguageModelRun],
    files: Sequence[Path],
    valid: Sequence[Path],
) -> None:
    if len(runs) < 2:
        raise InvalidValue("--mix needs at least two models; give more runs")
    first = runs[0].vocabulary
    for name, run in zip(names, runs, strict=True):
        if run.vocabulary != first:
            raise InvalidValue(
                f"--mix needs models of the same tokens, and {name} has another "
                f"vocabulary than {names[0]}; train both on one text with one --unit"
            )
    if not files and not valid:
        raise InvalidValue(
            "--mix would fit its weights on the very text it is measured on, the "
            "held-out part of the first run; give --text or --valid"
        )


def _score_all(
    console: Console,
    names: Sequence[str],
    runs: Sequence[LanguageModelRun],
    text: Text,
    title: str,
) -> list[Scored]:
    return [
        _score(console, f"{name} reads {title}", run, text)
        for name, run in zip(names, runs, strict=True)
    ]


def _score(console: Console, doing: str, run: LanguageModelRun, text: Text) -> Scored:
    with show_reading(console) as seen:
        tokens = run.encode(text, seen)
    with console.status(doing):
        began = time.perf_counter()
        log_probs = token_log_probs(run.model, tokens)
        return Scored(tokens, log_probs, time.perf_counter() - began)


def _row(name: str, run: LanguageModelRun, found: Scored) -> Row:
    return Row(
        model=name,
        kind=run.kind,
        unit=run.vocabulary.unit,
        size=run.size,
        bytes=run.file.stat().st_size,
        tokens_per_second=len(found.log_probs) / max(found.seconds, 1e-9),
        evaluation=evaluation(found.log_probs, found.tokens, run.vocabulary),
    )


def _mixture(
    names: Sequence[str],
    runs: Sequence[LanguageModelRun],
    rows: Sequence[Row],
    scored: Sequence[Scored],
    fitted_on: Sequence[Scored],
) -> Row:
    weights = fit_weights([found.log_probs for found in fitted_on])
    log_probs = mix([found.log_probs for found in scored], weights)
    seconds = sum(found.seconds for found in scored)
    return Row(
        model="mixture",
        kind="mixture",
        unit=runs[0].vocabulary.unit,
        size=sum(row.size for row in rows),
        bytes=sum(row.bytes for row in rows),
        tokens_per_second=len(log_probs) / max(seconds, 1e-9),
        evaluation=evaluation(log_probs, scored[0].tokens, runs[0].vocabulary),
        weights=dict(zip(names, weights, strict=True)),
    )


def _print_table(console: Console, rows: Sequence[Row], title: str) -> None:
    console.print(f"text    {title}", highlight=False)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("model")
    table.add_column("kind")
    for name in ("perplexity", "bits/char", "size", "MB", "tokens/s"):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(
            row.model,
            row.kind,
            f"{row.evaluation.perplexity:,.2f}",
            f"{row.evaluation.bits_per_character:.4f}",
            f"{row.size:,}",
            f"{row.bytes / 1e6:,.1f}",
            f"{row.tokens_per_second:,.0f}",
        )
    console.print(table)
    for row in rows:
        if row.weights is not None:
            parts = ", ".join(f"{n} {w:.3f}" for n, w in row.weights.items())
            console.print(f"mixture {parts}", highlight=False)
    if len({row.unit for row in rows}) > 1:
        console.print(
            "[yellow]note:[/yellow] these models read different tokens, so their "
            "perplexities cannot be compared; bits per character can"
        )
    if any(row.evaluation.unknown for row in rows):
        console.print(
            "[yellow]note:[/yellow] unknown words count as one word, <unk>; "
            "'throughtime evaluate' also tells the perplexity without them"
        )
    for row in rows:
        if row.evaluation.impossible:
            console.print(
                f"[yellow]note:[/yellow] {row.model} gives probability 0 to "
                f"{row.evaluation.impossible:,} tokens, so that its perplexity is "
                "infinite; smooth it"
            )
