"""``throughtime export RUN``: a trained model in a format that others read."""

from pathlib import Path
from typing import Any

from rich.console import Console

from throughtime.cli.lm_run import open_run
from throughtime.cli.targets import check_file
from throughtime.errors import InvalidValue
from throughtime.models.ngram.arpa import write_arpa


def export_run(run: Path, *, arpa: Path | None, overwrite: bool) -> dict[str, Any]:
    """Write the n-gram model of a run as an ARPA file.

    Raises:
        InvalidValue: no format is named, or the model has no such form.
        RunError: the file exists, or cannot be written.
    """
    if arpa is None:
        raise InvalidValue("export needs a format; give --arpa FILE")
    check_file(arpa, overwrite=overwrite, option="--arpa")
    opened = open_run(run)
    model = opened.ngram("export --arpa")
    console = Console()
    with console.status(f"writing {arpa}"):
        write_arpa(
            arpa, model.levels, opened.vocabulary.tokens, boundary=model.boundary
        )
    size = arpa.stat().st_size
    console.print(f"{arpa}: {size / 1e6:,.1f} MB", highlight=False)
    return {"arpa": str(arpa), "bytes": size}
