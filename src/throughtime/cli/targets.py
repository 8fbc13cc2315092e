"""Files that a command is about to write."""

from pathlib import Path

from throughtime.errors import RunError


def check_file(path: Path, *, overwrite: bool, option: str) -> None:
    """Raise if a file cannot be written, before any work is done.

    Raises:
        RunError: something is there and ``overwrite`` is not set, or it is a folder, or
            its folder does not exist.
    """
    if path.is_dir():
        raise RunError(f"{path} is a folder; give {option} the path of a file")
    if path.exists() and not overwrite:
        raise RunError(
            f"{path} exists; replace it with --overwrite, or choose another {option}"
        )
    if not path.absolute().parent.is_dir():
        raise RunError(
            f"{path.absolute().parent} does not exist; make it, or choose another "
            f"{option}"
        )
