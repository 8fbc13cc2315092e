"""The estimators of n-gram models, by name."""

import inspect
from typing import Any

from throughtime.errors import InvalidValue, unknown_name
from throughtime.models.ngram.absolute import AbsoluteDiscounting
from throughtime.models.ngram.additive import Additive
from throughtime.models.ngram.estimates import Estimator
from throughtime.models.ngram.interpolation import Interpolation
from throughtime.models.ngram.katz import Katz
from throughtime.models.ngram.kneser_ney import KneserNey, ModifiedKneserNey
from throughtime.models.ngram.maximum_likelihood import MaximumLikelihood
from throughtime.models.ngram.stupid_backoff import StupidBackoff
from throughtime.models.ngram.witten_bell import WittenBell

SMOOTHINGS: dict[str, type[Estimator]] = {
    "maximum-likelihood": MaximumLikelihood,
    "additive": Additive,
    "interpolation": Interpolation,
    "katz": Katz,
    "stupid-backoff": StupidBackoff,
    "absolute": AbsoluteDiscounting,
    "witten-bell": WittenBell,
    "kneser-ney-single": KneserNey,
    "kneser-ney": ModifiedKneserNey,
}


def make_estimator(name: str, **options: Any) -> Estimator:
    """The estimator of that name.

    Raises:
        InvalidValue: a name or an option that it does not have (the error lists those
            that there are), or an option out of its range.

    >>> make_estimator("kneser-ney-single", discount=0.75)
    KneserNey(discount=0.75)
    """
    if name not in SMOOTHINGS:
        raise unknown_name("smoothing", name, SMOOTHINGS)
    kind = SMOOTHINGS[name]
    known = list(inspect.signature(kind).parameters)
    for option in options:
        if option not in known:
            raise InvalidValue(
                f"smoothing {name!r} has no option {option!r}: it has "
                f"{', '.join(known) or 'none'}"
            )
    return kind(**options)
