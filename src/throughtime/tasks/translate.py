"""``train translate``: from one text to another."""

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

import torch
from torch import Tensor, nn

from throughtime.data.examples import Examples
from throughtime.data.parallel import plain, read_pairs, read_sources
from throughtime.data.vocabulary import Vocabulary, build_vocabulary
from throughtime.errors import DataError, InvalidValue
from throughtime.models.encoder_decoder import EncoderDecoder
from throughtime.models.encoder_decoder_config import EncoderDecoderConfig
from throughtime.models.front_ends import TokenFrontEnd
from throughtime.models.word_table import WordTable
from throughtime.tasks.task import Evaluation, RawExample, Task
from throughtime.tasks.text_scores import text_scores
from throughtime.tasks.translate_answers import alike, answers, end_index
from throughtime.tasks.translate_options import TranslateOptions

if TYPE_CHECKING:
    from throughtime.report import Section

END = "\n"


class Translate(Task):
    """One text from another: translation, summaries, transliteration.

    Args:
        options: what the user chose.
        vocabularies: of sources and of targets.
        ratio: tokens of targets for each of the sources, in training.
        cut: how many sources and targets of training are longer than is read of them.
        counts: how often each token occurs in the targets of training.
    """

    name: ClassVar[str] = "translate"
    options_type: ClassVar[type] = TranslateOptions
    config_type: ClassVar[type] = EncoderDecoderConfig
    usual: ClassVar[Mapping[str, Any]] = {
        "hidden_size": 256,
        "bidirectional": True,
        "dropout": 0.3,
        "batch_size": 64,
        "schedule": "plateau",
        "optimizer.fused": True,  # half of the time otherwise
    }
    answering: ClassVar[tuple[str, ...]] = (
        "beam_size",
        "length_penalty",
        "tokenise",
        "copy_unknown",
        "show_attention",
    )

    options: TranslateOptions

    def __init__(
        self,
        options: TranslateOptions,
        vocabularies: tuple[Vocabulary, Vocabulary],
        ratio: float,
        cut: tuple[int, int],
        counts: Sequence[int],
    ) -> None:
        self.options, self.ratio, self.cut = options, ratio, cut
        self.counts = list(counts)
        self.source, self.target = vocabularies

    # ---- data

    @classmethod
    def read(cls, files: Sequence[Path], options: TranslateOptions) -> list[RawExample]:
        """One example for each pair, grouped by source."""
        pairs = read_pairs(
            files,
            source=options.source,
            target=options.target,
            encoding=options.encoding,
            delimiter=options.delimiter,
            missing=options.missing,
        )
        fold = str.lower if options.lowercase else str
        return [
            RawExample(fold(a), fold(b), where, group=fold(a))
            for a, b, where, _ in pairs
        ]

    @classmethod
    def fit(cls, raw: Sequence[RawExample], options: TranslateOptions) -> Self:
        """Learn the vocabularies."""
        first = raw[0].target if raw else None
        if all(example.target == first for example in raw):
            raise DataError(
                f"{raw[0].where}: all {len(raw)} targets are the same ({first!r}), so "
                "there is nothing to learn; check which column holds the targets"
            )
        sources = [example.input for example in raw]
        targets = [example.target for example in raw]
        size = options.vocabulary_size
        if options.joint_vocabulary:
            both = _vocabulary([*sources, *targets], options.unit, size, options)
            vocabularies = both, both
        else:
            vocabularies = (
                _vocabulary(sources, options.unit, size, options),
                _vocabulary(
                    targets,
                    options.unit_of_targets,
                    options.target_vocabulary_size or size,
                    options,
                ),
            )
        encoded = [
            _all_tokens(vocabulary, texts)
            for vocabulary, texts in zip(vocabularies, (sources, targets), strict=True)
        ]
        lengths = [[len(tokens) for tokens in part] for part in encoded]
        limits = (options.max_source, options.max_target)
        cut = [
            sum(n - 1 > limit for n in part) if limit else 0
            for part, limit in zip(lengths, limits, strict=True)
        ]
        counts = torch.cat(encoded[1]).bincount(minlength=len(vocabularies[1]))
        ratio = sum(lengths[1]) / sum(lengths[0])
        return cls(options, vocabularies, ratio, (cut[0], cut[1]), counts.tolist())

    def to_dict(self) -> dict[str, Any]:
        return {
            "options": asdict(self.options),
            "source": json.loads(self.source.to_json()),
            "target": None
            if self.options.joint_vocabulary
            else json.loads(self.target.to_json()),
            "ratio": self.ratio,
            "cut": list(self.cut),
            "counts": self.counts,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        source = Vocabulary.from_json(json.dumps(values["source"]))
        own = values["target"]
        target = source if own is None else Vocabulary.from_json(json.dumps(own))
        cut = values["cut"]
        return cls(
            TranslateOptions(**values["options"]),
            (source, target),
            values["ratio"],
            (cut[0], cut[1]),
            values["counts"],
        )

    def encode(self, raw: Sequence[RawExample], *, labelled: bool = True) -> Examples:
        """Sources and targets as tokens, an end token behind each."""
        options = self.options
        sources = [example.input for example in raw]
        parts = {"inputs": _all_tokens(self.source, sources, options.max_source)}
        if labelled:
            targets = [example.target for example in raw]
            parts["targets"] = _all_tokens(self.target, targets, options.max_target)
        return Examples(parts)

    def build(self, config: EncoderDecoderConfig) -> EncoderDecoder:
        if config.shared and not self.options.joint_vocabulary:
            raise InvalidValue(
                "shared is one embedding for sources and targets, which need one "
                "vocabulary for it: joint_vocabulary"
            )
        return EncoderDecoder(
            TokenFrontEnd(len(self.source), config.embedded),
            len(self.target),
            end_index(self.target),
            config,
            torch.tensor(self.counts),
        )

    def describe(self) -> str:
        names = {"char": "characters", "word": "words", "bpe": "subwords"}
        parts = [
            f"{len(vocabulary):,} {names[vocabulary.unit]} of {side}"
            for vocabulary, side in ((self.source, "sources"), (self.target, "targets"))
        ]
        if self.options.joint_vocabulary:
            parts = [f"{len(self.source):,} {names[self.source.unit]} of both sides"]
        limits = (self.options.max_source, self.options.max_target)
        for side, limit, count in zip(
            ("sources", "targets"), limits, self.cut, strict=True
        ):
            if count:
                parts.append(f"{count:,} {side} cut to {limit:,} tokens")
        return ", ".join(parts)

    # ---- figures

    def evaluate(
        self, model: nn.Module, raw: Sequence[RawExample], examples: Examples
    ) -> Evaluation:
        """BLEU, chrF, exact answers and the perplexity of a token.

        A source that comes with several targets is answered once, and all of them are
        right. Details hold ``sources``, ``references`` and ``answers``.
        """
        del examples  # its targets may be cut
        sources, references = _by_source(raw)
        said = [
            found["text"]
            for found in self.predict(model, [RawExample(s, None, "") for s in sources])
        ]
        figures = self._scores(said, references)
        figures["perplexity"] = self._perplexity(model, raw)
        return Evaluation(
            figures,
            {"sources": sources, "references": references, "answers": said},
        )

    def _scores(
        self, answers: Sequence[str], references: Sequence[Sequence[str]]
    ) -> dict[str, float]:
        options = self.options
        return text_scores(
            answers,
            references,
            tokenise=options.tokeniser,
            lowercase=options.lowercase,
        )

    def _perplexity(self, model: nn.Module, raw: Sequence[RawExample]) -> float:
        """exp of the mean -log P of a token of the whole targets."""
        sources = self.encode(raw, labelled=False).sequences
        targets = _all_tokens(self.target, [example.target for example in raw])
        whole = Examples({**sources, "targets": targets})
        total, count = 0.0, 0
        with torch.no_grad():
            for indices in alike(whole):
                loss, number = cast(EncoderDecoder, model).batch_loss(
                    whole.batch(indices)
                )
                total, count = total + float(loss), count + number
        return math.exp(min(total / max(count, 1), 700.0))

    def baselines(
        self, train: Sequence[RawExample], raw: Sequence[RawExample]
    ) -> dict[str, Evaluation]:
        """Copied sources, the most frequent target, and words one by one."""
        sources, references = _by_source(raw)
        common = Counter(example.target for example in train).most_common(1)[0][0]
        found = {
            "copy of the source": list(sources),
            "most frequent target": [common] * len(sources),
        }
        if self.source.unit == self.target.unit == "word":
            table = WordTable([(e.input.split(), e.target.split()) for e in train])
            found["word for word (IBM model 1)"] = [
                " ".join(table.translate(source.split())) for source in sources
            ]
        return {
            name: Evaluation(self._scores(texts, references))
            for name, texts in found.items()
        }

    # ---- answers

    def read_inputs(self, source: Path | str) -> list[RawExample]:
        """A source in each line, or those of a table; or the string itself."""
        options = self.options
        if isinstance(source, Path):
            found = read_sources(
                source,
                source=options.source,
                encoding=options.encoding,
                delimiter=options.delimiter,
            )
        else:
            found = [(plain(source), "the text")]
        fold = str.lower if options.lowercase else str
        return [RawExample(fold(text), None, where) for text, where in found]

    def predict(
        self, model: nn.Module, raw: Sequence[RawExample]
    ) -> list[dict[str, Any]]:
        """For each source ``text``, and ``score``, log P over its length's penalty.

        With the option ``show_attention`` also ``source_tokens``, ``tokens`` and
        ``attention``, one row of weights for each token. An empty source has an empty
        answer.
        """
        return answers(self, cast(EncoderDecoder, model), raw)

    def sections(
        self, model: nn.Module, raw: Sequence[RawExample], evaluation: Evaluation
    ) -> "list[Section]":
        """Some answers beside what people wrote, and what attention looked at."""
        from throughtime.tasks.translate_sections import translate_sections

        return translate_sections(self, model, raw, evaluation)


def _vocabulary(
    texts: Sequence[str], unit: str, size: int | None, options: TranslateOptions
) -> Vocabulary:
    least = options.min_frequency or (2 if unit == "word" else 1)
    lines = (text + END for text in texts)
    vocabulary = build_vocabulary(lines, unit, size=size, min_frequency=least)
    end_index(vocabulary)
    return vocabulary


def _all_tokens(
    vocabulary: Vocabulary, texts: Sequence[str], limit: int | None = None
) -> list[Tensor]:
    """Tokens of each text and the end token; a text that is cut has no end."""
    # At once, as a call for each text takes many times as long.
    tokens = vocabulary.encode("".join(text + END for text in texts))
    ends = (tokens == end_index(vocabulary)).nonzero()[:, 0] + 1
    if len(ends) == len(texts):
        parts = tokens.split(ends.diff(prepend=ends.new_zeros(1)).tolist())
    else:  # a text has the word for the end in it
        parts = [vocabulary.encode(text + END) for text in texts]
    return [
        part if limit is None or len(part) - 1 <= limit else part[:limit]
        for part in parts
    ]


def _by_source(raw: Sequence[RawExample]) -> tuple[list[str], list[list[str]]]:
    """Each different source, and all targets that it has."""
    found: dict[str, list[str]] = {}
    for example in raw:
        found.setdefault(example.input, []).append(example.target)
    return list(found), list(found.values())
