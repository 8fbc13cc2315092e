r"""How often a decoder is shown the true token before, and when its own.

With probability ε the true one, else one drawn from what the model itself said; ε falls
with the number of updates i done so far:

    constant           ε = 1: teacher forcing
    linear             ε = max(e, 1 - i / k)
    exponential        ε = max(e, exp(-i / k))
    inverse-sigmoid    ε = max(e, k / (k + exp(i / k)))

Bengio, Vinyals, Jaitly and Shazeer, "Scheduled sampling for sequence prediction with
recurrent neural networks", arXiv 1506.03099, section 2.4. There the exponential one is
k^i; here k is a number of updates in all of them.
"""

import math
from collections.abc import Callable

from throughtime.checks import number
from throughtime.errors import unknown_name


def _inverse_sigmoid(i: float, k: float) -> float:
    # exp overflows where ε is 0 for long.
    return 0.0 if i / k > 700 else k / (k + math.exp(i / k))


SCHEDULES: dict[str, Callable[[float, float], float]] = {
    "constant": lambda i, k: 1.0,
    "linear": lambda i, k: max(0.0, 1 - i / k),
    "exponential": lambda i, k: math.exp(-i / k),
    "inverse-sigmoid": _inverse_sigmoid,
}


def truth_probability(
    schedule: str, updates: int, decay: float, least: float = 0.0
) -> float:
    """ε after so many updates.

    Args:
        schedule: ``constant``, ``linear``, ``exponential`` or ``inverse-sigmoid``.
        updates: i.
        decay: k, in updates.
        least: e.

    Raises:
        InvalidType: a number is none.
        InvalidValue: an unknown schedule, or a number out of range.

    >>> truth_probability("linear", 250, decay=1000)
    0.75
    """
    if schedule not in SCHEDULES:
        raise unknown_name("schedule of teacher forcing", schedule, SCHEDULES)
    number("decay", decay, minimum=0, exclude_minimum=True)
    number("least", least, minimum=0, maximum=1)
    return max(least, SCHEDULES[schedule](updates, decay))
