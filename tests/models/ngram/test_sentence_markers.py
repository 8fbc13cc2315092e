"""Two sentence markers become one token: the model that was written comes back."""

import numpy as np
import pytest
import torch

from throughtime.models import NGramLM
from throughtime.models.ngram import join_markers, read_arpa, write_arpa
from throughtime.models.ngram.tables import Level

TOKENS = ["<eos>", "<unk>", "a", "b", "c"]


def text(seed, size=400):
    return torch.tensor(np.random.default_rng(seed).integers(0, 5, size))


@pytest.mark.parametrize("boundary", [None, 0])
@pytest.mark.parametrize("order", [1, 2, 4])
def test_an_exported_model_comes_back(tmp_path, boundary, order):
    model = NGramLM(order, vocabulary_size=5).fit(text(0), boundary=boundary)
    write_arpa(tmp_path / "m.arpa", model.levels, TOKENS, boundary=boundary)
    joined = join_markers(*read_arpa(tmp_path / "m.arpa"))
    assert (joined.boundary is None) == (boundary is None)
    assert {"<eos>", "<unk>"} <= set(joined.tokens)
    again = NGramLM.from_levels(joined.levels, boundary=joined.boundary)
    place = torch.tensor([joined.tokens.index(token) for token in TOKENS])
    other = text(1)
    # A file has seven digits.
    torch.testing.assert_close(
        again.score(place[other]), model.score(other), rtol=0, atol=1e-6
    )
    p = again.next_distribution(place[other[:9]])
    assert float(p.sum()) == pytest.approx(1, abs=1e-5)


def test_what_a_file_lacks_has_probability_0():
    # Two words; "b" follows "a" with 0.9.
    first = Level(
        np.arange(2), np.array([0, 2]), np.log([0.5, 0.5]), np.log([0.2, 1.0])
    )
    second = Level(np.array([1]), np.array([0, 1, 1]), np.log([0.9]))
    tokens, levels, boundary = join_markers(["a", "b"], [first, second])
    assert tokens == ["a", "b", "<eos>", "<unk>"]
    assert boundary is None
    model = NGramLM.from_levels(levels)
    p = model.next_distribution(torch.tensor([0]))
    np.testing.assert_allclose(p, [0.1, 0.9, 0.0, 0.0], atol=1e-15)


def test_a_file_without_a_beginning_marker():
    one = Level(np.arange(2), np.array([0, 2]), np.log([0.75, 0.25]))
    tokens, _, boundary = join_markers(["a", "</s>"], [one])
    assert tokens == ["a", "<eos>", "<unk>"]
    assert boundary == 1
