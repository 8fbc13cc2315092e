"""``throughtime train lm``: from a text file to a trained, measured, reported model."""

from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch import Tensor

from throughtime.cli.defaults import DEFAULTS
from throughtime.cli.generate import GenerateOptions, generate_text
from throughtime.cli.launch import check_same, launch_entry
from throughtime.cli.lm_data import (
    Corpus,
    TextSource,
    build_vocabulary,
    encode,
    load_corpus,
    text_source,
)
from throughtime.cli.lm_kinds import (
    Network,
    backend_used,
    build_network,
    describe,
    network_config,
)
from throughtime.cli.lm_measure import (
    Evaluation,
    count_parameters,
    evaluate_tokens,
    token_counts,
)
from throughtime.cli.lm_report import write_run_report
from throughtime.cli.lm_run import (
    build_model,
    check_config,
    check_vocabulary,
    run_kind,
)
from throughtime.cli.lm_table import print_results
from throughtime.cli.progress import show_progress
from throughtime.cli.reading import show_reading
from throughtime.cli.settings import parse_value, sort_settings
from throughtime.data import Vocabulary, load_vocabulary, streams
from throughtime.errors import DataError, InvalidValue, RunError
from throughtime.models import LanguageModel, NGramLM
from throughtime.models.output import needs_counts
from throughtime.tasks.own_cell import Kept, keep_own_cell
from throughtime.training import (
    Position,
    Problem,
    RunFolder,
    TrainingConfig,
    WithinMemory,
    omega_probes,
    train,
)
from throughtime.training.door import check_team
from throughtime.training.optimizers import HESSIAN_FREE
from throughtime.training.team import ALONE, Team
from throughtime.training.tensorboard import open_writer

BASELINE_ORDER = 5
BASELINE_NAME = f"{BASELINE_ORDER}-gram, modified Kneser-Ney"
# Streams of the held-out text in validation between epochs; the final figures use one.
VALIDATION_STREAMS = 16
# Tokens of the held-out text that the sample continues, and how it is drawn.
SAMPLE_PROMPT = 50
SAMPLE_LENGTH = 400
SAMPLE_TEMPERATURE = 0.8


@dataclass(frozen=True)
class LanguageModelTask:
    """Everything a training needs, checked and in memory."""

    run: RunFolder
    model: Network
    config: TrainingConfig
    vocabulary: Vocabulary
    texts: Corpus
    train_tokens: Tensor
    held_out_tokens: Tensor
    resumed: bool
    team: Team = ALONE


def start_run(
    files: list[Path],
    *,
    unit: str,
    kind: str,
    cell: str,
    valid: str,
    settings: list[str],
    out: Path | None,
    overwrite: bool,
    team: Team = ALONE,
) -> LanguageModelTask:
    """Read the text, build the network, make the run folder.

    Raises:
        ThroughtimeError: anything the user gave cannot be used; nothing is written.
    """
    options = sort_settings(cell, [*usual_settings(settings, kind), *settings], kind)
    model_config = network_config(kind, options.model)
    config = TrainingConfig.from_dict(full_tau(options.training))
    check_team(team, config, config.batch_size)
    path = out or Path("runs") / f"lm-{datetime.now():%Y%m%d-%H%M%S}"
    path = Path(team.share(str(path)))
    if team.is_first:
        RunFolder.check_target(path, overwrite=overwrite)
    with show_reading(Console(quiet=not team.is_first)) as seen:
        texts = load_corpus(text_source(files, valid, unit), seen)
        vocabulary = build_vocabulary(texts.train, unit, seen, **options.vocabulary)
        train_tokens = encode(vocabulary, texts.train, "training", seen)
        held_out_tokens = encode(vocabulary, texts.held_out, "held-out", seen)
    check_length(train_tokens, config)
    torch.manual_seed(config.seed)
    counts = None
    if needs_counts(model_config.output):
        counts = token_counts(train_tokens, len(vocabulary))
    model = build_network(len(vocabulary), model_config, counts)
    check_method(model, train_tokens, config, team)
    own = keep_own_cell(cell) if kind == "rnn" else Kept("")
    fingerprint = vocabulary.fingerprint()
    check_same(team, {"vocabulary": fingerprint, "number of tokens": len(train_tokens)})
    entries = model_config.to_dict()
    notes = {
        "task": "lm",
        "kind": kind,
        "data": texts.source.to_dict(),
        "vocabulary": {
            "unit": unit,
            "size": len(vocabulary),
            "sha256": fingerprint,
        },
        "model": {**entries, "cell": own.cell} if kind == "rnn" else entries,
        "training": config.to_dict(),
        **own.config,
        **launch_entry(),
    }
    run = RunFolder(path, notes)
    if team.is_first:
        run = RunFolder.create(
            path,
            notes,
            model,
            files={"vocabulary.json": vocabulary.to_json().encode(), **own.files},
            overwrite=overwrite,
        )
    return LanguageModelTask(
        run,
        model,
        config,
        vocabulary,
        texts,
        train_tokens,
        held_out_tokens,
        False,
        team,
    )


