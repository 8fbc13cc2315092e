"""Tunes with an accompaniment: a network learns the rules that they are made by.

Each piece walks along a major scale, above broken chords, I-IV-V-I or I-vi-IV-V, in one
of five keys, and ends on a long chord of the tonic. An LSTM guesses each frame from
all before it; beside it stand the frequency of each key of the piano, and the same
network without a hidden state, which sees the last frame only. Then it goes on with the
first bar of a new piece, and the tune is written as MIDI:
``python examples/music.py tune.mid``. About 15 seconds on two cores.
"""

import sys
import tempfile
from pathlib import Path

import torch
from torch.nn import functional as F

import throughtime as tt
from throughtime.data.midi import Roll, write_midi
from throughtime.data.music import from_frames, pitch_names, to_frames
from throughtime.models import NetworkConfig, PianoRollModel

SCALE = (0, 2, 4, 5, 7, 9, 11)
PROGRESSIONS = ((0, 3, 4, 0), (0, 5, 3, 4))
BARS = 8


def pitch(tonic: int, degree: int) -> int:
    """MIDI pitch of a degree of the scale: 0 the tonic, 7 the one an octave above."""
    return tonic + 12 * (degree // 7) + SCALE[degree % 7]


def piece() -> Roll:
    """Eight eighths a bar, each a note of the chord below and one of the melody."""
    tonic = 60 + int(torch.randint(-2, 3, ()))
    chords = PROGRESSIONS[int(torch.randint(len(PROGRESSIONS), ()))]
    place, way, roll = 4, 1, []
    for bar in range(BARS - 1):
        chord = chords[bar % len(chords)]
        for eighth in range(8):
            if eighth % 2 == 0:  # the melody goes on the way it went, mostly
                if torch.rand(()) < 0.15:
                    way = -way
                way = 1 if place < 1 else -1 if place > 7 else way
                place += way
            while eighth % 4 == 0 and (place - chord) % 7 not in (0, 2, 4):
                place += way  # on strong beats it is a note of the chord
            below = chord + (0, 2, 4, 2)[eighth % 4] - 14
            roll.append((pitch(tonic, below), pitch(tonic, place)))
    final = tuple(pitch(tonic, degree) for degree in (-14, -10, 0))
    return [*roll, *[final] * 8]


def pieces(count: int) -> tt.data.Examples:
    """Frames that are read, and those that come next, by 88 keys."""
    frames = [to_frames(piece()) for _ in range(count)]
    return tt.data.Examples(
        {"inputs": [x[:-1] for x in frames], "targets": [x[1:] for x in frames]}
    )


def main(path: str | Path | None = None, count: int = 300, epochs: int = 20) -> None:
    torch.manual_seed(0)
    train, test = pieces(count), pieces(60)
    batch = test.batch(range(len(test)))
    often = torch.cat(list(train.sequences["targets"])).mean(0).clamp(1e-4)
    targets = batch["targets"]
    nats = F.binary_cross_entropy(often.expand_as(targets), targets, reduction="none")
    print("-log P of a frame of new pieces, in nats")
    print(f"each key by itself: {nats.sum(-1).mean():.2f}")
    for name, config in (
        ("no hidden state", NetworkConfig("none", hidden_size=128)),
        ("LSTM", NetworkConfig("lstm", hidden_size=128)),
    ):
        model = PianoRollModel(config)
        training = tt.training.TrainingConfig(
            epochs=epochs, batch_size=10, learning_rate=0.01
        )
        for _ in tt.training.train(model, train, training):
            pass
        model.eval()
        with torch.no_grad():
            total, frames = model.batch_loss(batch)
        print(f"{name}: {total / frames:.2f}")

    beginning = to_frames(piece()[:8])
    rest = model.generate(beginning, 8 * (BARS - 1), temperature=0.5, most_notes=3)
    tune = from_frames(torch.cat([beginning, rest]))
    for bar in range(0, len(tune), 8):
        print("  |  ".join(pitch_names(chord) for chord in tune[bar : bar + 8 : 2]))
    if path is None:
        path = Path(tempfile.mkdtemp()) / "tune.mid"
    write_midi(path, tune, step="8th")
    print(f"the tune is in {path}")


if __name__ == "__main__":
    main(*sys.argv[1:2])
