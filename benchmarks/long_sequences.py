"""Long sequences: does the time of a training step stay the same for each time step?"""

from collections.abc import Iterator

from common import GATES, Row, interleaved, pair, random_input, training

STEPS = (1000, 5000, 20000)
BATCH, SIZE = 4, 64


def rows(budget: float) -> Iterator[Row]:
    for layer in GATES:
        for steps in STEPS:
            theirs, ours = pair(layer, SIZE, SIZE)
            x, upstream = random_input((steps, BATCH, SIZE, SIZE))
            found = interleaved(
                {
                    "torch": training(theirs, x, upstream),
                    "training": training(ours, x, upstream),
                },
                budget,
            )
            yield {
                "layer": layer,
                "shape": (steps, BATCH, SIZE, SIZE),
                "milliseconds": found,
                "microseconds_per_step": 1e3 * found["training"] / steps,
                "ratio_to_torch": found["torch"] / found["training"],
            }
