"""Options of inputs, taken from those of a task."""

from dataclasses import dataclass

import pytest

from throughtime.errors import InvalidValue
from throughtime.tasks.classify_options import ClassifyOptions
from throughtime.tasks.inputs.audio_options import AudioOptions
from throughtime.tasks.inputs.image_options import ImageOptions
from throughtime.tasks.inputs.options_of import options_of


@dataclass(frozen=True)
class Few:
    height: int = 3
    beam_size: int = 7


def test_by_their_names():
    assert options_of(ImageOptions, Few()) == ImageOptions(height=3)
    found = options_of(ImageOptions, Few(), steps="columns", height=9)
    assert found == ImageOptions(height=3, steps="columns")
    assert options_of(AudioOptions, Few()) == AudioOptions()
    with pytest.raises(InvalidValue, match="height"):
        options_of(ImageOptions, Few(height=0))


def test_of_the_task_that_offers_all():
    options = ClassifyOptions(features="log-mel", steps="pixels", permute=1)
    assert options_of(AudioOptions, options) == AudioOptions(features="log-mel")
    want = ImageOptions(steps="pixels", permute=1)
    assert options_of(ImageOptions, options) == want
