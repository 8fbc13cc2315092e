"""Texts in answer to texts."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from throughtime.data.examples import Examples
from throughtime.data.parallel import plain
from throughtime.data.vocabulary import Vocabulary
from throughtime.errors import DataError
from throughtime.models.beam import Hypothesis
from throughtime.models.encoder_decoder import EncoderDecoder
from throughtime.tasks.task import RawExample

if TYPE_CHECKING:
    from throughtime.tasks.translate import Translate

# Texts that are answered side by side.
AT_ONCE = 100
# Tokens that an answer may have beyond twice as many as are usual.
SPARE = 10


def answers(
    task: "Translate", model: EncoderDecoder, raw: Sequence[RawExample]
) -> list[dict[str, Any]]:
    """See ``Translate.predict``."""
    found: list[dict[str, Any]] = [{"text": "", "score": 0.0} for _ in raw]
    asked = [i for i, example in enumerate(raw) if example.input]
    if not asked:
        return found
    examples = task.encode([raw[i] for i in asked], labelled=False)
    with torch.no_grad():
        for indices in alike(examples):
            batch = examples.batch(indices)
            best = _search(task, model, batch)
            weights = _weights(task, model, batch, best)
            for b, i in enumerate(indices):
                size = int(batch["inputs_lengths"][b])
                seen = None
                if weights is not None:
                    seen = weights[: len(best[b].tokens), b, :size]
                read = examples.sequences["inputs"][i].tolist()
                found[asked[i]] = _written(
                    task, best[b], raw[asked[i]].input, read, seen
                )
    return found


def alike(examples: Examples) -> list[list[int]]:
    """The examples in batches of about one length."""
    order = examples.lengths.argsort(stable=True).tolist()
    return [order[i : i + AT_ONCE] for i in range(0, len(order), AT_ONCE)]


def end_index(vocabulary: Vocabulary) -> int:
    """The token that ends a text.

    Raises:
        DataError: the vocabulary has none.
    """
    if vocabulary.boundary_index is None:
        raise DataError(
            "the end of a line is none of the entries of the vocabulary; choose a "
            "larger vocabulary_size, or a smaller min_frequency"
        )
    return vocabulary.boundary_index


def _copies(task: "Translate", model: EncoderDecoder) -> bool:
    return task.options.copy_unknown and model.attention is not None


def _search(
    task: "Translate", model: EncoderDecoder, batch: dict[str, Tensor]
) -> list[Hypothesis]:
    options, unknown = task.options, task.target.unknown_index
    usual = (2 * task.ratio * batch["inputs_lengths"]).ceil().long()
    found = model.search(
        batch,
        longest=usual + SPARE,
        beam_size=options.beam_size,
        length_penalty=options.length_penalty,
        banned=[] if unknown is None or _copies(task, model) else [unknown],
    )
    return [hypotheses[0] for hypotheses in found]


def _weights(
    task: "Translate",
    model: EncoderDecoder,
    batch: dict[str, Tensor],
    best: Sequence[Hypothesis],
) -> Tensor | None:
    """The weights of attention of these answers, where they are asked for."""
    if not (_copies(task, model) or task.options.show_attention):
        return None
    said = Examples({"targets": [hypothesis.tokens for hypothesis in best]})
    return model.align({**batch, **said.batch(range(len(best)))})


def _written(
    task: "Translate",
    best: Hypothesis,
    source: str,
    tokens_read: list[int],
    weights: Tensor | None,
) -> dict[str, Any]:
    """An answer in words."""
    tokens, end = best.tokens.tolist(), end_index(task.target)
    said = tokens[:-1] if tokens and tokens[-1] == end else tokens
    read = [task.source.token(i) for i in tokens_read]
    words = source.split()[: len(read)] if task.source.unit == "word" else []
    read[: len(words)] = words
    text = task.target.decode(said)
    unknown = task.target.unknown_index
    if task.options.copy_unknown and weights is not None and words and unknown in said:
        # The end of the source has a place, too, but is no word.
        places = weights[:, : len(words)].argmax(-1).tolist()
        text = " ".join(
            read[place] if i == unknown else task.target.token(i)
            for i, place in zip(said, places, strict=False)
        )
    written: dict[str, Any] = {"text": plain(text), "score": best.score}
    if weights is not None and task.options.show_attention:
        written["source_tokens"] = read
        written["tokens"] = [task.target.token(i) for i in tokens]
        written["attention"] = weights.tolist()
    return written
