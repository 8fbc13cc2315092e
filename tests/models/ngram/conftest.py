"""Real text that several tests count."""

import gzip

import numpy as np
import pytest


@pytest.fixture(scope="session")
def penn_treebank(data_folder):
    """Size of the vocabulary, number of <eos>, training and test text as numbers."""

    def words(part):
        path = data_folder / "ptb" / f"ptb.{part}.txt.gz"
        lines = gzip.decompress(path.read_bytes()).decode().splitlines()
        return [word for line in lines for word in [*line.split(), "<eos>"]]

    train = words("train")
    index = {word: i for i, word in enumerate(sorted(set(train)))}
    texts = [np.array([index[w] for w in part]) for part in (train, words("test"))]
    return len(index), index["<eos>"], *texts
