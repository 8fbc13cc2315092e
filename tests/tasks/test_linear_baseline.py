"""Linear models beside networks."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from throughtime.tasks import linear_baseline as place
from throughtime.tasks.inputs.image import ImageInputs
from throughtime.tasks.inputs.image_options import ImageOptions
from throughtime.tasks.inputs.series import SeriesInputs
from throughtime.tasks.inputs.vector import VectorInputs
from throughtime.tasks.linear_baseline import linear_baseline, seen_at_once
from throughtime.tasks.reading_options import ReadingOptions
from throughtime.tasks.task import RawExample

SKIP = ReadingOptions(missing="skip")


def test_what_is_seen_of_a_series():
    """The truth: numpy, and its own straight lines between the steps."""
    draw = np.random.default_rng(0)
    for count in (2, 7, 50):
        series = draw.normal(size=(count, 3)).astype(np.float32)
        seen = seen_at_once({"inputs": torch.from_numpy(series)}).numpy()
        parts = [series.mean(0), series.std(0), series.min(0), series.max(0)]
        times = np.linspace(0, count - 1, 32)
        made = [np.interp(times, np.arange(count), feature) for feature in series.T]
        want = [np.array([count]), *parts, series[0], series[-1], *made]
        np.testing.assert_allclose(seen, np.concatenate(want), atol=1e-5)


def test_series_of_any_length_give_as_many_numbers():
    """Steps without input are left out; one step stands for all; none is zeros."""
    present = torch.tensor([True, False])
    whole = {"inputs": torch.tensor([[1.0, 2.0]])}
    holed = {
        "inputs": torch.tensor([[1.0, 2.0], [9.0, 9.0]]),
        "inputs_present": present,
    }
    assert torch.equal(seen_at_once(whole), seen_at_once(holed))
    assert seen_at_once(whole).tolist() == [
        1,
        *[1, 2],
        *[0, 0],
        *[1, 2] * 4,
        *[1] * 32,
        *[2] * 32,
    ]
    nothing = seen_at_once({"inputs": torch.zeros(0, 2)})
    assert nothing.tolist() == [0.0] * len(seen_at_once(whole))
    wide = seen_at_once({"inputs": torch.ones(3, 3000)})
    assert wide.shape == (1 + 7 * 3000,)


def noisy(draw, label, shape):
    return (draw.normal(size=shape) + 3 * label).astype(np.float32)


def test_labels_of_series():
    """Two classes whose means lie three deviations apart."""
    draw = np.random.default_rng(0)
    raw = [
        RawExample(noisy(draw, i % 2, (3 + i % 5, 2)), "ab"[i % 2], f"a:{i}")
        for i in range(80)
    ]
    raw[4].input[1] = np.nan
    inputs = SeriesInputs.fit(raw[:60], SKIP)
    answers = linear_baseline(raw[:60], raw[60:], numbers=False, inputs=inputs)
    assert answers == [example.target for example in raw[60:]]
    assert linear_baseline(raw, [], numbers=False, inputs=inputs) == []


def test_numbers_of_vectors():
    """The truth: ridge regression by its normal equations."""
    draw = np.random.default_rng(0)
    x = draw.normal(size=(50, 3)).astype(np.float32)
    y = x @ [1.0, -2.0, 0.5] + draw.normal(size=50)
    raw = [RawExample(row, n, "") for row, n in zip(x, y, strict=True)]
    inputs = VectorInputs.fit(raw, SKIP)
    answers = linear_baseline(raw[:40], raw[40:], numbers=True, inputs=inputs)
    mean, std = x[:40].mean(0, dtype=float), x[:40].std(0, dtype=float)
    z = (x - mean) / std
    weights = np.linalg.solve(
        z[:40].T @ z[:40] + np.eye(3), z[:40].T @ (y[:40] - y[:40].mean())
    )
    np.testing.assert_allclose(answers, z[40:] @ weights + y[:40].mean(), atol=1e-4)


def test_a_picture_is_seen_as_a_whole(monkeypatch):
    """The class is the lowest row; a picture is as many features as it has pixels."""
    draw = np.random.default_rng(0)
    raw = []
    for i in range(60):
        picture = draw.integers(100, size=(4, 5), dtype=np.uint8)
        picture[3] = 200 * (i % 2)
        raw.append(RawExample(picture, str(i % 2), ""))
    seen = []
    scaled = place._features

    def watched(examples, inputs):
        seen.append(scaled(examples, inputs).shape)
        return scaled(examples, inputs)

    monkeypatch.setattr(place, "_features", watched)
    monkeypatch.setattr(place, "MOST_EXAMPLES", 30)
    inputs = ImageInputs.fit(raw, ImageOptions(steps="columns"))
    answers = linear_baseline(raw[:40], raw[40:], numbers=False, inputs=inputs)
    assert answers == [example.target for example in raw[40:]]
    assert seen == [(30, 20), (20, 20)]


def test_drawn_in_their_order_and_the_same_each_time(monkeypatch):
    monkeypatch.setattr(place, "MOST_EXAMPLES", 10)
    raw = [RawExample(None, str(i), "") for i in range(100)]
    drawn = [int(example.target) for example in place._drawn(raw)]
    assert len(drawn) == 10
    assert all(a < b for a, b in pairwise(drawn))
    assert drawn == [int(example.target) for example in place._drawn(raw)]


@pytest.mark.parametrize(("numbers", "target"), [(False, "a"), (True, 2.0)])
def test_one_target_alone(numbers, target):
    raw = [RawExample(np.ones((2, 1), np.float32), target, "")] * 3
    inputs = SeriesInputs.fit(raw, SKIP)
    answers = linear_baseline(raw, raw, numbers=numbers, inputs=inputs)
    assert list(answers) == [target] * 3


def test_japanese_vowels(data_folder):
    """No published truth: well above 1 of 9, and above guessing the commonest."""
    from throughtime.tasks.reading import read_labelled

    folder = data_folder / "ts-classification"
    train, test = (
        read_labelled([folder / f"JapaneseVowels_{part}.ts.gz"], ReadingOptions())
        for part in ("TRAIN", "TEST")
    )
    inputs = SeriesInputs.fit(train, ReadingOptions())
    answers = linear_baseline(train, test, numbers=False, inputs=inputs)
    right = [a == e.target for a, e in zip(answers, test, strict=True)]
    assert np.mean(right) > 0.95