def resume_run(
    path: Path,
    *,
    files: list[Path],
    changed: list[str],
    others: dict[str, Any],
    team: Team = ALONE,
) -> LanguageModelTask:
    """Open a run to continue it.

    Raises:
        InvalidValue: an option that cannot change within a run.
        RunError: no run, a damaged one, or one of another text or vocabulary.
    """
    run = RunFolder.open(path)
    config = check_config(run)
    if run_kind(run) == "ngram":
        raise RunError(
            f"{path} is an n-gram model, which is counted at once and not resumed; "
            "count anew without --resume"
        )
    training = dict(config["training"])
    for name, value in others.items():
        if value is not None:
            raise InvalidValue(
                f"{name} cannot change within a run; leave it out, or start a new run "
                "without --resume"
            )
    for pair in changed:
        key, _, text = pair.partition("=")
        if key not in ("epochs", "time_budget"):
            raise InvalidValue(
                f"{key} cannot change within a run (epochs and time_budget can); leave "
                "it out, or start a new run without --resume"
            )
        training[key] = parse_value(text)
    source = TextSource.from_dict(config["data"])
    if files:
        # Another text has another fingerprint, which load_corpus refuses.
        source = TextSource.from_dict(
            {**config["data"], "files": [str(f.resolve()) for f in files]}
        )
    vocabulary = load_vocabulary(run.path / "vocabulary.json")
    check_vocabulary(vocabulary, config, path)
    with show_reading(Console(quiet=not team.is_first)) as seen:
        texts = load_corpus(source, seen)
        train_tokens = encode(vocabulary, texts.train, "training", seen)
        held_out_tokens = encode(vocabulary, texts.held_out, "held-out", seen)
    model = build_model(len(vocabulary), run)
    return LanguageModelTask(
        run,
        model,
        TrainingConfig.from_dict(training),
        vocabulary,
        texts,
        train_tokens,
        held_out_tokens,
        True,
        team,
    )


def check_length(tokens: Tensor, config: TrainingConfig) -> None:
    """Raise if the streams are shorter than one window.

    Raises:
        DataError: they are.
    """
    steps = len(streams(tokens, config.batch_size)[0])
    if config.tau is not None and steps < config.tau:
        raise DataError(
            f"the text is shorter than one window: {config.batch_size} streams of "
            f"{steps} steps, tau = {config.tau}; give a longer text, or a smaller "
            "--batch-size or --tau"
        )


def usual_settings(settings: list[str], kind: str = "rnn") -> list[str]:
    """``DEFAULTS`` as far as the user has not chosen something else."""
    chosen = {
        key: value for key, _, value in (pair.partition("=") for pair in settings)
    }
    left_out = set(chosen)
    if chosen.get("optimizer", "").lower() == HESSIAN_FREE:
        left_out |= {"learning_rate", "schedule"}  # it finds its own step
    if kind != "rnn":
        left_out.add("num_layers")
    return [f"{key}={value}" for key, value in DEFAULTS.items() if key not in left_out]


