"""Sentences whose label lies in the order of their words alone."""

import random
from typing import NamedTuple

from throughtime.checks import positive_int
from throughtime.errors import InvalidValue

SUBJECTS = (
    *("acting", "adventure", "band", "beginning", "camera", "cast", "comedy"),
    *("concert", "dialogue", "director", "drama", "ending", "film", "hero"),
    *("humour", "love", "movie", "music", "plot", "romance", "scenery", "script"),
    *("show", "sound", "story", "villain"),
)
WORDS = {
    "positive": (
        *("beautiful", "brilliant", "charming", "clever", "delightful", "exciting"),
        *("fresh", "fun", "gripping", "moving", "sweet", "touching", "wonderful"),
    ),
    "negative": (
        *("awful", "bland", "boring", "clumsy", "dull", "empty", "flat", "lame"),
        *("lifeless", "predictable", "sloppy", "stale", "tedious"),
    ),
}
ADVERBS = ("", "rather ", "really ", "terribly ")


class OrderedText(NamedTuple):
    """A text, its label, and what it shares with the other member of its pair."""

    text: str
    label: str
    group: str


def order_pairs(
    count: int, *, seed: int = 0, connective: str = "but"
) -> list[OrderedText]:
    """Pairs "A but B" and "B but A": the same words, and opposite labels.

    What comes last counts. As both members hold the same words equally often, any
    model of a bag of words answers both alike and is right on exactly one half; a
    model that reads in order can be right on all.

    Args:
        count: pairs, all different.
        seed: which.
        connective: what stands between the clauses.

    Returns:
        2 ``count`` texts; the members of a pair follow each other.

    Raises:
        InvalidType: ``count`` is no int.
        InvalidValue: ``count`` is not positive, or more than there are.

    >>> for text, label, group in order_pairs(1, seed=1):
    ...     print(text, "|", label, "|", group)
    the plot was lame but the camera was delightful | positive | 1
    the camera was delightful but the plot was lame | negative | 1
    """
    clauses = len(SUBJECTS) * len(ADVERBS)
    most = (
        clauses
        * (clauses - len(ADVERBS))
        * len(WORDS["positive"])
        * len(WORDS["negative"])
    )
    if positive_int("count", count) > most // 2:
        raise InvalidValue(f"count must be at most {most // 2}, got {count}")
    draw = random.Random(seed)
    found: dict[tuple[str, str], None] = {}
    while len(found) < count:
        first, second = draw.sample(SUBJECTS, 2)
        good = f"the {first} was {draw.choice(ADVERBS)}{draw.choice(WORDS['positive'])}"
        bad = f"the {second} was {draw.choice(ADVERBS)}{draw.choice(WORDS['negative'])}"
        found[good, bad] = None
    texts: list[OrderedText] = []
    for number, (good, bad) in enumerate(found, start=1):
        pair = [
            OrderedText(f"{good} {connective} {bad}", "negative", str(number)),
            OrderedText(f"{bad} {connective} {good}", "positive", str(number)),
        ]
        texts += pair if draw.random() < 0.5 else reversed(pair)
    return texts
