"""Lines of metrics.jsonl: valid JSON whatever the numbers are."""

import json
import math

import pytest

from throughtime.training import EventInfo, StepInfo, ValidationInfo
from throughtime.training.records import to_json


def step(loss):
    return StepInfo(
        step=3,
        epoch=1,
        fraction=0.5,
        loss=loss,
        grad_norm=math.inf,
        clipped=False,
        skipped=True,
        learning_rate=0.1,
        tokens=12,
        tokens_per_second=1e4,
        seconds=1.5,
    )


@pytest.mark.parametrize(
    ("loss", "perplexity"), [(math.log(4), 4.0), (1e6, None), (math.nan, None)]
)
def test_perplexity_and_numbers_that_are_not_finite(loss, perplexity):
    line = to_json(step(loss))
    assert line["record"] == "step"
    assert line["perplexity"] == pytest.approx(perplexity)
    assert line["grad_norm"] is None
    assert line["skipped"] is True
    json.dumps(line, allow_nan=False)


def test_validation_and_event():
    held_out = ValidationInfo(3, 1, math.log(2), math.log(2), True, 0.1, 1.5)
    assert to_json(held_out)["perplexity"] == pytest.approx(2.0)
    assert to_json(EventInfo(3, "restored", "why")) == {
        "record": "event",
        "step": 3,
        "kind": "restored",
        "message": "why",
        "value": None,
    }
