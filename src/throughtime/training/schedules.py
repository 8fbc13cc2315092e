"""Learning-rate schedules: from one epoch to the next, state in and state out.

``constant``
    the learning rate as given;
``linear``
    falls from epoch to epoch in equal steps, in the last one of n epochs to 1 / n;
``plateau``
    times ``decay`` when the validation loss has not improved for more than ``patience``
    epochs (the word language model of pytorch/examples: decay 0.25, patience 0);
``after_epoch``
    times ``decay`` for every epoch after epoch ``decay_after`` (Zaremba, Sutskever and
    Vinyals, arXiv 1409.2329: decay 0.5, after epoch 4).
"""

from typing import NamedTuple

from throughtime.errors import unknown_name

SCHEDULES = ("constant", "linear", "plateau", "after_epoch")


class Scale(NamedTuple):
    """Where a schedule stands.

    scale: factor on the learning rate.
    stalled: epochs without improvement since the last decay.
    """

    scale: float = 1.0
    stalled: int = 0


def next_scale(
    schedule: str,
    now: Scale,
    *,
    epochs_done: int,
    epochs: int,
    improved: bool,
    decay: float,
    decay_after: int,
    patience: int,
) -> Scale:
    """The scale of the next epoch.

    Args:
        schedule: one of ``SCHEDULES``.
        now: the scale of the epoch that ended.
        epochs_done: epochs that ended, this one included.
        epochs: all epochs of the training.
        improved: whether its validation loss is the lowest so far.
        decay: factor of one decay.
        decay_after: last epoch that ``after_epoch`` leaves alone.
        patience: epochs without improvement that ``plateau`` forgives.

    Raises:
        InvalidValue: unknown schedule; the message lists the known ones.

    >>> options = dict(epochs=9, improved=False, decay=0.5, decay_after=1, patience=0)
    >>> next_scale("plateau", Scale(), epochs_done=1, **options)
    Scale(scale=0.5, stalled=0)
    >>> next_scale("after_epoch", Scale(), epochs_done=2, **options)
    Scale(scale=0.25, stalled=0)
    """
    if schedule == "constant":
        return now
    if schedule == "linear":
        return Scale(max(1, epochs - epochs_done) / epochs)
    if schedule == "after_epoch":
        return Scale(decay ** max(0, epochs_done + 1 - decay_after))
    if schedule == "plateau":
        stalled = 0 if improved else now.stalled + 1
        if stalled > patience:
            return Scale(now.scale * decay)
        return Scale(now.scale, stalled)
    raise unknown_name("schedule", schedule, SCHEDULES)
