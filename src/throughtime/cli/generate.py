"""``throughtime generate RUN``: text from a trained language model."""

from dataclasses import dataclass

import torch

from throughtime.cli.lm_run import LanguageModelRun
from throughtime.data import Vocabulary
from throughtime.errors import InvalidValue, unknown_name
from throughtime.models import LanguageModel
from throughtime.models.beam import beam_search
from throughtime.models.sampling import generate

METHODS = ("sample", "greedy", "beam")


@dataclass(frozen=True)
class GenerateOptions:
    """How to generate, see ``throughtime.models.sampling``."""

    length: int = 300
    method: str = "sample"
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    beam_size: int = 5
    seed: int = 0


def generate_text(
    model: LanguageModel, vocabulary: Vocabulary, prompt: str, options: GenerateOptions
) -> str:
    """The continuation of ``prompt``.

    Raises:
        InvalidValue: unknown method, a bad option, or a prompt with pieces that the
            vocabulary does not know.
    """
    if options.method not in METHODS:
        raise unknown_name("method", options.method, METHODS)
    missing = vocabulary.missing(prompt)
    if missing:
        shown = ", ".join(repr(piece) for piece in missing[:5])
        raise InvalidValue(
            f"--prompt has {len(missing)} piece(s) that the model has never seen: "
            f"{shown}; use only text of the kind it was trained on"
        )
    tokens = vocabulary.encode(prompt)
    if vocabulary.unit == "word" and len(tokens) > 0 and not prompt.endswith("\n"):
        # Encoding ends every line; a prompt is meant to go on.
        tokens = tokens[:-1] if tokens[-1] == vocabulary.boundary_index else tokens
    if len(tokens) == 0:
        tokens = torch.tensor([vocabulary.boundary_index or 0])
    banned = () if vocabulary.unknown_index is None else (vocabulary.unknown_index,)
    with torch.no_grad():
        if options.method == "beam":
            best = beam_search(
                model, tokens, options.length, beam_size=options.beam_size
            )[0]
            produced = best.tokens
        else:
            produced = generate(
                model,
                tokens,
                options.length,
                method=options.method,
                temperature=options.temperature,
                top_k=options.top_k,
                top_p=options.top_p,
                generator=torch.Generator().manual_seed(options.seed),
                banned=banned,
            )
    return vocabulary.decode(produced)


def generate_from_run(
    run: LanguageModelRun, prompt: str, options: GenerateOptions
) -> str:
    """The continuation of ``prompt`` by the model of a run."""
    return generate_text(run.model, run.vocabulary, prompt, options)
