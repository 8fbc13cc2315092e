"""The time of one run after a moment of running, without torch, for both processes."""

import time
from collections.abc import Callable
from typing import Any

# Threads that have slept need up to this long to be on processors of their own again.
WARM = 0.03


def warm_seconds(run: Callable[[], Any]) -> float:
    began = time.perf_counter()
    run()
    while time.perf_counter() - began < WARM:
        run()
    began = time.perf_counter()
    run()
    return time.perf_counter() - began
