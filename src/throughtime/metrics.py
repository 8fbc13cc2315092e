"""Figures of merit in the units people compare."""

import math

from throughtime.checks import positive_int


def perplexity(nats_per_token: float) -> float:
    """e^loss: the number of equally likely tokens that would be as hard to guess.

    >>> round(perplexity(math.log(4)), 6), perplexity(1e6)
    (4.0, inf)
    """
    try:
        return math.exp(nats_per_token)
    except OverflowError:
        return math.inf


def bits(nats: float) -> float:
    """Nats to bits, nats / ln 2.

    >>> bits(math.log(8))
    3.0
    """
    return nats / math.log(2)


def bits_per_character(total_nats: float, characters: int) -> float:
    """Bits that a model spends per character of a text.

    Args:
        total_nats: negative log-likelihood of the whole text, whatever its tokens.
        characters: length of the text, at least 1.

    Raises:
        InvalidType: ``characters`` is no int.
        InvalidValue: ``characters`` is not positive.

    >>> bits_per_character(math.log(2) * 6, 3)
    2.0
    """
    return bits(total_nats) / positive_int("characters", characters)
