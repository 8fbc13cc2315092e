"""Sounds, and what is heard in them."""

import io
import zipfile

import numpy as np
import pytest

from throughtime.data.audio import read_sound, sound_features
from throughtime.errors import DataError, InvalidValue

soundfile = pytest.importorskip("soundfile")
librosa = pytest.importorskip("librosa")


def tone(rate: int, seconds: float = 0.5, pitch: float = 440.0) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * pitch * np.arange(int(seconds * rate)) / rate)


def test_samples_as_they_were_saved(tmp_path):
    path = tmp_path / "a.wav"
    sound = tone(8000)
    soundfile.write(path, sound, 8000, "FLOAT")
    samples, rate = read_sound(path)
    assert (rate, samples.dtype) == (8000, np.float32)
    np.testing.assert_array_equal(samples, sound.astype(np.float32))
    # Of two channels the mean.
    soundfile.write(path, np.stack([sound, 0 * sound], 1), 8000, "FLOAT")
    np.testing.assert_allclose(read_sound(path)[0], sound / 2, atol=1e-7)


def test_another_rate(tmp_path):
    """The truth: the same tone, sampled half as often."""
    path = tmp_path / "a.flac"
    soundfile.write(path, tone(16000), 16000)
    samples, rate = read_sound(path, 8000)
    assert (rate, len(samples)) == (8000, 4000)
    np.testing.assert_allclose(samples[200:-200], tone(8000)[200:-200], atol=2e-3)


def test_files_that_cannot_be_used(tmp_path):
    path = tmp_path / "a.wav"
    with pytest.raises(DataError, match="a.wav does not exist"):
        read_sound(path)
    for content in (b"", b"no sound", b"RIFF\x24\0\0\0WAVE"):
        path.write_bytes(content)
        with pytest.raises(DataError, match="a.wav cannot be read as a sound"):
            read_sound(path)
    soundfile.write(path, np.zeros(0), 8000)
    with pytest.raises(DataError, match="a.wav holds no sound"):
        read_sound(path)
    soundfile.write(path, np.array([0.0, np.nan]), 8000, "FLOAT")
    with pytest.raises(DataError, match="a.wav holds NaN"):
        read_sound(path)


def test_missing_packages(tmp_path, monkeypatch):
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(8000), 8000)
    samples, _ = read_sound(path)

    def refuse(name, *rest):
        raise ImportError(name)

    monkeypatch.setattr("importlib.import_module", refuse)
    with pytest.raises(DataError, match=r"a.wav needs soundfile: pip .*\[audio\]"):
        read_sound(path)
    with pytest.raises(DataError, match=r"'mfcc' needs librosa: pip .*\[audio\]"):
        sound_features(samples, 8000)
    assert sound_features(samples, 8000, "wave").shape == (50, 80)


def test_wave():
    """The truth: the samples, 80 to a step, and zeros behind them."""
    samples = np.arange(1, 171, dtype=np.float32)
    found = sound_features(samples, 8000, "wave")
    np.testing.assert_array_equal(found.reshape(-1), [*samples, *[0] * 70])
    assert found.shape == (3, 80)
    assert sound_features(samples, 8000, "wave", coefficients=1).shape == (170, 1)
    assert sound_features(samples[:0], 8000, "wave").shape == (0, 80)


@pytest.mark.parametrize("rate", [8000, 16000, 22050])
def test_a_step_every_ten_milliseconds(rate):
    samples = tone(rate, 1.0).astype(np.float32)
    for kind, size in (("mfcc", 13), ("log-mel", 40)):
        found = sound_features(samples, rate, kind)
        assert abs(len(found) - 101) <= 1
        assert found.shape[1] == size
        assert found.dtype == np.float32


def test_log_mel_of_a_tone():
    """The truth: the band around the tone is loudest, at all steps but the edges."""
    pitches = librosa.mel_frequencies(n_mels=42, fmin=0, fmax=4000)[1:-1]
    for band in (10, 20, 35):
        samples = tone(8000, pitch=pitches[band]).astype(np.float32)
        found = sound_features(samples, 8000, "log-mel")
        assert (found[3:-3].argmax(1) == band).all()


def test_mfcc_are_the_cosine_transform_of_the_bands():
    """The truth: the orthonormal DCT-II by its formula."""
    samples = tone(8000).astype(np.float32)
    bands = sound_features(samples, 8000, "log-mel").astype(float)
    k, n = np.arange(13)[:, None], np.arange(40)
    basis = np.cos(np.pi * k * (n + 0.5) / 40) * np.sqrt(2 / 40)
    basis[0] /= np.sqrt(2)
    found = sound_features(samples, 8000, "mfcc")
    np.testing.assert_allclose(found, bands @ basis.T, rtol=1e-4, atol=1e-3)


def test_deltas():
    """The truth: the slope of a straight line through 9 steps, by its formula."""
    draw = np.random.default_rng(0)
    samples = draw.normal(size=8000).astype(np.float32)
    plain = sound_features(samples, 8000, coefficients=5)
    found = sound_features(samples, 8000, coefficients=5, deltas=True)
    assert found.shape == (len(plain), 15)
    np.testing.assert_array_equal(found[:, :5], plain)
    weights = np.arange(-4, 5)
    slope = weights @ plain[20:29] / (weights**2).sum()
    np.testing.assert_allclose(found[24, 5:10], slope, rtol=1e-4, atol=1e-4)
    # A sound of fewer than 9 steps has changes as well.
    assert sound_features(samples[:300], 8000, deltas=True).shape == (4, 39)


def test_what_cannot_be_used():
    short = np.zeros(200, np.float32)
    with pytest.raises(DataError, match="lasts 25 ms, and a window 32 ms"):
        sound_features(short, 8000)
    with pytest.raises(InvalidValue, match="features 'mfc': known are mfcc, log-mel"):
        sound_features(short, 8000, "mfc")
    with pytest.raises(InvalidValue, match="200 coefficients .* at most 128"):
        sound_features(np.zeros(8000, np.float32), 8000, coefficients=200)


def test_spoken_digits(data_folder):
    with zipfile.ZipFile(data_folder / "fsdd" / "fsdd-george.zip") as packed:
        name = next(n for n in packed.namelist() if n.endswith("7_george_0.wav"))
        samples, rate = soundfile.read(io.BytesIO(packed.read(name)), dtype="float32")
    found = sound_features(samples, rate)
    assert found.shape == (1 + len(samples) // 80, 13)
    assert np.isfinite(found).all()