def check_method(
    model: Network, tokens: Tensor, config: TrainingConfig, team: Team
) -> None:
    """Raise if the model cannot be trained in this way, before a run is made.

    Raises:
        InvalidValue: the memory budget is below the minimum, which the error names; or
            the model draws masks, which this optimiser or regulariser does not allow.
    """
    if not isinstance(model, LanguageModel) and (config.omega or config.memory):
        name = "omega" if config.omega else "memory"
        raise InvalidValue(
            f"{name} is about recurrent layers, and a fixed window has none; leave it "
            "out"
        )
    if config.omega:
        with omega_probes(model):
            pass
    if config.second_order:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            first, again = (model(tokens[:8, None])[0] for _ in range(2))
        if not torch.equal(first, again):
            raise InvalidValue(
                f"optimizer {HESSIAN_FREE} needs a model that is deterministic, and "
                "this one draws dropout or zoneout in every call; set them to 0"
            )
    if config.memory is None:
        return
    inputs, targets = streams(tokens, config.batch_size)
    problem = Problem(model, model.features, model.features_loss, inputs, targets)
    problem = problem.part(team.columns(config.batch_size))
    method = WithinMemory(config.method(), config.memory, problem)
    window = method.next_window(Position(), len(inputs))
    method.plan(window.stop - window.start)


def full_tau(training: dict[str, Any]) -> dict[str, Any]:
    """Options of a training in which ``tau`` may be the word ``full``."""
    return {**training, "tau": None} if training.get("tau") == "full" else training


def run_training(task: LanguageModelTask, *, tensorboard: bool) -> dict[str, Any]:
    """Train, measure beside the n-gram baseline, sample, write the report.

    Returns:
        The figures of the held-out text, and the paths of run and report; in a team the
        first process's alone.
    """
    team = task.team
    console = Console(quiet=not team.is_first)
    console.print(
        f"text    {task.texts.source.title}\n"
        f"tokens  {len(task.train_tokens):,} to train on, "
        f"{len(task.held_out_tokens):,} held out\n"
        f"model   {describe(task.model)}, {count_parameters(task.model):,} parameters, "
        f"{len(task.vocabulary):,} different tokens\n"
        f"run     {task.run.path} (backend {backend_used(task.model)}, "
        f"{torch.get_num_threads()} threads"
        + (f", {team.size} processes)" if team.size > 1 else ")"),
        highlight=False,
    )

    def validate(model: Network) -> float:
        batch = min(VALIDATION_STREAMS, len(task.held_out_tokens) - 1)
        return evaluate_tokens(model, task.held_out_tokens, task.vocabulary, batch).loss

    writer = None
    if tensorboard and team.is_first:
        writer = open_writer(task.run.path / "tensorboard")
    records = train(
        task.model,
        streams(task.train_tokens, task.config.batch_size),
        task.config,
        run=task.run,
        validate=validate,
        resume=task.resumed,
        team=team,
    )
    show_progress(records, console, writer=writer, time_budget=task.config.time_budget)
    if not team.is_first:
        return {}
    task.run.load_weights(task.model)
    with console.status("measuring on the held-out text"):
        result = evaluate_tokens(task.model, task.held_out_tokens, task.vocabulary)
        baseline = _baseline(task)
    with console.status("writing a sample and the report"):
        sample = generate_text(
            task.model.eval(),
            task.vocabulary,
            task.vocabulary.decode(task.held_out_tokens[:SAMPLE_PROMPT]),
            GenerateOptions(length=SAMPLE_LENGTH, temperature=SAMPLE_TEMPERATURE),
        )
        report = write_run_report(task, result, baseline, BASELINE_NAME, sample)
    print_results(console, {"this model": result, BASELINE_NAME: baseline}, sample)
    console.print(f"run     {task.run.path}\nreport  {report}", highlight=False)
    return {
        "run": str(task.run.path),
        "report": str(report),
        **asdict(result),
        "baseline": {"order": BASELINE_ORDER, **asdict(baseline)},
    }


def _baseline(task: LanguageModelTask) -> Evaluation:
    """The same held-out tokens scored by a modified Kneser-Ney n-gram model."""
    model = NGramLM(BASELINE_ORDER, vocabulary_size=len(task.vocabulary))
    model.fit(task.train_tokens)
    return evaluate_tokens(model, task.held_out_tokens, task.vocabulary)
