"""Schedules against their definitions, epoch by epoch."""

import pytest

from throughtime.errors import InvalidValue
from throughtime.training.schedules import SCHEDULES, Scale, next_scale


def scales(schedule, improved, *, decay=0.5, decay_after=1, patience=0):
    """The scale of every epoch, the first one included."""
    now, result = Scale(), [1.0]
    for done, better in enumerate(improved, start=1):
        now = next_scale(
            schedule,
            now,
            epochs_done=done,
            epochs=len(improved),
            improved=better,
            decay=decay,
            decay_after=decay_after,
            patience=patience,
        )
        result.append(now.scale)
    return result[:-1]


def test_constant():
    assert scales("constant", [False] * 3) == [1.0, 1.0, 1.0]


def test_linear_falls_to_one_nth():
    assert scales("linear", [True] * 4) == [1.0, 0.75, 0.5, 0.25]


def test_after_epoch_is_the_published_rule():
    """Zaremba et al., small model: full rate for 4 epochs, then half per epoch."""
    want = [1.0, 1.0, 1.0, 1.0, 0.5, 0.25, 0.125]
    assert scales("after_epoch", [True] * 7, decay_after=4) == want


def test_plateau_divides_by_four_whenever_nothing_improves():
    """The rule of pytorch/examples: no improvement, learning rate / 4."""
    improved = [True, False, True, False, False, True]
    want = [1.0, 1.0, 0.25, 0.25, 0.0625, 0.015625]
    assert scales("plateau", improved, decay=0.25) == want


def test_plateau_waits_for_its_patience_and_starts_anew():
    improved = [False, False, False, False, True, False, False, False]
    want = [1.0, 1.0, 0.5, 0.5, 0.25, 0.25, 0.25, 0.125]
    assert scales("plateau", improved, patience=1) == want


def test_unknown():
    with pytest.raises(InvalidValue, match="known are " + ", ".join(SCHEDULES)):
        scales("cosine", [True, True])
