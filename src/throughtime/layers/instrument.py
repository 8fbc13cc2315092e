"""What looks into the steps of every layer, in the place of all backends."""

from collections.abc import Callable, Generator
from contextlib import contextmanager

from throughtime.layers.loop import Pass, Unrolled

Instrument = Callable[[Pass], Unrolled]

_instrument: Instrument | None = None


def instrument() -> Instrument | None:
    """What runs passes now, if not a backend."""
    return _instrument


@contextmanager
def run_by(function: Instrument) -> Generator[None]:
    """Inside the block ``function`` runs every pass, padded, in plain torch.

    Output layers stay in plain torch as well.
    """
    global _instrument
    before, _instrument = _instrument, function
    try:
        yield
    finally:
        _instrument = before
