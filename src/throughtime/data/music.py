"""Piano rolls: which keys sound at each step of a piece."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from throughtime.data.files import read_text
from throughtime.data.midi import HIGHEST, LOWEST, Roll, read_midi
from throughtime.errors import DataError

KEYS = HIGHEST - LOWEST + 1
PARTS = ("train", "valid", "test")
MIDI_SUFFIXES = (".mid", ".midi")
REST = -1
_NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")


class Piece(NamedTuple):
    """One piece of music.

    roll: for each step the MIDI pitches that sound, low to high; None: unknown.
    where: file, and the place in it, for messages.
    part: of ``PARTS``, where the file says so.
    """

    roll: Roll
    where: str
    part: str | None = None


def read_pieces(path: str | Path, *, step: str = "quarter") -> list[Piece]:
    """The pieces of a JSON file, of a MIDI file, or of all MIDI files of a folder.

    JSON is a list of pieces, or an object of such lists under ``train``, ``valid`` and
    ``test``, or one piece. A piece is a list of steps, a step a list of MIDI pitches
    from 21 to 108, with -1 for the rest of a voice, or null where it is unknown. It may
    be packed (``.gz``, ``.zst``).

    Args:
        path: file or folder.
        step: length of a step of MIDI files, see ``read_midi``.

    Raises:
        DataError: a file cannot be used; it names the file and the place in it.
        InvalidValue: unknown step.
    """
    path = Path(path)
    if path.is_dir():
        return _of_folder(path, step)
    if path.suffix.lower() in MIDI_SUFFIXES:
        return [Piece(read_midi(path, step=step), str(path))]
    return parse_pieces(read_text([path]), str(path))


def parse_pieces(text: str, where: str) -> list[Piece]:
    """The pieces of a JSON text, see ``read_pieces``.

    Raises:
        DataError: it cannot be used; it names the place.

    >>> parse_pieces("[[60, 64], [], null]", "here")
    [Piece(roll=[(60, 64), (), None], where='here: piece 1', part=None)]
    """
    try:
        values = json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(
            f"{where}:{error.lineno}: expected JSON, a list of pieces ({error.msg}, "
            f"column {error.colno}); MIDI files end in {' or '.join(MIDI_SUFFIXES)}"
        ) from error
    except RecursionError as error:
        raise DataError(
            f"{where}: expected a list of pieces, got lists that are nested too deep"
        ) from error
    if isinstance(values, dict):
        unknown = [name for name in values if name not in PARTS]
        if unknown:
            raise DataError(
                f"{where}: unknown part {unknown[0]!r}: known are {', '.join(PARTS)}"
            )
        found = [
            piece
            for name in PARTS
            if name in values
            for piece in _pieces(values[name], f"{where}: {name} ", name)
        ]
    else:
        found = _pieces(values, f"{where}: ", None)
    if not found:
        raise DataError(f"{where} holds no piece; give a file with music in it")
    return found


def to_frames(roll: Roll) -> Tensor:
    """1 where a key sounds, (T, 88); steps that are unknown are silent.

    >>> to_frames([(21, 108), None]).nonzero().tolist()
    [[0, 0], [0, 87]]
    """
    frames = torch.zeros(len(roll), KEYS)
    for row, pitches in zip(frames, roll, strict=True):
        row[[pitch - LOWEST for pitch in pitches or ()]] = 1.0
    return frames


def known_frames(roll: Roll) -> Tensor:
    """True where a step is known, bool (T,)."""
    return torch.tensor([step is not None for step in roll], dtype=torch.bool)


def from_frames(frames: Tensor) -> Roll:
    """The roll of (T, 88) frames: keys above 0 sound.

    >>> from_frames(to_frames([(60, 64), ()]))
    [(60, 64), ()]
    """
    return [tuple((row.nonzero()[:, 0] + LOWEST).tolist()) for row in frames > 0]


def pitch_names(pitches: Iterable[int]) -> str:
    """Pitches as musicians write them, middle C as C4; a dot is silence.

    >>> pitch_names([60, 64, 70]), pitch_names([])
    ('C4 E4 A#4', '.')
    """
    return " ".join(f"{_NAMES[p % 12]}{p // 12 - 1}" for p in pitches) or "."


def _of_folder(folder: Path, step: str) -> list[Piece]:
    try:
        files = sorted(
            path
            for path in folder.rglob("*")
            if path.suffix.lower() in MIDI_SUFFIXES and not path.name.startswith(".")
        )
    except OSError as error:
        raise DataError(
            f"cannot read {folder} ({error.strerror}); check its permissions"
        ) from error
    if not files:
        raise DataError(
            f"{folder} is a folder without a MIDI file ({', '.join(MIDI_SUFFIXES)}); "
            "give another folder, or name a file itself"
        )
    return [Piece(read_midi(path, step=step), str(path)) for path in files]


def _pieces(values: Any, before: str, part: str | None) -> list[Piece]:
    if not isinstance(values, list):
        raise DataError(
            f"{before.rstrip(' :')}: expected a list of pieces, got "
            f"{type(values).__name__}"
        )
    if _is_one_piece(values):
        values = [values]
    return [
        Piece(_roll(value, f"{before}piece {n}"), f"{before}piece {n}", part)
        for n, value in enumerate(values, 1)
    ]


def _is_one_piece(values: Sequence[Any]) -> bool:
    """Whether pitches stand in lists of depth two rather than three."""
    inner = [v for value in values if isinstance(value, list) for v in value]
    known = [v for v in inner if v is not None]
    return bool(known) and not any(isinstance(v, list) for v in known)


def _roll(steps: Any, where: str) -> Roll:
    if not isinstance(steps, list):
        raise DataError(
            f"{where}: expected a list of steps, got {type(steps).__name__}"
        )
    return [_step(step, f"{where}, step {n}") for n, step in enumerate(steps, 1)]


def _step(pitches: Any, where: str) -> tuple[int, ...] | None:
    if pitches is None:
        return None
    if not isinstance(pitches, list):
        raise DataError(
            f"{where}: expected a list of pitches, [] for silence or null for unknown, "
            f"got {type(pitches).__name__}"
        )
    for pitch in pitches:
        whole = isinstance(pitch, int) and not isinstance(pitch, bool)
        if not whole or pitch != REST and not LOWEST <= pitch <= HIGHEST:
            raise DataError(
                f"{where}: expected MIDI pitches from {LOWEST} to {HIGHEST}, or "
                f"{REST} for a rest, got {pitch!r}"
            )
    return tuple(sorted(set(pitches) - {REST}))
