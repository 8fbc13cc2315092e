"""What simple methods make of a classification: counts, and linear models."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from throughtime.models.naive_bayes import NaiveBayes
from throughtime.tasks.classify_figures import (
    class_figures,
    label_figures,
    number_figures,
)
from throughtime.tasks.inputs.base import Inputs
from throughtime.tasks.task import Evaluation, RawExample


def classify_baselines(
    inputs: Inputs,
    labels: Sequence[str] | None,
    train: Sequence[RawExample],
    raw: Sequence[RawExample],
) -> dict[str, Evaluation]:
    """The commonest label or the mean; naive Bayes of texts, a linear model of others.

    Args:
        inputs: what reads the examples.
        labels: the classes; None: numbers.
        train: examples to learn from.
        raw: examples to answer.
    """
    known = [example for example in train if example.target is not None]
    if labels is None:
        targets = numbers_of(raw)
        mean = float(np.mean(numbers_of(known)))
        found = {"mean": number_figures(np.full(len(raw), mean), targets)}
        if inputs.kind != "text":
            from throughtime.tasks.linear_baseline import linear_baseline

            answers = linear_baseline(known, raw, numbers=True, inputs=inputs)
            found["linear model"] = number_figures(np.asarray(answers), targets)
        return found
    commonest = Counter(str(e.target) for e in known).most_common(1)[0][0]
    targets = [e.target for e in raw]
    found = {"commonest label": label_figures([commonest] * len(raw), targets, labels)}
    if inputs.kind != "text":
        from throughtime.tasks.linear_baseline import linear_baseline

        answers = linear_baseline(known, raw, numbers=False, inputs=inputs)
        found["linear model"] = label_figures(list(answers), targets, labels)
        return found
    index = {label: i for i, label in enumerate(labels)}
    right = np.array([-1 if t is None else index.get(str(t), -1) for t in targets])
    for name, ngrams in (("naive Bayes", (1, 1)), ("naive Bayes, pairs", (1, 2))):
        bayes = bayes_of(train, ngrams)
        log_probs = bayes.log_posterior([e.input for e in raw])
        found[name] = class_figures(log_probs, right, labels)
    return found


def bayes_of(
    train: Sequence[RawExample], ngrams: tuple[int, int] = (1, 1)
) -> NaiveBayes:
    """Naive Bayes on the bags of words of the training texts."""
    known = [example for example in train if example.target is not None]
    bayes = NaiveBayes(ngrams=ngrams, tokens="spaces")
    return bayes.fit([e.input for e in known], [str(e.target) for e in known])


def numbers_of(raw: Sequence[RawExample]) -> np.ndarray:
    """The numbers to learn, NaN where unknown."""
    values = [float("nan") if e.target is None else float(e.target) for e in raw]
    return np.array(values)
