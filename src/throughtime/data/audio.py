"""Sounds, and what is heard in them every ten milliseconds."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from throughtime.errors import DataError, InvalidValue, unknown_name

# How many numbers each step has where nothing is said; None: the samples of a step.
FEATURES: dict[str, int | None] = {"mfcc": 13, "log-mel": 40, "wave": None}
WINDOW = 0.032
HOP = 0.010
# Bands that MFCC are made of.
BANDS = 40
INSTALL = "pip install 'throughtime[audio]'"
Samples = NDArray[np.float32]


def read_sound(path: str | Path, sample_rate: int | None = None) -> tuple[Samples, int]:
    """The samples of a sound, -1 to 1, (N,); and how many there are per second.

    Several channels become their mean.

    Args:
        path: wav, flac, ogg, mp3 or whatever else libsndfile reads.
        sample_rate: the sound is made anew with so many samples per second; default:
            it stays as it is.

    Raises:
        DataError: it is missing, unreadable, damaged or empty, or holds NaN; or a
            package that reads sounds is not installed.
    """
    if not Path(path).is_file():
        raise DataError(f"{path} does not exist; check the path")
    soundfile = _package("soundfile", f"reading {path}")
    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (RuntimeError, OSError, TypeError) as error:
        raise DataError(
            f"{path} cannot be read as a sound ({error}); replace it, or take it out"
        ) from error
    if not len(samples):
        raise DataError(f"{path} holds no sound; take it out")
    if not np.isfinite(samples).all():
        raise DataError(f"{path} holds NaN or infinity; replace it, or take it out")
    samples = samples.mean(1)
    if sample_rate is None or sample_rate == rate:
        return samples, rate
    librosa = _package("librosa", "another sample rate")
    made = librosa.resample(samples, orig_sr=rate, target_sr=sample_rate)
    return made.astype(np.float32), sample_rate


def sound_features(
    samples: Samples,
    sample_rate: int,
    kind: str = "mfcc",
    *,
    coefficients: int | None = None,
    deltas: bool = False,
) -> NDArray[np.float32]:
    """What is heard every 10 ms, in windows of 32 ms around that time, (T, F).

    ``mfcc``: mel-frequency cepstral coefficients (Davis and Mermelstein, 1980,
    https://doi.org/10.1109/TASSP.1980.1163420), of 40 bands. ``log-mel``: the power in
    bands of the mel scale, in decibels, 80 below the loudest and more being the same.
    ``wave``: the samples themselves, side by side, zeros behind the last one.

    Args:
        samples: (N,).
        sample_rate: per second.
        kind: one of ``FEATURES``.
        coefficients: of each step; of ``wave``, samples; default: 13, 40, and the
            samples of 10 ms.
        deltas: followed by their first and second change over 9 steps, (T, 3F).

    Raises:
        DataError: the sound is shorter than a window; or librosa is not installed.
        InvalidValue: unknown kind; or more coefficients than can be told apart.

    >>> sound_features(np.zeros(8000, np.float32), 8000, "wave").shape
    (100, 80)
    """
    if kind not in FEATURES:
        raise unknown_name("features", kind, FEATURES)
    window, hop = round(WINDOW * sample_rate), max(1, round(HOP * sample_rate))
    if kind == "wave":
        size = coefficients or hop
        return np.pad(samples, (0, -len(samples) % size)).reshape(-1, size)
    if len(samples) < window:
        raise DataError(
            f"the sound lasts {1000 * len(samples) / sample_rate:.3g} ms, and a window "
            f"{1000 * WINDOW:g} ms; take it out, or read it as --features wave"
        )
    count = coefficients or FEATURES[kind]
    assert count is not None
    if count > window // 2:
        raise InvalidValue(
            f"{count} coefficients are too many for {sample_rate} samples per second; "
            f"at most {window // 2} can be told apart"
        )
    librosa = _package("librosa", f"the features {kind!r}")
    bands = max(count, BANDS) if kind == "mfcc" else count
    power = librosa.feature.melspectrogram(
        y=samples, sr=sample_rate, n_fft=window, hop_length=hop, n_mels=bands
    )
    found = librosa.power_to_db(power)
    if kind == "mfcc":
        found = librosa.feature.mfcc(S=found, n_mfcc=count)
    if deltas:
        changes = [
            librosa.feature.delta(found, order=order, mode="nearest")
            for order in (1, 2)
        ]
        found = np.concatenate([found, *changes])
    return np.ascontiguousarray(found.T, dtype=np.float32)


def _package(name: str, what: str) -> Any:
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError as error:
        raise DataError(f"{what} needs {name}: {INSTALL}") from error
