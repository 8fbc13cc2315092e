"""A threshold of norm clipping that follows the norms of the training itself.

    θ = the p-th percentile of all gradient norms so far, this one included

AutoClip (Seetharaman, Wichern, Pardo and Le Roux, arXiv 2007.14469); their p is 10.
"""

import math
from bisect import insort
from collections.abc import Iterable

from throughtime.checks import number


class AdaptiveClip:
    """The percentile of a growing history of gradient norms.

    Args:
        percentile: p from 0 (nearly everything is clipped) to 100 (nothing).
        history: norms so far, in any order; of a checkpoint: ``history`` as it was.

    Attributes:
        percentile: p.
        history: all norms so far, in ascending order: the whole state.

    Raises:
        InvalidType: ``percentile`` or a norm is no number.
        InvalidValue: ``percentile`` is not in [0, 100], or a norm of the history not
            positive.

    >>> clip = AdaptiveClip(percentile=50)
    >>> [clip.threshold(norm) for norm in (4.0, 2.0, 100.0)]
    [4.0, 3.0, 4.0]
    >>> clip.history
    [2.0, 4.0, 100.0]
    """

    def __init__(
        self, percentile: float = 10.0, *, history: Iterable[float] = ()
    ) -> None:
        self.percentile = number("percentile", percentile, minimum=0, maximum=100)
        self.history = sorted(
            number("every norm in history", norm, minimum=0, exclude_minimum=True)
            for norm in history
        )

    def threshold(self, norm: float) -> float:
        """θ for a gradient of this norm, which enters the history first.

        A norm that is not finite does not enter, and neither does 0, which would in the
        end forbid every step.

        Returns:
            θ > 0, for ``clip_norm``; infinite as long as the history is empty.

        Raises:
            InvalidType: ``norm`` is no number.
        """
        if not isinstance(norm, float):
            norm = number("norm", norm)
        return threshold(norm, self.history, self.percentile)


def threshold(norm: float, history: list[float], percentile: float) -> float:
    """See ``AdaptiveClip.threshold``; the norm enters ``history``, in its place.

    >>> threshold(2.0, [1.0, 3.0], 50)
    2.0
    """
    if math.isfinite(norm) and norm > 0:
        insort(history, norm)
    if not history:
        return math.inf
    # Linear between the two norms around the place, as in numpy.percentile.
    place = percentile / 100 * (len(history) - 1)
    below = math.floor(place)
    low, high = history[below], history[math.ceil(place)]
    return low + (place - below) * (high - low)
