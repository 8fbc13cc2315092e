"""Series and vectors as inputs."""

import json

import numpy as np
import pytest
import torch

from throughtime.data.examples import Examples
from throughtime.errors import DataError
from throughtime.models.network import NetworkConfig
from throughtime.tasks.inputs.registry import (
    build_inputs,
    inputs_from_dict,
    inputs_to_dict,
)
from throughtime.tasks.inputs.series import SeriesInputs
from throughtime.tasks.inputs.vector import VectorInputs
from throughtime.tasks.reading_options import ReadingOptions
from throughtime.tasks.task import RawExample

SKIP = ReadingOptions(missing="skip")
NAN = float("nan")


def raw(*arrays) -> list[RawExample]:
    return [
        RawExample(np.array(a, np.float32), None, f"a.ts:{i}")
        for i, a in enumerate(arrays, start=2)
    ]


def test_standardised_as_the_training_part_says():
    """The truth: numpy over all steps; a feature that never changes is centred."""
    draw = np.random.default_rng(0)
    arrays = [draw.normal(5, 3, (t, 3)) for t in (4, 0, 7)]
    for array in arrays:
        array[:, 2] = 0.1
    inputs = build_inputs("series", raw(*arrays), ReadingOptions())
    assert isinstance(inputs, SeriesInputs)
    together = np.concatenate(arrays).astype(np.float32).astype(float)
    np.testing.assert_allclose(inputs.mean, together.mean(0), rtol=1e-12)
    np.testing.assert_allclose(inputs.std[:2], together.std(0)[:2], rtol=1e-12)
    assert inputs.std[2] == 0
    assert inputs.describe() == "3 features, 0 to 7 steps"
    encoded = [inputs.encode(example) for example in raw(*arrays)]
    assert all(list(parts) == ["inputs"] for parts in encoded)
    batch = Examples({"inputs": [e["inputs"] for e in encoded]}).batch([0, 1, 2])
    outputs = inputs.front_end(NetworkConfig())(batch)
    assert outputs.shape == (7, 3, 3)
    seen = torch.cat([outputs[:4, 0], outputs[:, 2]]).double()
    np.testing.assert_allclose(seen.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(seen[:, :2].std(0, correction=0), 1, rtol=1e-5)
    assert outputs[:, 1].eq(0).all()
    assert outputs[..., 2].eq(0).all()


def test_missing_numbers_make_steps_without_input():
    examples = raw([[1, 2], [NAN, 4], [3, 6]], [[5, 1]])
    inputs = SeriesInputs.fit(examples, SKIP)
    assert inputs.mean == [3.0, 3.0]
    parts = inputs.encode(examples[0])
    assert parts["inputs"].isfinite().all()
    assert parts["inputs_present"].tolist() == [True, False, True]
    batch = Examples({name: [part] for name, part in parts.items()}).batch([0])
    outputs = inputs.front_end(NetworkConfig())(batch)
    assert outputs[1].eq(0).all()
    assert outputs.isfinite().all()
    assert list(inputs.encode(examples[1])) == ["inputs"]
    for use in (
        lambda: SeriesInputs.fit(examples, ReadingOptions()),
        lambda: SeriesInputs.from_dict(inputs.to_dict(), None).encode(examples[0]),
    ):
        with pytest.raises(DataError, match="a.ts:2: a number is missing.*skip"):
            use()
    with pytest.raises(DataError, match="no training example has a step without"):
        SeriesInputs.fit(raw([[NAN]], [[NAN]]), SKIP)


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ([[[1, 2]], [[1]]], "a.ts:3: 1 features, and a.ts:2 has 2"),
        ([[[1]], [[np.inf]]], "a.ts:3: a number is infinite"),
        ([[1, 2]], r"a.ts:2: .*\(steps, features\), got float32 \(2,\)"),
        ([[[]]], "a.ts:2: the series has no feature"),
        ([], "no training examples"),
    ],
)
def test_series_that_cannot_be_used(arrays, says):
    with pytest.raises(DataError, match=says):
        SeriesInputs.fit(raw(*arrays), SKIP)


def test_another_number_of_features_than_in_training():
    inputs = SeriesInputs.fit(raw([[1, 2]]), SKIP)
    with pytest.raises(DataError, match="a.ts:2: 3 features, and .* reads 2"):
        inputs.encode(raw([[1, 2, 3]])[0])


def test_vectors():
    examples = raw([1, 2], [3, 6])
    inputs = build_inputs("vector", examples, ReadingOptions())
    assert isinstance(inputs, VectorInputs)
    assert (inputs.mean, inputs.std) == ([2.0, 4.0], [1.0, 2.0])
    assert inputs.encode(examples[1])["inputs"].tolist() == [[3.0, 6.0]]
    assert inputs.describe() == "2 features"
    with pytest.raises(DataError, match=r"a.ts:2: a vector .* got float32 \(1, 1\)"):
        inputs.encode(raw([[1]])[0])


@pytest.mark.parametrize("kind", ["series", "vector"])
def test_saved_and_restored(kind):
    examples = raw([[1, 2], [NAN, 4]]) if kind == "series" else raw([1, 2], [3, 4])
    inputs = build_inputs(kind, examples, SKIP)
    values = json.loads(json.dumps(inputs_to_dict(inputs)))
    restored = inputs_from_dict(values, SKIP)
    assert type(restored) is type(inputs)
    assert inputs_to_dict(restored) == values
    assert restored.describe() == inputs.describe()
    for example in examples:
        want = inputs.encode(example)
        for name, part in restored.encode(example).items():
            assert torch.equal(part, want[name])


def test_japanese_vowels(data_folder):
    from throughtime.tasks.reading import read_labelled

    path = data_folder / "ts-classification" / "JapaneseVowels_TRAIN.ts.gz"
    examples = read_labelled([path], ReadingOptions())
    inputs = build_inputs("series", examples, ReadingOptions())
    assert inputs.describe() == "12 features, 7 to 26 steps"
