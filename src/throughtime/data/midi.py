"""MIDI files as piano rolls with steps of one length, and back."""

import math
from pathlib import Path
from typing import Any

from throughtime.checks import number
from throughtime.errors import DataError, InvalidValue, unknown_name

Roll = list[tuple[int, ...] | None]

# The keys of a piano.
LOWEST, HIGHEST = 21, 108
# Quarter notes per step.
STEPS = {"quarter": 1.0, "8th": 0.5, "16th": 0.25}
PERCUSSION = 9
VELOCITY = 80
TICKS = 480
# More than a day of sixteenth notes: no piece, but a damaged file.
MOST_STEPS = 1_000_000


def read_midi(path: str | Path, *, step: str = "quarter") -> Roll:
    """Which pitches sound at each step, all tracks together.

    Beginning and end of a note go to the nearest border between steps; a note that
    would vanish sounds in the one step it lies in. The channel of percussion is left
    out.

    Args:
        path: a ``.mid`` file.
        step: ``quarter``, ``8th`` or ``16th``.

    Raises:
        DataError: the file is missing, no MIDI file, without notes, or has notes
            outside a piano's range.
        InvalidValue: unknown step.
    """
    import mido

    beats = step_beats(step)
    try:
        file = mido.MidiFile(path)
        messages: Any = mido.merge_tracks(file.tracks)
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist; check the path") from error
    except PermissionError as error:
        raise DataError(
            f"cannot read {path} ({error.strerror}); check its permissions"
        ) from error
    except Exception as error:  # mido has no error of its own for a damaged file
        raise DataError(
            f"{path} is no complete MIDI file ({str(error) or type(error).__name__}); "
            "export it again, or leave it out"
        ) from error
    if file.type == 2 or not 0 < file.ticks_per_beat < 0x8000:
        raise DataError(
            f"{path} has no common beat (MIDI type 2, or time in video frames); export "
            "it again as type 0 or 1"
        )
    notes, end = _notes(messages, file.ticks_per_beat * beats)
    outside = [note[2] for note in notes if not LOWEST <= note[2] <= HIGHEST]
    if outside:
        raise DataError(
            f"{path} has a note of pitch {outside[0]}, expected {LOWEST} to {HIGHEST}, "
            "the keys of a piano; transpose the piece, or leave it out"
        )
    if not notes:
        raise DataError(f"{path} has no notes; leave it out")
    if end > MOST_STEPS:
        raise DataError(
            f"{path} lasts {end:,} steps, more than {MOST_STEPS:,}; it is damaged, or "
            "needs longer steps"
        )
    sounding: list[set[int]] = [set() for _ in range(end)]
    for first, last, pitch in notes:
        for index in range(first, last):
            sounding[index].add(pitch)
    return [tuple(sorted(pitches)) for pitches in sounding]


def write_midi(
    path: str | Path, roll: Roll, *, step: str = "quarter", tempo: float = 100.0
) -> None:
    """Write a roll as a MIDI file of one track.

    A pitch that sounds in consecutive steps is one held note. Steps that are unknown
    are silent.

    Args:
        path: where to; an existing file is replaced.
        roll: pitches from 0 to 127 of each step.
        step: ``quarter``, ``8th`` or ``16th``.
        tempo: quarter notes per minute, from 4 to 1000.

    Raises:
        DataError: the file cannot be written.
        InvalidType: ``tempo`` is no number.
        InvalidValue: unknown step, ``tempo`` out of range, or a pitch is no MIDI pitch.
    """
    import mido

    ticks = round(TICKS * step_beats(step))
    tempo = number("tempo", tempo, minimum=4, maximum=1000)
    track = mido.MidiTrack()
    track.append(mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(tempo), time=0))
    before: set[int] = set()
    waiting = 0
    for index, pitches in enumerate([*roll, ()]):
        now = set(pitches or ())
        for pitch in sorted(now):
            if not 0 <= pitch <= 127:
                raise InvalidValue(
                    f"step {index} has pitch {pitch}, expected 0 to 127, as in MIDI"
                )
        changes = [("note_off", pitch, 0) for pitch in sorted(before - now)]
        changes += [("note_on", pitch, VELOCITY) for pitch in sorted(now - before)]
        for kind, pitch, velocity in changes:
            message = mido.Message(kind, note=pitch, velocity=velocity, time=waiting)
            track.append(message)
            waiting = 0
        before, waiting = now, waiting + ticks
    track.append(mido.MetaMessage("end_of_track", time=waiting - ticks))
    file = mido.MidiFile(ticks_per_beat=TICKS)
    file.tracks.append(track)
    try:
        file.save(path)
    except OSError as error:
        raise DataError(
            f"cannot write {path} ({error.strerror}); check the path"
        ) from error


def step_beats(step: str) -> float:
    """Quarter notes per step.

    Raises:
        InvalidValue: unknown step.
    """
    if step not in STEPS:
        raise unknown_name("step", step, STEPS)
    return STEPS[step]


def _notes(messages: Any, ticks: float) -> tuple[list[tuple[int, int, int]], int]:
    """First step, step after the last, and pitch of each note; and steps in all."""
    notes: list[tuple[int, int, int]] = []
    begun: dict[tuple[int, int], int] = {}
    time = 0
    for message in messages:
        time += message.time
        if message.type not in ("note_on", "note_off") or message.channel == PERCUSSION:
            continue
        key = message.channel, message.note
        # A note struck again ends the one before; velocity 0 is a way to end a note.
        if key in begun:
            notes.append(_steps(begun.pop(key), time, ticks, message.note))
        if message.type == "note_on" and message.velocity > 0:
            begun[key] = time
    notes += [_steps(start, time, ticks, p) for (_, p), start in begun.items()]
    return notes, max([_nearest(time / ticks), *(last for _, last, _ in notes)])


def _steps(start: int, end: int, ticks: float, pitch: int) -> tuple[int, int, int]:
    first, last = _nearest(start / ticks), _nearest(end / ticks)
    if first == last:
        first = int((start + end) / 2 / ticks)
        last = first + 1
    return first, last, pitch


def _nearest(border: float) -> int:
    """Halves go up, always; ``round`` would send every other one down."""
    return math.floor(border + 0.5)
