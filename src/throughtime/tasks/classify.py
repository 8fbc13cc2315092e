"""Many to one: a label, or a number, for each text, series, recording or picture."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import torch
from torch import nn

from throughtime.data.examples import Batch, Examples
from throughtime.errors import DataError
from throughtime.models.classifier import Classifier, ClassifierConfig
from throughtime.models.naive_bayes import NaiveBayes
from throughtime.tasks.classify_baselines import bayes_of, classify_baselines
from throughtime.tasks.classify_figures import class_figures, number_figures
from throughtime.tasks.classify_options import ClassifyOptions
from throughtime.tasks.classify_sections import classify_sections
from throughtime.tasks.inputs.base import Inputs
from throughtime.tasks.inputs.registry import (
    build_inputs,
    inputs_from_dict,
    inputs_to_dict,
)
from throughtime.tasks.reading import kind_of, read_labelled, read_unlabelled
from throughtime.tasks.task import Evaluation, RawExample, Task

if TYPE_CHECKING:
    from throughtime.report import Section

# Examples answered side by side.
BATCH = 64
BAYES_FILE = "naive_bayes.json"


class Classify(Task):
    """A label or a number for each sequence.

    Args:
        options: how examples are read.
        inputs: what reads them, as the training examples have taught it.
        labels: the classes in order; None: numbers are asked for.
        mean: of the numbers.
        std: of the numbers.
    """

    name = "classify"
    options_type = ClassifyOptions
    config_type = ClassifierConfig
    usual: ClassVar[Mapping[str, Any]] = {
        "hidden_size": 128,
        "bidirectional": True,
        "dropout": 0.3,
        "early_stopping": 3,
        "schedule": "plateau",
        "decay": 0.5,
    }

    def __init__(
        self,
        options: ClassifyOptions,
        inputs: Inputs,
        labels: Sequence[str] | None,
        mean: float = 0.0,
        std: float = 1.0,
    ) -> None:
        self.options, self.inputs = options, inputs
        self.labels = None if labels is None else list(labels)
        self.mean, self.std = mean, std
        self.bayes: NaiveBayes | None = None

    @classmethod
    def read(cls, files: Sequence[Path], options: ClassifyOptions) -> list[RawExample]:
        return read_labelled(files, options)

    @classmethod
    def fit(cls, raw: Sequence[RawExample], options: ClassifyOptions) -> Self:
        kind = options.inputs or kind_of(raw)
        known = [example for example in raw if example.target is not None]
        if options.target == "number":
            numbers = np.array([_number(example) for example in known])
            if len(numbers) < 2 or numbers.std() == 0:
                raise DataError(
                    f"{raw[0].where}: all numbers to learn are the same, or there is "
                    "only one; give examples with different ones"
                )
            inputs = build_inputs(kind, raw, options)
            return cls(options, inputs, None, numbers.mean(), numbers.std())
        labels = sorted({str(example.target) for example in known})
        if len(labels) < 2:
            only = f"all have the label {labels[0]!r}" if labels else "none has a label"
            raise DataError(
                f"{raw[0].where}: {only} of {len(raw)} training examples; two classes "
                "at least are needed, or --target number"
            )
        return cls(options, build_inputs(kind, raw, options), labels)

    def to_dict(self) -> dict[str, Any]:
        return {
            "options": asdict(self.options),
            "inputs": inputs_to_dict(self.inputs),
            "labels": self.labels,
            "mean": float(self.mean),
            "std": float(self.std),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        options = ClassifyOptions(**values["options"])
        inputs = inputs_from_dict(values["inputs"], options)
        return cls(options, inputs, values["labels"], values["mean"], values["std"])

    def encode(self, raw: Sequence[RawExample], *, labelled: bool = True) -> Examples:
        encoded = [self.inputs.encode(example) for example in raw]
        names = dict.fromkeys(name for parts in encoded for name in parts)
        for parts in encoded:  # where some have missing inputs, all say which
            if "inputs_present" in names and "inputs_present" not in parts:
                parts["inputs_present"] = torch.ones(len(parts["inputs"])).bool()
        sequences = {name: [parts[name] for parts in encoded] for name in names}
        if not labelled:
            return Examples(sequences)
        if self.labels is None:
            numbers = [
                float("nan") if example.target is None else _number(example)
                for example in raw
            ]
            return Examples(sequences, {"numbers": torch.tensor(numbers)})
        index = {label: i for i, label in enumerate(self.labels)}
        found = [self._index(example, index) for example in raw]
        return Examples(sequences, {"labels": torch.tensor(found)})

    @staticmethod
    def _index(example: RawExample, index: Mapping[str, int]) -> int:
        if example.target is None:
            return -1
        if str(example.target) not in index:
            raise DataError(
                f"{example.where}: the label {example.target!r} is none of those in "
                f"training: {', '.join(list(index)[:20])}; train with examples of it"
            )
        return index[str(example.target)]

    def build(self, config: ClassifierConfig) -> Classifier:
        count = None if self.labels is None else len(self.labels)
        front_end = self.inputs.front_end(config)
        return Classifier(front_end, count, config, mean=self.mean, std=self.std)

    def evaluate(
        self, model: nn.Module, raw: Sequence[RawExample], examples: Examples
    ) -> Evaluation:
        outputs = self._outputs(model, examples)
        if self.labels is None:
            targets = examples.values["numbers"]
            return number_figures(outputs.double().numpy(), targets.double().numpy())
        targets = examples.values["labels"].numpy()
        log_probs = outputs.double().log_softmax(-1).numpy()
        return class_figures(log_probs, targets, self.labels)

    def _outputs(self, model: nn.Module, examples: Examples) -> torch.Tensor:
        with torch.no_grad():
            parts = [self._answer(model, batch) for batch in examples.batches(BATCH)]
        return torch.cat(parts)

    @staticmethod
    def _answer(model: nn.Module, batch: Batch) -> torch.Tensor:
        return model(batch)

    def baselines(
        self, train: Sequence[RawExample], raw: Sequence[RawExample]
    ) -> dict[str, Evaluation]:
        return classify_baselines(self.inputs, self.labels, train, raw)

    def files(self, train: Sequence[RawExample]) -> dict[str, bytes]:
        if self.inputs.kind != "text" or self.labels is None:
            return {}
        self.bayes = bayes_of(train)
        return {BAYES_FILE: json.dumps(self.bayes.to_dict()).encode()}

    def read_inputs(self, source: Path | str) -> list[RawExample]:
        return read_unlabelled(source, self.options, self.inputs.kind)

    def predict(
        self, model: nn.Module, raw: Sequence[RawExample]
    ) -> list[dict[str, Any]]:
        outputs = self._outputs(model, self.encode(raw, labelled=False)).double()
        if self.labels is None:
            numbers = outputs.tolist()
            return [{"text": f"{number:.6g}", "number": number} for number in numbers]
        answers = []
        for row in outputs.softmax(-1).tolist():
            shares = dict(zip(self.labels, row, strict=True))
            label = max(shares, key=lambda name: shares[name])
            text = f"{label} ({shares[label]:.1%})"
            answers.append({"text": text, "label": label, "probabilities": shares})
        return answers

    def sections(
        self, model: nn.Module, raw: Sequence[RawExample], evaluation: Evaluation
    ) -> "list[Section]":
        return classify_sections(self.inputs, self.labels, raw, evaluation, self.bayes)

    def describe(self) -> str:
        asked = "a number" if self.labels is None else f"{len(self.labels)} labels"
        return f"{self.inputs.describe()}; {asked}"


def label_counts(raw: Sequence[RawExample]) -> Counter[str]:
    """How often each label occurs."""
    return Counter(str(e.target) for e in raw if e.target is not None)


def _number(example: RawExample) -> float:
    try:
        value = float(example.target)
    except (TypeError, ValueError):
        value = float("nan")
    if not np.isfinite(value):
        raise DataError(
            f"{example.where}: expected a number to learn, got {example.target!r}; "
            "correct it, or leave --target number out"
        )
    return value
