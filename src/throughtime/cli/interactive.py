"""``throughtime generate RUN --interactive``: one prompt after the other."""

import sys
from dataclasses import replace
from typing import Any

import typer

from throughtime.cli.generate import GenerateOptions, generate_and_print
from throughtime.cli.lm_run import LanguageModelRun
from throughtime.errors import ThroughtimeError


def converse(run: LanguageModelRun, options: GenerateOptions) -> list[dict[str, Any]]:
    """Ask for prompts until there is none, and continue each; return all texts.

    A prompt that the model cannot read is answered with the reason. An empty line is a
    prompt as well: the last one that could be read again, with other draws.
    """
    if sys.stdin.isatty():
        typer.echo(
            "Write the beginning of a text; an empty line goes on with another draw, "
            "Ctrl-D ends."
        )
    texts: list[dict[str, Any]] = []
    prompt, draws = "\n", 0
    while True:
        try:
            line = input("> " if sys.stdin.isatty() else "")
        except EOFError:
            return texts
        wanted = line or prompt
        try:
            chosen = replace(options, seed=options.seed + draws)
            text = generate_and_print(run, wanted, chosen)
        except ThroughtimeError as error:
            typer.echo(f"Error: {error}", err=True)
            continue
        prompt = wanted
        texts.append({"prompt": prompt, "text": text})
        draws += 1
