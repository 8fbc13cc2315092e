"""Piano rolls as files have them."""

import gzip
import json

import pytest
import torch

from throughtime.data.midi import write_midi
from throughtime.data.music import (
    from_frames,
    known_frames,
    parse_pieces,
    pitch_names,
    read_pieces,
    to_frames,
)
from throughtime.errors import DataError


def test_parts_of_a_packed_file(tmp_path):
    path = tmp_path / "chorales.json.gz"
    text = json.dumps({"test": [[[60]], []], "train": [[[64, 60, -1, 64], []]]})
    path.write_bytes(gzip.compress(text.encode()))
    pieces = read_pieces(path)
    assert [(p.roll, p.part) for p in pieces] == [
        ([(60, 64), ()], "train"),
        ([(60,)], "test"),
        ([], "test"),
    ]
    assert pieces[2].where == f"{path}: test piece 2"


@pytest.mark.parametrize(
    ("text", "rolls"),
    [
        ("[[[60], [62, 60]], [[]]]", [[(60,), (60, 62)], [()]]),
        ("[[60], null, []]", [[(60,), None, ()]]),
        ("[[], null, [60]]", [[(), None, (60,)]]),
        ("[[null, [21, 108]]]", [[None, (21, 108)]]),
    ],
)
def test_lists_of_pieces_and_single_pieces(text, rolls):
    assert [piece.roll for piece in parse_pieces(text, "x")] == rolls


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{\n[", "x:2: expected JSON.*column 1.*MIDI files end in .mid"),
        ("[" * 100_000, "x: expected a list of pieces.*nested"),
        ("3", "x: expected a list of pieces, got int"),
        ('{"train": 3}', "x: train: expected a list of pieces, got int"),
        ('{"tarin": []}', "x: unknown part 'tarin': known are train, valid, test"),
        ("[]", "x holds no piece"),
        ("{}", "x holds no piece"),
        ("[[[60]], 3]", "x: piece 2: expected a list of steps, got int"),
        ("[[[60], 3]]", "piece 1, step 2: expected a list of pitches.*got int"),
        ('{"valid": [[[60], [20]]]}', "x: valid piece 1, step 2: .*21 to 108.*got 20"),
        ("[[[60.0]]]", "step 1: expected MIDI pitches.*got 60.0"),
        ("[[[NaN]]]", "step 1: expected MIDI pitches.*got nan"),
        ("[[[true]]]", "step 1: expected MIDI pitches.*got True"),
        ('[[["C4"]]]', "step 1: expected MIDI pitches.*got 'C4'"),
    ],
)
def test_text_that_cannot_be_used(text, says):
    with pytest.raises(DataError, match=says):
        parse_pieces(text, "x")


def test_a_folder_of_midi_files(tmp_path):
    (tmp_path / "b").mkdir()
    write_midi(tmp_path / "b" / "2.MID", [(62,)])
    write_midi(tmp_path / "1.midi", [(60,)])
    (tmp_path / "notes.txt").write_text("no music")
    pieces = read_pieces(tmp_path)
    assert [(p.roll, p.where, p.part) for p in pieces] == [
        ([(60,)], str(tmp_path / "1.midi"), None),
        ([(62,)], str(tmp_path / "b" / "2.MID"), None),
    ]
    (tmp_path / "b" / "3.mid").write_bytes(b"MThd")
    with pytest.raises(DataError, match=r"3\.mid is no complete MIDI file"):
        read_pieces(tmp_path)


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(DataError, match="folder without a MIDI file"):
        read_pieces(tmp_path)
    with pytest.raises(DataError, match="does not exist"):
        read_pieces(tmp_path / "a.json")
    (tmp_path / "a.json").write_text("")
    with pytest.raises(DataError, match="a.json is empty"):
        read_pieces(tmp_path / "a.json")


def test_frames_and_back():
    roll = [(21, 64, 108), (), None]
    frames = to_frames(roll)
    assert frames.shape == (3, 88)
    assert frames.nonzero().tolist() == [[0, 0], [0, 43], [0, 87]]
    assert known_frames(roll).tolist() == [True, True, False]
    assert from_frames(frames) == [(21, 64, 108), (), ()]
    assert to_frames([]).shape == (0, 88)
    assert known_frames([]).dtype == torch.bool


def test_names():
    """The ends of a piano are A0 and C8; concert pitch, 69, is A4."""
    assert pitch_names([21, 69, 108]) == "A0 A4 C8"


def test_the_chorales(data_folder):
    """The truth: the counts of pieces and steps that are known of them."""
    path = data_folder / "jsb-chorales" / "jsb-chorales-quarter.json.gz"
    pieces = read_pieces(path)
    for part, want in (("train", 229), ("valid", 76), ("test", 77)):
        assert sum(piece.part == part for piece in pieces) == want
    steps = sum(len(piece.roll) for piece in pieces if piece.part == "test")
    assert steps == 4725
    # Voices with rests.
    voices = read_pieces(path.with_name("Jsb16thSeparated.json.gz"))
    assert len(voices) == len(pieces)
