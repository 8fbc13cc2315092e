"""Sounds as inputs."""

import json
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from throughtime.data.audio import read_sound, sound_features
from throughtime.data.examples import Examples
from throughtime.errors import DataError, InvalidType, InvalidValue
from throughtime.models.network import NetworkConfig
from throughtime.tasks.inputs.audio import AudioInputs
from throughtime.tasks.inputs.audio_options import AudioOptions
from throughtime.tasks.inputs.registry import (
    build_inputs,
    inputs_from_dict,
    inputs_to_dict,
)
from throughtime.tasks.task import RawExample

soundfile = pytest.importorskip("soundfile")
pytest.importorskip("librosa")


@pytest.fixture
def sounds(tmp_path):
    draw = np.random.default_rng(0)
    found = []
    for i, count in enumerate((2000, 800, 1200), start=2):
        path = tmp_path / f"{i}.wav"
        soundfile.write(path, draw.normal(0, 0.1, count), 8000)
        found.append(RawExample(path, None, f"a.csv:{i}"))
    return found


def write(folder, samples, rate=8000):
    path = folder / "other.wav"
    soundfile.write(path, samples, rate)
    return RawExample(path, None, "b.csv:7")


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ({}, 13),
        ({"coefficients": 5, "deltas": True}, 15),
        ({"features": "log-mel"}, 40),
        ({"features": "wave"}, 80),
    ],
)
def test_features_standardised_as_the_training_part_says(sounds, options, size):
    """The truth: the features themselves; numpy over all steps."""
    inputs = AudioInputs.fit(sounds, AudioOptions(**options))
    kind = options.get("features", "mfcc")
    rest = {k: v for k, v in options.items() if k != "features"}
    want = [sound_features(*read_sound(e.input), kind, **rest) for e in sounds]
    encoded = [inputs.encode(example)["inputs"] for example in sounds]
    for found, expected in zip(encoded, want, strict=True):
        np.testing.assert_array_equal(found, expected)
    together = np.concatenate(want).astype(float)
    np.testing.assert_allclose(inputs.mean, together.mean(0), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(inputs.std, together.std(0), rtol=1e-9)
    lengths = [len(found) for found in want]
    assert inputs.describe() == (
        f"{kind}: {size} features, {min(lengths)} to {max(lengths)} steps"
    )
    batch = Examples({"inputs": encoded}).batch([0, 1, 2])
    outputs = inputs.front_end(NetworkConfig())(batch)
    assert outputs.shape == (max(lengths), 3, size)
    assert outputs.isfinite().all()


def test_each_file_is_read_once(sounds):
    inputs = AudioInputs.fit(sounds, AudioOptions())
    for example in sounds:
        example.input.unlink()
    assert len(inputs.encode(sounds[1])["inputs"]) == 11


def test_sample_rates(sounds, tmp_path):
    other = write(tmp_path, np.zeros(3200), 16000)
    says = "b.csv:7: .* has 16000 samples per second, and others have 8000; .*rate 8000"
    with pytest.raises(DataError, match=says):
        AudioInputs.fit([*sounds, other], AudioOptions())
    with pytest.raises(DataError, match=says):
        AudioInputs.fit(sounds, AudioOptions()).encode(other)
    inputs = AudioInputs.fit([*sounds, other], AudioOptions(sample_rate=8000))
    assert len(inputs.encode(other)["inputs"]) == 21


def test_sounds_that_cannot_be_used(sounds, tmp_path):
    inputs = AudioInputs.fit(sounds, AudioOptions())
    with pytest.raises(DataError, match="b.csv:7: .*other.wav: the sound lasts 10 ms"):
        inputs.encode(write(tmp_path, np.zeros(80)))
    path = tmp_path / "no.wav"
    with pytest.raises(DataError, match="b.csv:8: .*no.wav does not exist"):
        inputs.encode(RawExample(path, None, "b.csv:8"))
    path.write_bytes(b"no sound")
    with pytest.raises(DataError, match=r"^\S*no.wav cannot be read as a sound"):
        inputs.encode(RawExample(path, None, str(path)))
    with pytest.raises(DataError, match="b.csv:8: .*no.wav cannot be read"):
        AudioInputs.fit([RawExample(path, None, "b.csv:8")], AudioOptions())
    with pytest.raises(DataError, match="no training examples"):
        AudioInputs.fit([], AudioOptions())


def test_silence(tmp_path):
    """A training part in which nothing ever changes."""
    silent = write(tmp_path, np.zeros(800))
    inputs = AudioInputs.fit([silent], AudioOptions())
    batch = Examples({"inputs": [inputs.encode(silent)["inputs"]]}).batch([0])
    assert inputs.front_end(NetworkConfig())(batch).abs().max() < 1e-3


def test_a_task_with_few_options(sounds):
    @dataclass(frozen=True)
    class Few:
        features: str = "log-mel"

    inputs = build_inputs("audio", sounds, Few())
    assert inputs.encode(sounds[0])["inputs"].shape == (26, 40)
    with pytest.raises(InvalidValue, match="features 'log': known are mfcc, log-mel"):
        build_inputs("audio", sounds, Few("log"))


def test_saved_and_restored(sounds):
    options = AudioOptions(features="log-mel", coefficients=20)
    inputs = build_inputs("audio", sounds, options)
    values = json.loads(json.dumps(inputs_to_dict(inputs)))
    restored = inputs_from_dict(values, options)
    assert inputs_to_dict(restored) == values
    assert restored.describe() == inputs.describe()
    for example in sounds:
        want = inputs.encode(example)["inputs"]
        assert torch.equal(restored.encode(example)["inputs"], want)


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"features": "mfc"}, InvalidValue, "known are mfcc, log-mel, wave"),
        ({"coefficients": 0}, InvalidValue, "coefficients"),
        ({"sample_rate": 8000.5}, InvalidType, "sample_rate"),
        ({"deltas": 1}, InvalidType, "deltas"),
        ({"features": "wave", "deltas": True}, InvalidValue, "leave them out with"),
    ],
)
def test_options_that_cannot_be_used(options, error, says):
    with pytest.raises(error, match=says):
        AudioOptions(**options)
