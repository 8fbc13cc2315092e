"""Mean and standard deviation of many series."""

import numpy as np
import torch

from throughtime.tasks.inputs.moments import Moments


def test_against_numpy():
    draw = np.random.default_rng(0)
    rows = draw.normal(1e4, 0.1, (500, 4))
    rows[:, 3] = 1 / 3
    moments = Moments()
    for part in np.split(rows, [1, 7, 7, 200]):
        moments.add(torch.from_numpy(part))
    assert moments.count == 500
    np.testing.assert_allclose(moments.mean(), rows.mean(0), rtol=1e-13)
    np.testing.assert_allclose(moments.std()[:3], rows.std(0)[:3], rtol=1e-9)
    assert (moments.mean()[3], moments.std()[3]) == (1 / 3, 0.0)


def test_nothing_counted():
    assert (Moments().mean(), Moments().std()) == ([], [])
