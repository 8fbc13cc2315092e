"""MIDI files become rolls, and rolls MIDI files."""

import mido
import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughtime.data.midi import read_midi, write_midi
from throughtime.errors import DataError, InvalidType, InvalidValue

PITCHES = st.sets(st.integers(21, 108), max_size=5).map(sorted).map(tuple)


@given(
    st.lists(PITCHES, min_size=1, max_size=12).filter(any),
    st.sampled_from(["quarter", "8th", "16th"]),
    st.floats(30, 240),
)
def test_what_is_written_is_read_again(tmp_path_factory, roll, step, tempo):
    """The truth: the roll itself, with silence at both ends and held notes."""
    path = tmp_path_factory.mktemp("midi") / "a.mid"
    write_midi(path, roll, step=step, tempo=tempo)
    assert read_midi(path, step=step) == roll


def test_notes_are_held_and_time_is_musical(tmp_path):
    path = tmp_path / "a.mid"
    write_midi(path, [(60,), (60, 64), None, (60,)], step="8th", tempo=120)
    file = mido.MidiFile(path)
    # An eighth note at 120 quarters per minute is a quarter of a second.
    assert file.length == pytest.approx(4 * 0.25)
    half = file.ticks_per_beat // 2
    time, notes = 0, []
    for message in file.tracks[0]:
        time += message.time
        if message.type.startswith("note"):
            notes.append((message.type, message.note, time // half))
    assert notes == [
        ("note_on", 60, 0),
        ("note_on", 64, 1),
        ("note_off", 60, 2),
        ("note_off", 64, 2),
        ("note_on", 60, 3),
        ("note_off", 60, 4),
    ]
    # At twice the step the same file has half the steps: 64 begins in the midst of the
    # first and ends with it.
    assert read_midi(path, step="quarter") == [(60, 64), (60,)]


def write(path, *tracks, **options):
    """A file of tracks of (type, options of the message)."""
    file = mido.MidiFile(ticks_per_beat=100, **options)
    for messages in tracks:
        track = mido.MidiTrack()
        for kind, values in messages:
            track.append(mido.Message(kind, **values))
        file.tracks.append(track)
    file.save(path)
    return path


def note(pitch, velocity=64, time=0, channel=0):
    return "note_on", {
        "note": pitch,
        "velocity": velocity,
        "time": time,
        "channel": channel,
    }


def test_files_of_others(tmp_path):
    """Tracks together, velocity 0 ends, times are rounded, drums are left out."""
    path = write(
        tmp_path / "a.mid",
        [note(60), note(60, 0, time=190), note(62, time=5), note(62, 0, time=3)],
        [
            note(40, channel=9),
            note(50, time=110),
            note(50, time=100),
            note(50, 0, time=100),
        ],
        [note(70, time=290)],  # never ended, and the piece is over
    )
    # 60 from 0 to 1.9, 62 from 1.95 to 1.98, 50 from 1.1 to 2.1 and, struck again, to
    # 3.1; 70 from 2.9 to the end, which is 3.1.
    assert read_midi(path) == [(60,), (50, 60, 62), (50,), (70,)]


@pytest.mark.parametrize(
    ("start", "end", "steps"),
    [
        (0, 49, [0]),
        (50, 100, [0]),
        (50, 150, [1]),
        (150, 250, [2]),
        (149, 251, [1, 2]),
        (100, 100, [1]),
        (160, 240, [2]),
        (240, 245, [2]),
        (251, 260, [2]),
    ],
)
def test_borders(tmp_path, start, end, steps):
    """Steps of 100: a note fills those of which it has half or more, halves go up."""
    notes = [note(60, time=start), note(60, 0, time=end - start)]
    path = write(tmp_path / "a.mid", [*notes, note(100, 0, time=400 - end)])
    roll = read_midi(path)
    assert [t for t, pitches in enumerate(roll) if pitches] == steps
    assert len(roll) == 4


def test_files_that_cannot_be_used(tmp_path):
    def says(path, text):
        with pytest.raises(DataError, match=f"{path.name}.*{text}"):
            read_midi(path)

    says(tmp_path / "none.mid", "does not exist")
    (tmp_path / "text.mid").write_text("not a MIDI file at all, but text")
    says(tmp_path / "text.mid", "no complete MIDI file")
    whole = write(tmp_path / "whole.mid", [note(60), note(60, 0, time=100)])
    (tmp_path / "cut.mid").write_bytes(whole.read_bytes()[:-6])
    says(tmp_path / "cut.mid", "no complete MIDI file")
    says(write(tmp_path / "silent.mid", [note(60, channel=9)]), "has no notes")
    says(write(tmp_path / "low.mid", [note(3)]), "pitch 3, expected 21 to 108")
    says(write(tmp_path / "two.mid", [note(60)], type=2), "no c")
    frames = bytearray(whole.read_bytes())
    frames[12] = 0xE7  # time in video frames
    (tmp_path / "frames.mid").write_bytes(frames)
    says(tmp_path / "frames.mid", "no common beat")
    late = [note(60, time=200_000_000), note(60, 0, time=100)]
    says(write(tmp_path / "late.mid", late), "2,000,001 steps")
    says(tmp_path, "no complete MIDI file")


def test_arguments_that_cannot_be_used(tmp_path):
    path = tmp_path / "a.mid"
    with pytest.raises(InvalidValue, match="unknown step '4th': known are quarter"):
        write_midi(path, [(60,)], step="4th")
    with pytest.raises(InvalidValue, match="unknown step"):
        read_midi(path, step="")
    with pytest.raises(InvalidValue, match="tempo"):
        write_midi(path, [(60,)], tempo=0)
    with pytest.raises(InvalidType, match="tempo"):
        write_midi(path, [(60,)], tempo="fast")  # pyright: ignore[reportArgumentType]
    with pytest.raises(InvalidValue, match="step 1 has pitch 128"):
        write_midi(path, [(), (128,)])
    assert not path.exists()
    with pytest.raises(DataError, match="cannot write .*a.mid"):
        write_midi(tmp_path / "no" / "a.mid", [(60,)])
