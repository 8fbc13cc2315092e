"""A finished or running language-model run, opened to be evaluated or sampled."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from throughtime.cli.lm_data import TextSource
from throughtime.cli.own_cell import run_cell
from throughtime.data import Vocabulary, evaluation_streams, load_vocabulary
from throughtime.errors import RunError
from throughtime.metrics import bits_per_character, perplexity
from throughtime.models import LanguageModel, LanguageModelConfig
from throughtime.models.scoring import evaluate
from throughtime.training import RunFolder


@dataclass(frozen=True)
class LanguageModelRun:
    """The parts of a run folder of task ``lm``."""

    folder: RunFolder
    model: LanguageModel
    vocabulary: Vocabulary
    source: TextSource


def open_run(path: Path) -> LanguageModelRun:
    """Open a run and load its best weights.

    Raises:
        RunError: no run, a run of another task, or a damaged one.
    """
    folder = RunFolder.open(path)
    config = check_config(folder)
    vocabulary = load_vocabulary(folder.path / "vocabulary.json")
    check_vocabulary(vocabulary, config, path)
    model = build_model(len(vocabulary), folder)
    folder.load_weights(model)
    return LanguageModelRun(
        folder, model.eval(), vocabulary, TextSource.from_dict(config["data"])
    )


def check_config(folder: RunFolder) -> dict[str, Any]:
    """The config of a language-model run.

    Raises:
        RunError: a run of another task, or a part is missing.
    """
    config = folder.config
    if config.get("task") != "lm":
        raise RunError(
            f"{folder.path} is a run of task {config.get('task')!r}, this command "
            "needs 'lm'"
        )
    for part in ("data", "vocabulary", "model", "training"):
        if not isinstance(config.get(part), dict):
            raise RunError(
                f"{folder.path / 'config.json'} is damaged: it has no {part!r}; "
                "restore it from a copy or train anew"
            )
    return config


def check_vocabulary(
    vocabulary: Vocabulary, config: dict[str, Any], path: Path
) -> None:
    """Raise unless the vocabulary is the one the run was trained with.

    Raises:
        RunError: another vocabulary.
    """
    if vocabulary.fingerprint() != config["vocabulary"]["sha256"]:
        raise RunError(
            f"the vocabulary does not belong to the run {path}: its tokens would mean "
            "something else to the model; restore the run's own vocabulary.json and "
            "text, or start a new run"
        )


def build_model(vocabulary_size: int, folder: RunFolder) -> LanguageModel:
    """The model of a run's config, with fresh weights.

    Raises:
        RunError: it has a cell of the user's own, whose file is missing or has changed.
    """
    model = {**folder.config["model"], "cell": run_cell(folder)}
    return LanguageModel(vocabulary_size, LanguageModelConfig.from_dict(model))


@dataclass(frozen=True)
class Evaluation:
    """How well a text is predicted.

    Attributes:
        loss: mean negative log-likelihood per token, in nats.
        perplexity: e^loss.
        bits_per_character: of the text that the tokens stand for.
        tokens: predicted tokens: all but the first, which has nothing before it.
    """

    loss: float
    perplexity: float
    bits_per_character: float
    tokens: int


def summarise(nats: float, tokens: Tensor, vocabulary: Vocabulary) -> Evaluation:
    """Figures from the total nats of tokens 2..N of a text."""
    count = len(tokens) - 1
    characters = vocabulary.count_characters(tokens[1:])
    return Evaluation(
        nats / count,
        perplexity(nats / count),
        bits_per_character(nats, max(characters, 1)),
        count,
    )


def evaluate_tokens(
    model: LanguageModel, tokens: Tensor, vocabulary: Vocabulary, batch_size: int = 1
) -> Evaluation:
    """Score a text as ``batch_size`` streams; 1 is the exact chain rule."""
    inputs, targets, mask = evaluation_streams(tokens, batch_size)
    training = model.training
    model.eval()
    with torch.no_grad():
        score = evaluate(model, inputs, targets, mask)
    model.train(training)
    return summarise(score.nats, tokens, vocabulary)
