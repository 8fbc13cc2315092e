"""Files that a command writes for its user."""

from pathlib import Path

from throughtime.errors import RunError


def check_output(file: Path | None, *, overwrite: bool) -> None:
    """Raise if a file cannot be written, before any work is done.

    Raises:
        RunError: it exists and is not to be replaced, it is a folder, or the folder it
            is to be in is missing.
    """
    if file is None:
        return
    if file.is_dir():
        raise RunError(f"{file} is a folder; give the name of a file with --out")
    if file.exists() and not overwrite:
        raise RunError(f"{file} exists; replace it with --overwrite")
    if not file.parent.is_dir():
        raise RunError(
            f"cannot write {file}: there is no folder {file.parent}; make it"
        )
