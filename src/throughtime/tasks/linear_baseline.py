"""What linear models make of series, sounds, pictures and vectors."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from throughtime.tasks.inputs.base import Inputs
from throughtime.tasks.task import RawExample

# Examples that are learnt from, drawn with SEED where there are more.
MOST_EXAMPLES = 10_000
SEED = 0
# A series is made so long, and shorter where it has many features.
STEPS = 32
WIDEST = 4096
ROUNDS = 100


def linear_baseline(
    train: Sequence[RawExample],
    raw: Sequence[RawExample],
    *,
    numbers: bool,
    inputs: Inputs,
) -> list[str] | NDArray[np.float64]:
    """Answers of a linear model: logistic regression, or ridge regression of numbers.

    It sees a picture as a whole. Of each feature of other series it sees mean, standard
    deviation, least, greatest, first and last value, and the series made 32 steps long
    by straight lines between its steps; and how long the series is. Steps without input
    are left out. All is standardised first.

    Args:
        train: examples with targets; of more than 10,000, so many drawn with a fixed
            seed are learnt from.
        raw: examples to answer.
        numbers: targets are numbers, not labels.
        inputs: what reads the examples.

    Returns:
        A label for each example, or numbers (N,).
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    train = _drawn(train)
    model = make_pipeline(
        StandardScaler(), Ridge() if numbers else LogisticRegression(max_iter=ROUNDS)
    )
    seen = _features(train, inputs)
    targets: Any = [float(e.target) if numbers else str(e.target) for e in train]
    if len(set(targets)) == 1:  # of one label nothing is learnt but itself
        answers = [targets[0]] * len(raw)
        return np.array(answers) if numbers else answers
    with warnings.catch_warnings():
        # Labels told apart without error would need ever larger weights.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(seen, targets)
    if not len(raw):
        return np.zeros(0) if numbers else []
    answers = model.predict(_features(raw, inputs))
    return np.asarray(answers, dtype=float) if numbers else [str(a) for a in answers]


def _drawn(train: Sequence[RawExample]) -> Sequence[RawExample]:
    if len(train) <= MOST_EXAMPLES:
        return train
    draw = np.random.default_rng(SEED)
    chosen = draw.choice(len(train), MOST_EXAMPLES, replace=False)
    return [train[i] for i in sorted(chosen)]


def _features(raw: Sequence[RawExample], inputs: Inputs) -> NDArray[np.float32]:
    encoded = [inputs.encode(example) for example in raw]
    shapes = {tuple(parts["inputs"].shape) for parts in encoded}
    whole = inputs.kind in ("image", "vector") and len(shapes) == 1
    return torch.stack([seen_at_once(parts, whole) for parts in encoded]).numpy()


def seen_at_once(parts: dict[str, Tensor], whole: bool = False) -> Tensor:
    """One vector for a series of any length.

    Args:
        parts: of one example, as ``Inputs.encode`` gives them.
        whole: the numbers as they are, one after the other.

    >>> parts = {"inputs": torch.tensor([[1.0], [3.0]])}
    >>> seen = seen_at_once(parts)
    >>> seen[:7].tolist(), seen[7:10]
    ([2.0, 2.0, 1.0, 1.0, 3.0, 1.0, 3.0], tensor([1.0000, 1.0645, 1.1290]))
    """
    series = parts["inputs"].float()
    if "inputs_present" in parts and not whole:
        series = series[parts["inputs_present"]]
    if whole:
        return series.reshape(-1)
    count, size = series.shape
    steps = max(1, min(STEPS, WIDEST // size))
    length = torch.tensor([float(count)])
    if not count:
        return torch.cat([length, torch.zeros((6 + steps) * size)])
    made = F.interpolate(series.T[None], steps, mode="linear", align_corners=steps > 1)
    return torch.cat(
        [
            length,
            series.mean(0),
            series.std(0, correction=0),
            series.amin(0),
            series.amax(0),
            series[0],
            series[-1],
            made.reshape(-1),
        ]
    )
