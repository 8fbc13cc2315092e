"""Simple forecasts of the next frame."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from throughtime.tasks.music_baselines import fit_baselines, last_three

K = 3


def pieces():
    """Three pieces whose keys depend on the two frames before."""
    draw = torch.Generator().manual_seed(0)
    inputs, targets, masks = [], [], []
    for steps in (60, 0, 50):
        roll = torch.randint(2, (steps + 1, K), generator=draw, dtype=torch.float64)
        for t in range(2, steps + 1):
            if t % 5:
                roll[t, 0] = roll[t - 1, 1]
                roll[t, 2] = 1 - roll[t - 2, 0]
        inputs.append(roll[:-1])
        targets.append(roll[1:])
        masks.append(torch.arange(steps) % 7 != 3)
    return inputs, targets, masks


@pytest.fixture(scope="module")
def fitted():
    return fit_baselines(*pieces())


def kept(make=lambda x: x):
    inputs, targets, masks = pieces()
    x = torch.cat([make(x)[m] for x, m in zip(inputs, masks, strict=True)])
    y = torch.cat([y[m] for y, m in zip(targets, masks, strict=True)])
    return x.numpy(), y.numpy()


def test_chances_are_counts(fitted):
    """The truth: counting, with half a count added to either side."""
    x, y = kept()
    some = torch.tensor([[0.0, 1.0, 0.0], [1.0, 1.0, 0.0]]).double()
    static = fitted["each key by itself"](some).sigmoid()
    want = (y.sum(0) + 0.5) / (len(y) + 1)
    np.testing.assert_allclose(static.numpy(), np.stack([want, want]), rtol=1e-12)
    markov = fitted["Markov, each key"](some).sigmoid()
    for row in range(2):
        for k in range(K):
            alike = x[:, k] == some[row, k].item()
            want = (y[alike, k].sum() + 0.5) / (alike.sum() + 1)
            assert markov[row, k].item() == pytest.approx(want, rel=1e-12)


@pytest.mark.parametrize(
    ("name", "make"),
    [("linear, last frame", lambda x: x), ("linear, last three frames", last_three)],
)
def test_linear_ones_are_logistic_regressions(fitted, name, make):
    """The truth: scikit-learn's, one for each key."""
    x, y = kept(make)
    some = pieces()[0][2]
    odds = fitted[name](some)
    for k in range(K):
        sklearn = LogisticRegression(C=1.0, tol=1e-10, max_iter=10_000).fit(x, y[:, k])
        want = sklearn.decision_function(make(some).numpy())
        np.testing.assert_allclose(odds[:, k].numpy(), want, atol=2e-4)


def test_a_piece_without_steps(fitted):
    for forecast in fitted.values():
        assert forecast(torch.zeros(0, K).double()).shape == (0, K)
