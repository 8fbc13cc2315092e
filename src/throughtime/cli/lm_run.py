"""A finished or running language-model run, opened to be evaluated or sampled."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from throughtime.cli.lm_data import TextSource, encode
from throughtime.cli.lm_kinds import (
    KINDS,
    Network,
    build_network,
    check_kind,
    network_config,
)
from throughtime.cli.lm_measure import count_parameters
from throughtime.cli.reading import Seen, silent
from throughtime.data import Text, Vocabulary, Words, load_vocabulary
from throughtime.errors import InvalidValue, RunError
from throughtime.models import LanguageModel, NGramLM
from throughtime.models.ngram import join_markers, load_levels, read_arpa
from throughtime.tasks.own_cell import run_cell
from throughtime.training import RunFolder

WEIGHTS = "model.safetensors"


@dataclass(frozen=True)
class LanguageModelRun:
    """A trained language model and what it reads.

    Attributes:
        path: of the run folder.
        file: of the weights or counts.
        kind: one of ``lm_kinds.KINDS``.
        model: in eval mode.
        vocabulary: of its tokens.
        source: the text of the training; None: it came without one.
    """

    path: Path
    file: Path
    kind: str
    model: Network | NGramLM
    vocabulary: Vocabulary
    source: TextSource | None

    @property
    def size(self) -> int:
        """Parameters of a network, n-grams of one that counts."""
        if isinstance(self.model, NGramLM):
            return sum(len(level.words) for level in self.model.levels)
        return count_parameters(self.model)

    def ngram(self, command: str) -> NGramLM:
        """The model, if it is one of counts.

        Raises:
            InvalidValue: it is not.
        """
        if not isinstance(self.model, NGramLM):
            raise InvalidValue(
                f"{command} needs an n-gram model, and {self.path} is of kind "
                f"{self.kind!r}; train one with --model ngram"
            )
        return self.model

    def network(self, command: str) -> Network:
        """The model, if it is a network.

        Raises:
            InvalidValue: it is not.
        """
        if isinstance(self.model, NGramLM):
            raise InvalidValue(
                f"{command} needs a network, and {self.path} is an n-gram model"
            )
        return self.model

    def recurrent(self, command: str) -> LanguageModel:
        """The model, if it is a recurrent network.

        Raises:
            InvalidValue: it is not.
        """
        if not isinstance(self.model, LanguageModel):
            raise InvalidValue(
                f"{command} needs a recurrent network, and {self.path} is of kind "
                f"{self.kind!r}"
            )
        return self.model

    def encode(self, text: Text, seen: Seen = silent) -> Tensor:
        """The tokens (N,) of a text.

        Raises:
            DataError: fewer than two.
        """
        return encode(self.vocabulary, text, "evaluated", seen)


def open_run(path: Path) -> LanguageModelRun:
    """Open a run and load its best weights; or an ARPA file, of any origin.

    Raises:
        DataError: a damaged ARPA file.
        RunError: no run, a run of another task, or a damaged one.
    """
    if is_arpa(path):
        return _open_arpa(path)
    folder = RunFolder.open(path)
    config = check_config(folder)
    vocabulary = load_vocabulary(folder.path / "vocabulary.json")
    check_vocabulary(vocabulary, config, path)
    kind = run_kind(folder)
    if kind == "ngram":
        model: Network | NGramLM = _load_ngram(folder, len(vocabulary))
    else:
        model = build_model(len(vocabulary), folder)
        folder.load_weights(model)
        model.eval()
    return LanguageModelRun(
        path,
        folder.path / WEIGHTS,
        kind,
        model,
        vocabulary,
        TextSource.from_dict(config["data"]),
    )


def is_arpa(path: Path) -> bool:
    """Whether this names an ARPA file."""
    return path.name.endswith((".arpa", ".arpa.gz", ".arpa.zst"))


def _open_arpa(path: Path) -> LanguageModelRun:
    """The model of words in an ARPA file.

    Raises:
        DataError: the file is damaged.
        InvalidValue: its tokens are no words.
    """
    tokens, levels, boundary = join_markers(*read_arpa(path))
    # Space and newline: as characters, and as the bytes of subwords are spelt.
    if any(token.isspace() or token in ("\u0120", "\u010a") for token in tokens):
        raise InvalidValue(
            f"{path} is a model of characters or subwords, and an ARPA file does not "
            "say how a text becomes those; give the run that it was exported from"
        )
    model = NGramLM.from_levels(levels, boundary=boundary)
    return LanguageModelRun(path, path, "ngram", model, Words.of(tokens), None)


def run_kind(folder: RunFolder) -> str:
    """The kind of model of a run.

    Raises:
        RunError: it is none that there is.
    """
    kind = folder.config.get("kind", "rnn")
    if kind not in KINDS:
        raise RunError(
            f"{folder.path / 'config.json'} is damaged: its kind of model is {kind!r}, "
            f"of {', '.join(KINDS)}; restore it from a copy or train anew"
        )
    return check_kind(kind)


def _load_ngram(folder: RunFolder, vocabulary_size: int) -> NGramLM:
    levels, notes = load_levels(folder.path / WEIGHTS)
    if len(levels[0].words) != vocabulary_size:
        raise RunError(
            f"{folder.path / WEIGHTS} holds {len(levels[0].words)} tokens, and the "
            f"vocabulary {vocabulary_size}; restore the run's own files"
        )
    boundary = notes.get("boundary")
    return NGramLM.from_levels(
        levels,
        boundary=None if boundary is None else int(boundary),
        smoothing=folder.config["model"]["smoothing"],
        **folder.config["model"]["options"],
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


def build_model(vocabulary_size: int, folder: RunFolder) -> Network:
    """The network of a run's config, with fresh weights.

    Raises:
        RunError: it has a cell of the user's own, whose file is missing or has changed.
    """
    kind, model = run_kind(folder), dict(folder.config["model"])
    if kind == "rnn":
        model["cell"] = run_cell(folder)
    return build_network(vocabulary_size, network_config(kind, model))
