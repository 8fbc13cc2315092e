"""Learning-rate schedules, on torch's own schedulers.

``constant``
    the learning rate as given;
``plateau``
    times ``decay`` when the validation loss has not improved for more than ``patience``
    epochs (pytorch/examples: decay 0.25, patience 0);
``after_epoch``
    times ``decay`` for every epoch after epoch ``decay_after`` (Zaremba, Sutskever
    and Vinyals, arXiv 1409.2329: decay 0.5, after epoch 4).
"""

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, ReduceLROnPlateau

from throughtime.errors import unknown_name

SCHEDULES = ("constant", "plateau", "after_epoch")


def build_schedule(
    name: str, optimizer: Optimizer, *, decay: float, decay_after: int, patience: int
) -> LRScheduler:
    """The scheduler called ``name``; step it once per epoch with the validation loss.

    Raises:
        InvalidValue: unknown name; the message lists the known ones.
    """
    if name == "plateau":
        return ReduceLROnPlateau(
            optimizer, factor=decay, patience=patience, threshold=0.0, eps=0.0
        )
    if name == "after_epoch":
        return LambdaLR(
            optimizer, lambda epoch: decay ** max(0, epoch + 1 - decay_after)
        )
    if name == "constant":
        return LambdaLR(optimizer, lambda epoch: 1.0)
    raise unknown_name("schedule", name, SCHEDULES)


def step_schedule(schedule: LRScheduler, held_out: float | None) -> None:
    """Tell the schedule that an epoch is over, with its validation loss."""
    if not isinstance(schedule, ReduceLROnPlateau):
        schedule.step()
    elif held_out is not None:
        schedule.step(held_out)


def scale_learning_rate(
    optimizer: Optimizer, schedule: LRScheduler, factor: float
) -> None:
    """Multiply the learning rate, and what the schedule starts from, by ``factor``."""
    for group in optimizer.param_groups:
        group["lr"] *= factor
        group["initial_lr"] = group.get("initial_lr", group["lr"]) * factor
    if not isinstance(schedule, ReduceLROnPlateau):
        schedule.base_lrs = [rate * factor for rate in schedule.base_lrs]
