"""``throughtime generate RUN``: text from a trained language model, as it is made."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from throughtime.cli.lm_run import LanguageModelRun
from throughtime.cli.spelling import spell
from throughtime.data import Vocabulary
from throughtime.errors import InvalidValue, unknown_name
from throughtime.models import LanguageModelProtocol
from throughtime.models.beam import beam_search
from throughtime.models.constraint import Constraint
from throughtime.models.sampling import Decoding, stream

METHODS = ("sample", "greedy", "beam")


@dataclass(frozen=True)
class GenerateOptions:
    """How to generate, see ``throughtime.models.sampling``."""

    length: int = 300
    method: str = "sample"
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    typical: float | None = None
    beam_size: int = 5
    length_penalty: float = 0.0
    one_line: bool = False
    seed: int = 0


class Prompt(NamedTuple):
    """What a model reads first.

    tokens: at least one.
    begun: the beginning of the next word, of a word model; may be empty.
    """

    tokens: Tensor
    begun: str = ""


def read_prompt(vocabulary: Vocabulary, text: str) -> Prompt:
    """The tokens of a prompt.

    Raises:
        InvalidValue: it has pieces that the vocabulary does not know. At its end one
            may be the beginning of words that it does know.
    """
    begun = ""
    missing = vocabulary.missing(text)
    if vocabulary.unit == "word" and missing:
        last = "" if text[-1].isspace() else text.split()[-1]
        if last in missing and words_from(vocabulary, last):
            begun, text = last, text.removesuffix(last)
            missing = vocabulary.missing(text)
    if missing:
        shown = ", ".join(repr(piece) for piece in missing[:5])
        raise InvalidValue(
            f"--prompt has {len(missing)} piece(s) that the model has never seen: "
            f"{shown}; use only text of the kind it was trained on"
        )
    tokens = vocabulary.encode(text)
    if vocabulary.unit == "word" and len(tokens) > 0 and not text.endswith("\n"):
        # Encoding ends every line; a prompt is meant to go on.
        tokens = tokens[:-1] if tokens[-1] == vocabulary.boundary_index else tokens
    if len(tokens) == 0:
        tokens = torch.tensor([vocabulary.boundary_index or 0])
    return Prompt(tokens, begun)


def words_from(vocabulary: Vocabulary, begun: str) -> list[int]:
    """The words of a vocabulary that begin like this."""
    special = (vocabulary.unknown_index, vocabulary.boundary_index)
    return [
        index
        for index, word in enumerate(vocabulary.tokens)
        if word.startswith(begun) and index not in special
    ]


def generate_pieces(
    model: LanguageModelProtocol,
    vocabulary: Vocabulary,
    prompt: str,
    options: GenerateOptions,
) -> Iterator[str]:
    """The continuation of ``prompt``, in pieces as they come.

    Of a word that ``prompt`` has begun the first piece is the rest.

    Raises:
        InvalidValue: unknown method, a bad option, or a prompt with pieces that the
            vocabulary does not know.
    """
    if options.method not in METHODS:
        raise unknown_name("method", options.method, METHODS)
    tokens, begun = read_prompt(vocabulary, prompt)
    constraint = partial(_allowed, words_from(vocabulary, begun)) if begun else None
    pieces = spell(
        vocabulary, tokens, _tokens(model, vocabulary, tokens, constraint, options)
    )
    if vocabulary.unit == "word" and (begun or prompt[-1:].isspace()):
        # The prompt shows the space already, and the beginning of the word.
        yield next(pieces, "").removeprefix(" ").removeprefix(begun)
    yield from pieces


def _allowed(words: list[int], produced: tuple[int, ...]) -> list[int] | None:
    return None if produced else words


def _tokens(
    model: LanguageModelProtocol,
    vocabulary: Vocabulary,
    prompt: Tensor,
    constraint: Constraint | None,
    options: GenerateOptions,
) -> Iterator[int]:
    unknown = vocabulary.unknown_index
    end = vocabulary.boundary_index if options.one_line else None
    if options.method == "beam":
        best = beam_search(
            model,
            prompt,
            options.length,
            beam_size=options.beam_size,
            length_penalty=options.length_penalty,
            end_index=end,
            constraint=constraint,
        )[0]
        return iter(best.tokens.tolist())
    decoding = Decoding(
        method=options.method,
        temperature=options.temperature,
        top_k=options.top_k,
        top_p=options.top_p,
        typical=options.typical,
        banned=() if unknown is None else (unknown,),
    )
    return stream(
        model,
        prompt,
        decoding,
        length=options.length,
        end_index=end,
        constraint=constraint,
        generator=torch.Generator().manual_seed(options.seed),
    )


def generate_text(
    model: LanguageModelProtocol,
    vocabulary: Vocabulary,
    prompt: str,
    options: GenerateOptions,
) -> str:
    """The continuation of ``prompt``, see ``generate_pieces``."""
    return "".join(generate_pieces(model, vocabulary, prompt, options))


def generate_and_print(
    run: LanguageModelRun, prompt: str, options: GenerateOptions
) -> str:
    """Print the prompt and its continuation while it is made; return the latter."""
    shown = prompt.lstrip("\n")
    pieces: list[str] = []
    for piece in generate_pieces(run.model, run.vocabulary, prompt, options):
        sys.stdout.write(piece if pieces else shown + piece)
        sys.stdout.flush()
        pieces.append(piece)
    sys.stdout.write("\n")
    return "".join(pieces)
