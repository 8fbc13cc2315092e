"""What the orders take, by a count with dictionaries."""

import torch

from tests.models.ngram.slow import SIZE, UNEVEN
from throughtime.models import NGramLM


def test_n_grams_and_contexts_are_counted():
    model = NGramLM(3, vocabulary_size=SIZE).fit(torch.tensor(UNEVEN))
    for n, order in enumerate(model.storage(), start=1):
        grams = {tuple(UNEVEN[i : i + n]) for i in range(len(UNEVEN) - n + 1)}
        if n == 1:
            grams = {(token,) for token in range(SIZE)}
        assert order.order == n
        assert order.ngrams == len(grams)
        assert order.contexts == len({gram[:-1] for gram in grams})
        level = model.levels[n - 1]
        used = level.words.nbytes + level.starts.nbytes + 8 * len(grams)
        assert order.bytes == used + (8 * len(grams) if n < 3 else 0)
