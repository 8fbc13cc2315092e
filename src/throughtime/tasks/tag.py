"""Aligned many to many: a label for every step of a sequence."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

from throughtime.data.examples import Examples
from throughtime.errors import DataError
from throughtime.models.tagger import Tagger, TaggerConfig
from throughtime.tasks.spans import Rules, span_rules, span_scheme
from throughtime.tasks.tag_baselines import linear_labels, usual_labels
from throughtime.tasks.tag_figures import measure, tag_sections
from throughtime.tasks.tag_inputs import KINDS, StepInputs, WordSteps
from throughtime.tasks.tag_labels import check_labels
from throughtime.tasks.tag_options import TagOptions
from throughtime.tasks.tag_reading import is_table, read_sentences, read_sequences
from throughtime.tasks.task import Evaluation, RawExample, Task

# Sequences that are answered side by side.
BATCH = 64


class Tag(Task):
    """Labels for the words of sentences, the rows of tables, the frames of videos.

    Labels that training has not seen do not count in the loss, as no model could give
    them, and are errors in the figures.

    Args:
        options: what the user chose.
        inputs: how steps are read.
        labels: all there are.
        rules: what these labels cannot do, of those that mark spans.
    """

    name = "tag"
    options_type = TagOptions
    config_type = TaggerConfig
    usual = {"bidirectional": True, "dropout": 0.3, "word_dropout": 0.1}

    def __init__(
        self,
        options: TagOptions,
        inputs: StepInputs,
        labels: Sequence[str],
        rules: Rules,
    ) -> None:
        self.options, self.inputs = options, inputs
        self.labels, self.rules = list(labels), rules
        self.scheme = span_scheme(self.labels)
        self._index = {label: i for i, label in enumerate(self.labels)}

    @classmethod
    def read(cls, files: Sequence[Path], options: TagOptions) -> list[RawExample]:
        return read_sequences(files, options)

    @classmethod
    def fit(cls, raw: Sequence[RawExample], options: TagOptions) -> Self:
        labels = check_labels(raw)
        inputs = KINDS[options.kind].fit(raw, options)
        scheme, rules = span_scheme(labels), Rules(set(), set(), set())
        if scheme is not None:
            rules = span_rules(labels, scheme).but(e.target for e in raw)
        return cls(options, inputs, labels, rules)

    def to_dict(self) -> dict[str, Any]:
        return {
            "options": asdict(self.options),
            "inputs": self.inputs.to_dict(),
            "labels": self.labels,
            "rules": [sorted(part) for part in self.rules],
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        options = TagOptions(**values["options"])
        inputs = KINDS[options.kind].from_dict(values["inputs"], options)
        pairs, first, last = values["rules"]
        rules = Rules({(a, b) for a, b in pairs}, set(first), set(last))
        return cls(options, inputs, values["labels"], rules)

    def encode(self, raw: Sequence[RawExample], *, labelled: bool = True) -> Examples:
        encoded = [self.inputs.encode(example) for example in raw]
        if any("inputs_present" in steps for steps in encoded):
            for steps in encoded:
                every = torch.ones(len(steps["inputs"]), dtype=torch.bool)
                steps.setdefault("inputs_present", every)
        if labelled:
            for example, steps in zip(raw, encoded, strict=True):
                steps |= self._targets(example)
        names = list(encoded[0]) if encoded else ["inputs"]
        return Examples({name: [steps[name] for steps in encoded] for name in names})

    def _targets(self, example: RawExample) -> dict[str, Tensor]:
        if example.target is None:
            raise DataError(f"{example.where}: no labels to learn or to compare with")
        indices = [self._index.get(label, -1) for label in example.target]
        targets = torch.tensor(indices, dtype=torch.long)
        return {"targets": targets.clamp(min=0), "targets_mask": targets >= 0}

    def build(self, config: TaggerConfig) -> Tagger:
        pairs, first, last = self.rules
        index = self._index
        return Tagger(
            self.inputs.front_end(config),
            len(self.labels),
            config,
            forbidden=[(index[a], index[b]) for a, b in sorted(pairs)],
            forbidden_first=[index[label] for label in sorted(first)],
            forbidden_last=[index[label] for label in sorted(last)],
        )

    def evaluate(
        self, model: nn.Module, raw: Sequence[RawExample], examples: Examples
    ) -> Evaluation:
        chosen = self._answers(model, examples, probabilities=False)
        return self._evaluation(raw, [labels for labels, _ in chosen])

    def _evaluation(
        self, raw: Sequence[RawExample], predicted: Sequence[Sequence[str]]
    ) -> Evaluation:
        found = measure([e.target for e in raw], predicted, self.scheme)
        if isinstance(self.inputs, WordSteps):
            unknown = [
                answer == label
                for example, answers in zip(raw, predicted, strict=True)
                for word, label, answer in zip(
                    example.input, example.target, answers, strict=True
                )
                if label is not None and word and not self.inputs.index(word)
            ]
            if unknown:
                share = sum(unknown) / len(unknown)
                found.figures["accuracy of unknown words"] = share
        return found

    def baselines(
        self, train: Sequence[RawExample], raw: Sequence[RawExample]
    ) -> dict[str, Evaluation]:
        usual = usual_labels(train, raw, self.inputs)
        name = "most frequent label"
        if isinstance(self.inputs, WordSteps):
            name += " of each word"
        answers = {name: usual}
        linear = linear_labels(train, raw, self.inputs)
        if linear is not None:
            answers["logistic regression of one step"] = linear
        return {name: self._evaluation(raw, labels) for name, labels in answers.items()}

    def _answers(
        self, model: nn.Module, examples: Examples, *, probabilities: bool
    ) -> list[tuple[list[str], list[float]]]:
        """Labels of each example, and if asked for how probable they are."""
        assert isinstance(model, Tagger)
        device = next(model.parameters()).device
        found: list[tuple[list[str], list[float]]] = [([], [])] * len(examples)
        # Similar lengths side by side.
        order = examples.lengths.argsort(stable=True)
        for indices in order.split(BATCH) if len(order) else ():
            batch = examples.batch(indices)
            batch = {name: part.to(device) for name, part in batch.items()}
            chosen = model.predict(batch)
            sure = torch.zeros_like(chosen, dtype=torch.float)
            if probabilities:
                every = model.probabilities(batch)
                sure = every.gather(-1, chosen.unsqueeze(-1)).squeeze(-1)
            lengths = batch["inputs_lengths"].tolist()
            for place, i in enumerate(indices.tolist()):
                steps = slice(lengths[place])
                labels = [self.labels[k] for k in chosen[steps, place].tolist()]
                found[i] = (labels, sure[steps, place].tolist())
        return found

    def read_inputs(self, source: Path | str) -> list[RawExample]:
        """Sequences without labels.

        A string, and of tasks with words a ``.txt`` file, holds a sentence on each
        line, with white space between its tokens; other files are as in training.
        """
        words, encoding = self.options.kind == "words", self.options.encoding
        if isinstance(source, str):
            if not words:
                raise DataError(
                    f"{self.options.kind} cannot be written as a text; give a file as "
                    "in training, which may lack the labels"
                )
            return read_sentences(source, encoding)
        if words and not is_table(source, self.options) and ".txt" in source.suffixes:
            return read_sentences(source, encoding)
        return read_sequences([source], self.options, labelled=False)

    def predict(
        self, model: nn.Module, raw: Sequence[RawExample]
    ) -> list[dict[str, Any]]:
        examples = self.encode(raw, labelled=False)
        answers = self._answers(model, examples, probabilities=True)
        found: list[dict[str, Any]] = []
        for example, (labels, sure) in zip(raw, answers, strict=True):
            answer: dict[str, Any] = (
                {} if example.group is None else {"group": example.group}
            )
            if self.options.kind == "words":
                words = list(example.input)
                pairs = zip(words, labels, strict=True)
                answer |= {"text": " ".join(f"{w}/{k}" for w, k in pairs)}
                answer |= {"words": words}
            else:
                letters = all(len(label) == 1 for label in self.labels)
                answer |= {"text": ("" if letters else " ").join(labels)}
            found.append(answer | {"labels": labels, "probabilities": sure})
        return found

    def sections(
        self, model: nn.Module, raw: Sequence[RawExample], evaluation: Evaluation
    ) -> list[Any]:
        del model
        return tag_sections(raw, evaluation, self.options.kind)

    def describe(self) -> str:
        scheme = f" ({self.scheme})" if self.scheme else ""
        return f"{len(self.labels)} labels{scheme}, {self.inputs.describe()}"
