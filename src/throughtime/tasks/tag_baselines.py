"""What labels can be guessed from one step alone."""

import warnings
from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np

from throughtime.tasks.tag_inputs import StepInputs, WordSteps
from throughtime.tasks.task import RawExample

# More steps than these tell a linear model little more, and cost it minutes.
MOST_STEPS = 20_000


def usual_labels(
    train: Sequence[RawExample], raw: Sequence[RawExample], inputs: StepInputs
) -> list[list[str]]:
    """The most frequent label of each word.

    Of words unseen, and of steps that are no words, the most frequent label at all.
    """
    counts: Counter[str] = Counter()
    of_word: defaultdict[int, Counter[str]] = defaultdict(Counter)
    words = inputs if isinstance(inputs, WordSteps) else None
    for example in train:
        for t, label in enumerate(example.target):
            if label is None:
                continue
            counts[label] += 1
            if words is not None and (index := words.index(example.input[t])):
                of_word[index][label] += 1
    usual = _most_frequent(counts)
    table = {index: _most_frequent(labels) for index, labels in of_word.items()}
    if words is None:
        return [[usual] * len(example.input) for example in raw]
    return [
        [table.get(words.index(word), usual) for word in example.input]
        for example in raw
    ]


def _most_frequent(counts: Counter[str]) -> str:
    """Of equally frequent ones the first by name."""
    return min(counts, key=lambda label: (-counts[label], label))


def linear_labels(
    train: Sequence[RawExample], raw: Sequence[RawExample], inputs: StepInputs
) -> list[list[str]] | None:
    """Labels by logistic regression on the numbers of a step; None: there are none.

    It is fitted to at most 20,000 steps, drawn at random, in at most 200 iterations.
    Missing numbers are 0, the mean of those that are standardised.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    rows = [features for e in train if (features := inputs.features(e)) is not None]
    if not rows:
        return None
    x = np.nan_to_num(np.concatenate(rows))
    y = np.array([label or "" for e in train for label in e.target])
    known = np.flatnonzero(y != "")
    if len(known) > MOST_STEPS:
        known = np.random.default_rng(0).choice(known, MOST_STEPS, replace=False)
    if len(set(y[known])) < 2:
        return None
    model = LogisticRegression(max_iter=200, tol=1e-3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(x[known], y[known])
    found = []
    for example in raw:
        features = inputs.features(example)
        assert features is not None
        steps = np.nan_to_num(features)
        found.append([str(k) for k in model.predict(steps)] if len(steps) else [])
    return found
