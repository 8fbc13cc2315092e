"""Recognise: from a sound or a picture to what it says, without an alignment."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import torch
from torch import nn

from throughtime.checks import from_entries
from throughtime.data.examples import Examples
from throughtime.data.tables import is_table
from throughtime.errors import DataError
from throughtime.models.ctc import least_steps
from throughtime.models.network import NetworkConfig
from throughtime.models.recogniser import Recogniser, subsampled
from throughtime.tasks.batches import device_batches
from throughtime.tasks.edit_distance import edit_distance
from throughtime.tasks.inputs.base import Inputs
from throughtime.tasks.path_table import (
    kind_of_files,
    place_of,
    read_path_table,
)
from throughtime.tasks.recognise_options import RecogniseOptions
from throughtime.tasks.task import Evaluation, RawExample, Task

if TYPE_CHECKING:
    from throughtime.report import Section

UNKNOWN = "\ufffd"
BLANK = "blank"
SHOWN = 20


class Recognise(Task):
    """Sounds or pictures to symbols.

    Args:
        options: what the user chose.
        inputs: how a sound or picture becomes a sequence of vectors.
        symbols: the known ones, after one for all that is unknown.
    """

    name: ClassVar[str] = "recognise"
    options_type: ClassVar[type] = RecogniseOptions
    config_type: ClassVar[type] = NetworkConfig
    usual: ClassVar[Mapping[str, Any]] = {
        "bidirectional": True,
        "dropout": 0.2,
        "optimizer": "adam",
        "learning_rate": 0.003,
        "batch_size": 32,
        "max_norm": 1.0,
    }
    answering: ClassVar[tuple[str, ...]] = ("beam_size",)

    def __init__(
        self, options: RecogniseOptions, inputs: Inputs, symbols: Sequence[str]
    ) -> None:
        self.options = options
        self.inputs = inputs
        self.symbols = list(symbols)
        self._index = {symbol: i for i, symbol in enumerate(self.symbols)}

    # ---- files

    @classmethod
    def read(cls, files: Sequence[Path], options: RecogniseOptions) -> list[RawExample]:
        raw = [
            example
            for file in files
            for example in read_path_table(
                file,
                path=options.path,
                text=options.text,
                group=options.group,
                encoding=options.encoding,
                delimiter=options.delimiter,
                header=options.header,
            )
        ]
        kind_of_files(raw)
        return raw

    def read_inputs(self, source: Path | str) -> list[RawExample]:
        path, options = Path(source), self.options
        if is_table(path):
            raw = read_path_table(
                path,
                path=options.path,
                text=None,
                encoding=options.encoding,
                delimiter=options.delimiter,
                header=options.header,
            )
        elif path.is_file():
            raw = [RawExample(path, None, str(path))]
        elif path.is_dir():
            raise DataError(
                f"{source} is a folder; give a sound or picture, or a table of them"
            )
        else:
            raise DataError(
                f"{source} does not exist; give a sound or picture, or a table of them"
            )
        kind = kind_of_files(raw)
        if kind != self.inputs.kind:
            raise DataError(
                f"{place_of(raw[0])} is of kind {kind}, and what was "
                f"trained reads {self.inputs.kind}"
            )
        return raw

    # ---- what is learnt of the training examples

    @classmethod
    def fit(cls, raw: Sequence[RawExample], options: RecogniseOptions) -> Self:
        from throughtime.tasks.inputs.registry import build_inputs

        texts = [units(example.target, options) for example in raw]
        if len({tuple(text) for text in texts}) < 2:
            raise DataError(
                f"{raw[0].where}: all {len(raw)} training examples say "
                f"{raw[0].target!r}, so there is nothing to tell apart; "
                "give examples of other texts"
            )
        counts = Counter(symbol for text in texts for symbol in text)
        kept = sorted(s for s, n in counts.items() if n >= options.min_frequency)
        if not kept:
            raise DataError(
                f"min_frequency = {options.min_frequency} leaves no symbol, the most "
                f"frequent one occurs {max(counts.values())} time(s); choose less"
            )
        inputs = build_inputs(kind_of_files(raw), raw, options)
        return cls(options, inputs, [UNKNOWN, *kept])

    def to_dict(self) -> dict[str, Any]:
        from throughtime.tasks.inputs.registry import inputs_to_dict

        return {
            "options": asdict(self.options),
            "inputs": inputs_to_dict(self.inputs),
            "symbols": self.symbols,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        from throughtime.tasks.inputs.registry import inputs_from_dict

        options = from_entries(RecogniseOptions, values["options"], "option")
        return cls(
            options, inputs_from_dict(values["inputs"], options), values["symbols"]
        )

    def describe(self) -> str:
        return f"{len(self.symbols) - 1} symbols, {self.inputs.describe()}"

    # ---- tensors and model

    def encode(self, raw: Sequence[RawExample], *, labelled: bool = True) -> Examples:
        parts = [self.inputs.encode(example) for example in raw]
        names = parts[0] if parts else ("inputs",)
        sequences = {name: [part[name] for part in parts] for name in names}
        if labelled:
            sequences["targets"] = [
                torch.tensor(self._target(example, len(part["inputs"])))
                for example, part in zip(raw, parts, strict=True)
            ]
        return Examples(sequences)

    def _target(self, example: RawExample, steps: int) -> list[int]:
        target = [self._index.get(s, 0) for s in units(example.target, self.options)]
        by = self.options.subsample
        have = int(subsampled(torch.tensor(steps), by))
        if least_steps(target) > have:
            together = f", {by} taken together" if by > 1 else ""
            raise DataError(
                f"{place_of(example)} has {have} steps{together}, and "
                f"{example.target[:SHOWN]!r} needs {least_steps(target)}; leave it out"
                + (", or choose a smaller subsample" if by > 1 else "")
            )
        return target

    def build(self, config: NetworkConfig) -> Recogniser:
        return Recogniser(
            self.inputs.front_end(config),
            len(self.symbols),
            config,
            subsample=self.options.subsample,
        )

    # ---- answers

    def _texts(self, model: nn.Module, examples: Examples) -> list[list[str]]:
        assert isinstance(model, Recogniser)
        return [
            [self.symbols[i] for i in symbols]
            for batch in device_batches(model, examples)
            for symbols in model.read(batch, beam_size=self.options.beam_size)
        ]

    def evaluate(
        self, model: nn.Module, raw: Sequence[RawExample], examples: Examples
    ) -> Evaluation:
        return self._figures(self._texts(model, examples), raw)

    def _figures(
        self, answers: Sequence[Sequence[str]], raw: Sequence[RawExample]
    ) -> Evaluation:
        """Against the texts as they were written, unknown symbols included."""
        targets = [units(example.target, self.options) for example in raw]
        pairs = list(zip(answers, targets, strict=True))
        distances = [edit_distance(answer, target) for answer, target in pairs]
        symbols = sum(len(target) for target in targets)
        right = sum(distance == 0 for distance in distances)
        name = "character" if self.options.unit == "char" else "word"
        return Evaluation(
            {
                f"{name} error rate": sum(distances) / max(symbols, 1),
                "text accuracy": right / max(len(targets), 1),
            },
            {
                "answers": [self._joined(answer) for answer in answers],
                "distances": distances,
            },
        )

    def baselines(
        self, train: Sequence[RawExample], raw: Sequence[RawExample]
    ) -> dict[str, Evaluation]:
        texts = Counter(tuple(units(example.target, self.options)) for example in train)
        most_frequent = texts.most_common(1)[0][0]
        return {"most frequent text": self._figures([most_frequent] * len(raw), raw)}

    def predict(
        self, model: nn.Module, raw: Sequence[RawExample]
    ) -> list[dict[str, Any]]:
        answers = self._texts(model, self.encode(raw, labelled=False))
        return [
            {"where": example.where, "text": self._joined(answer)}
            for example, answer in zip(raw, answers, strict=True)
        ]

    def _joined(self, symbols: Sequence[str]) -> str:
        return (" " if self.options.unit == "word" else "").join(symbols)

    # ---- report

    def sections(
        self, model: nn.Module, raw: Sequence[RawExample], evaluation: Evaluation
    ) -> "list[Section]":
        from throughtime.report import Figure, Section, Table

        rows = [
            (Path(e.input).name, str(e.target), answer, str(distance))
            for e, answer, distance in zip(
                raw,
                evaluation.details["answers"],
                evaluation.details["distances"],
                strict=True,
            )
        ]
        wrong = [row for row in rows if row[-1] != "0"]
        header = ("input", "says", "was read as", "symbols wrong")
        sections = [
            Section("Samples", table=Table(header, rows[:SHOWN])),
            Section(
                "Errors",
                f"{len(wrong)} of {len(rows)} texts have one."
                + (f" The first {SHOWN}:" if len(wrong) > SHOWN else ""),
                table=Table(header, wrong[:SHOWN]) if wrong else None,
            ),
        ]
        if raw:
            sections.append(
                Section(
                    "What is seen when",
                    f"{Path(raw[0].input).name} says {raw[0].target!r}.",
                    figure=Figure(
                        partial(self._picture, model, raw[0]),
                        f"probability of each symbol at each step of {raw[0].input}",
                        "Nobody said where the symbols are; between them the network "
                        "sees the blank.",
                    ),
                )
            )
        return sections

    def _picture(self, model: nn.Module, example: RawExample, dark: bool) -> Any:
        from throughtime.plots.symbols import symbol_probabilities

        assert isinstance(model, Recogniser)
        (batch,) = device_batches(model, self.encode([example], labelled=False))
        (log_probs,) = model.log_probs(batch)
        names = [*self.symbols, BLANK]
        return symbol_probabilities(log_probs.exp().cpu().numpy(), names, dark=dark)


def units(text: str, options: RecogniseOptions) -> list[str]:
    """The symbols of a text: words, or characters with single spaces between words.

    >>> units(" two  words ", RecogniseOptions())
    ['t', 'w', 'o', ' ', 'w', 'o', 'r', 'd', 's']
    """
    words = (text.lower() if options.lowercase else text).split()
    return words if options.unit == "word" else list(" ".join(words))
