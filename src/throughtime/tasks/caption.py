"""Caption: from a picture, or a vector of numbers, to a text about it."""

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import torch
from torch import Tensor, nn

from throughtime.checks import from_entries
from throughtime.data.examples import Examples
from throughtime.data.tables import is_table
from throughtime.data.vocabulary import Vocabulary, build_vocabulary
from throughtime.errors import DataError
from throughtime.metrics import perplexity
from throughtime.models.captioner import Captioner, CaptionerConfig
from throughtime.tasks.batches import device_batches
from throughtime.tasks.caption_baselines import (
    best_constant,
    bleu_figures,
    most_frequent,
)
from throughtime.tasks.caption_inputs import PictureInputs, VectorInputs
from throughtime.tasks.caption_options import CaptionOptions
from throughtime.tasks.caption_reading import read_captioned, read_vectors
from throughtime.tasks.pictures import Picture
from throughtime.tasks.task import Evaluation, RawExample, Task

if TYPE_CHECKING:
    from throughtime.report import Section

SHOWN = 12


class Caption(Task):
    """Pictures, or vectors, to texts.

    Args:
        options: what the user chose.
        inputs: how a picture or vector becomes a tensor.
        vocabulary: what texts are written with.
    """

    name: ClassVar[str] = "caption"
    options_type: ClassVar[type] = CaptionOptions
    config_type: ClassVar[type] = CaptionerConfig
    usual: ClassVar[Mapping[str, Any]] = {
        "hidden_size": 256,
        "dropout": 0.3,
        "optimizer": "adam",
        "learning_rate": 0.002,
        "batch_size": 64,
        "max_norm": 1.0,
    }
    answering: ClassVar[tuple[str, ...]] = (
        "beam_size",
        "length_penalty",
        "length",
        "images",
    )

    def __init__(
        self,
        options: CaptionOptions,
        inputs: PictureInputs | VectorInputs,
        vocabulary: Vocabulary,
    ) -> None:
        self.options = options
        self.inputs = inputs
        self.vocabulary = vocabulary

    # ---- files

    @classmethod
    def read(cls, files: Sequence[Path], options: CaptionOptions) -> list[RawExample]:
        return [e for file in files for e in read_captioned(file, options)]

    def read_inputs(self, source: Path | str) -> list[RawExample]:
        path = Path(source)
        if isinstance(self.inputs, VectorInputs):
            return read_vectors(source, len(self.inputs.mean), self.options)
        if is_table(path):
            return read_captioned(path, self.options, labelled=False)
        if path.is_dir():
            raise DataError(f"{source} is a folder; give a picture or a table")
        if not path.is_file():
            raise DataError(f"{source} does not exist; give a picture or a table")
        return [RawExample(Picture(path), None, str(path))]

    # ---- what is learnt of the training examples

    @classmethod
    def fit(cls, raw: Sequence[RawExample], options: CaptionOptions) -> Self:
        texts = [tidy(example.target, options) for example in raw]
        if len(set(texts)) < 2:
            raise DataError(
                f"{raw[0].where}: all {len(raw)} training examples have the text "
                f"{texts[0]!r}: there is nothing to learn; give examples of other texts"
            )
        vocabulary = build_vocabulary(
            "\n".join([*texts, ""]),
            options.unit,
            size=options.vocabulary_size,
            min_frequency=options.min_frequency,
        )
        if vocabulary.boundary_index is None:
            raise DataError(
                "the vocabulary has no entry for the end of a text; choose a larger "
                "vocabulary_size or a smaller min_frequency"
            )
        kind = PictureInputs if isinstance(raw[0].input, Picture) else VectorInputs
        for example in raw:
            if isinstance(example.input, Picture) != (kind is PictureInputs):
                raise DataError(
                    f"{example.where} and {raw[0].where} are of different kinds; give "
                    "pictures alone, or numbers alone"
                )
        return cls(options, kind.fit(raw, options), vocabulary)

    def to_dict(self) -> dict[str, Any]:
        return {
            "options": asdict(self.options),
            "inputs": {"kind": self.inputs.kind, **self.inputs.to_dict()},
            "vocabulary": json.loads(self.vocabulary.to_json()),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        options = from_entries(CaptionOptions, values["options"], "option")
        kinds = {kind.kind: kind for kind in (PictureInputs, VectorInputs)}
        kind = kinds[values["inputs"]["kind"]]
        vocabulary = Vocabulary.from_json(json.dumps(values["vocabulary"]))
        return cls(options, kind.from_dict(values["inputs"], options), vocabulary)

    def describe(self) -> str:
        plural = {"word": "words", "char": "characters", "bpe": "subwords"}
        count = f"{len(self.vocabulary):,} {plural[self.options.unit]}"
        return f"{count}, {self.inputs.describe()}"

    # ---- tensors and model

    def encode(self, raw: Sequence[RawExample], *, labelled: bool = True) -> Examples:
        inputs = {"inputs": [self.inputs.encode(e)["inputs"] for e in raw]}
        if not labelled:
            return Examples(inputs)
        # Targets come first: they say how long an example is.
        return Examples({"targets": [self._target(e) for e in raw], **inputs})

    def _target(self, example: RawExample) -> Tensor:
        return self.vocabulary.encode(tidy(example.target, self.options) + "\n")

    def build(self, config: CaptionerConfig) -> Captioner:
        end = self.vocabulary.boundary_index
        assert end is not None
        return Captioner(
            self.inputs.front_end(config),
            len(self.vocabulary),
            end_index=end,
            config=config,
        )

    # ---- answers

    def _texts(self, model: nn.Module, examples: Examples) -> list[str]:
        assert isinstance(model, Captioner)
        options, unknown = self.options, self.vocabulary.unknown_index
        return [
            self.vocabulary.decode(tokens)
            for batch in device_batches(model, examples)
            for tokens in model.caption(
                batch,
                length=options.length,
                beam_size=options.beam_size,
                length_penalty=options.length_penalty if options.beam_size > 1 else 0.0,
                banned=() if unknown is None else (unknown,),
            )
        ]

    def evaluate(
        self, model: nn.Module, raw: Sequence[RawExample], examples: Examples
    ) -> Evaluation:
        """BLEU of one text per input against all that were written about it."""
        assert isinstance(model, Captioner)
        groups = self._groups(raw)
        firsts = examples.select([rows[0] for rows in groups])
        answers = self._texts(model, firsts)
        figures = bleu_figures(answers, self._references(raw), self._spaced)
        total, count = 0.0, 0
        with torch.no_grad():
            for batch in device_batches(model, examples):
                loss, targets = model.batch_loss(batch)
                total, count = total + loss.item(), count + targets
        loss = total / count if count else math.nan
        figures[f"perplexity per {self._unit}"] = perplexity(loss)
        return Evaluation(figures, {"answers": answers, "groups": groups})

    @property
    def _unit(self) -> str:
        return {"word": "word", "char": "character", "bpe": "subword"}[
            self.options.unit
        ]

    @staticmethod
    def _groups(raw: Sequence[RawExample]) -> list[list[int]]:
        """The rows of each input, in the order of their first."""
        groups: dict[Any, list[int]] = {}
        for i, example in enumerate(raw):
            groups.setdefault(example.input, []).append(i)
        return list(groups.values())

    def _references(self, raw: Sequence[RawExample]) -> list[list[str]]:
        return [
            [tidy(raw[i].target, self.options) for i in rows]
            for rows in self._groups(raw)
        ]

    def _spaced(self, text: str) -> str:
        """A text with spaces around what BLEU counts."""
        return " ".join(text) if self.options.unit == "char" else text

    def baselines(
        self, train: Sequence[RawExample], raw: Sequence[RawExample]
    ) -> dict[str, Evaluation]:
        """One text for every input: the most frequent, and the best of the typical."""
        references, known = self._references(raw), self._references(train)
        texts = {
            "most frequent text": most_frequent(known),
            "best single text": best_constant(known, self._spaced),
        }
        return {
            name: Evaluation(
                bleu_figures([text] * len(references), references, self._spaced),
                {"text": text},
            )
            for name, text in texts.items()
        }

    def predict(
        self, model: nn.Module, raw: Sequence[RawExample]
    ) -> list[dict[str, Any]]:
        groups = self._groups(raw)
        firsts = [raw[rows[0]] for rows in groups]
        texts = self._texts(model, self.encode(firsts, labelled=False))
        return [
            {"where": example.where, "text": text}
            for example, text in zip(firsts, texts, strict=True)
        ]

    # ---- report

    def sections(
        self, model: nn.Module, raw: Sequence[RawExample], evaluation: Evaluation
    ) -> "list[Section]":
        from throughtime.report import Figure, Section, Table

        del model
        answers, groups = evaluation.details["answers"], evaluation.details["groups"]
        pairs = zip(answers, groups, strict=True)
        shown = [(raw[rows[0]], answer) for answer, rows in pairs][:SHOWN]
        rows = [(example.place, text, str(example.target)) for example, text in shown]
        figure = None
        if isinstance(self.inputs, PictureInputs):
            figure = Figure(
                partial(self._draw, shown),
                "pictures, each with the text that was written about it: "
                + "; ".join(text for _, text in shown),
                "Below each picture what the model writes, and in grey what a person "
                "wrote.",
            )
        words = Counter(word for answer in answers for word in answer.split())
        used = ", ".join(word for word, _ in words.most_common(20))
        return [
            Section(
                "Samples",
                f"{len(set(answers))} different texts for {len(answers)} inputs, with "
                f"{len(words)} different words; most often: {used}.",
                figure=figure,
                table=Table(("input", "written", "by a person"), rows),
            )
        ]

    def _draw(self, examples: Sequence[tuple[RawExample, str]], dark: bool) -> Any:
        from throughtime.plots.pictures import Captioned, captioned_pictures
        from throughtime.tasks.pictures import load_picture

        options = self.options
        shown = []
        for example, text in examples:
            pixels = load_picture(
                example.input, max(options.size, 96), options.grey, example.where
            )
            picture = pixels.permute(1, 2, 0).squeeze(-1).numpy()
            shown.append(Captioned(picture, text, str(example.target)))
        return captioned_pictures(shown, dark=dark)


def tidy(text: str, options: CaptionOptions) -> str:
    """A text in one line with single spaces, in lower case if so chosen.

    >>> tidy(" A dog  runs ", CaptionOptions())
    'a dog runs'
    """
    text = " ".join(text.split())
    return text.lower() if options.lowercase else text
