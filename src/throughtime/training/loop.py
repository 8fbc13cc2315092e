"""The training loop: forward, backward through time, clip, step, and again.

Everything that decides the result is in ``TrainingState`` and in the checkpoint, so
that a training stopped at any moment and continued ends with the very same bits.
"""

import copy
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from throughtime.errors import InvalidShape, TrainingError
from throughtime.losses import cross_entropy
from throughtime.training.bptt import Window, window_loss
from throughtime.training.clipping import clip_norm, clip_value, global_norm
from throughtime.training.config import TrainingConfig
from throughtime.training.optimizers import build_optimizer
from throughtime.training.records import (
    EventInfo,
    Record,
    StepInfo,
    ValidationInfo,
    to_json,
)
from throughtime.training.run_folder import RunFolder, copy_weights, random_state
from throughtime.training.schedules import Scale, next_scale

# So many updates in a row without a finite loss and gradient, and training goes back.
BAD_UPDATES = 5
# So many returns to one checkpoint, each at half the learning rate, and it gives up.
MOST_RETURNS = 10


@dataclass
class TrainingState:
    """Where a training stands.

    Attributes:
        step: updates so far.
        epoch: epochs done.
        window: first window that is not done in this epoch.
        carried: the network's state before it.
        seconds: training time.
        best: lowest validation loss.
        bad_epochs: epochs since then.
        bad_updates: updates in a row that were not finite.
        skipped: all that were not finite.
        returns: times training went back to its last checkpoint.
        factor: what halving left of the learning rate.
        schedule: what the schedule made of it.
        stopped: why training ended before its last epoch.
    """

    step: int = 0
    epoch: int = 0
    window: int = 0
    carried: Any = None
    seconds: float = 0.0
    best: float = math.inf
    bad_epochs: int = 0
    bad_updates: int = 0
    skipped: int = 0
    returns: int = 0
    factor: float = 1.0
    schedule: Scale = Scale()
    stopped: str = ""


def train(
    model: nn.Module,
    data: tuple[Tensor, ...],
    config: TrainingConfig,
    *,
    run: RunFolder | None = None,
    validate: Callable[[Any], float] | None = None,
    resume: bool = False,
    loss: Callable[..., Tensor] = cross_entropy,
) -> Iterator[Record]:
    """Train ``model`` on parallel streams and report every update.

    A generator: nothing happens until it is iterated. At the end ``model`` holds the
    best weights by validation, or the last ones without validation.

    Args:
        model: ``outputs, state = model(inputs, state)``, time first.
        data: inputs (T, B, ...), targets (T, B, ...), and, optional, a mask (T, B).
        config: how to train.
        run: where checkpoints and metrics go; None: nowhere.
        validate: mean loss of held-out data; called after every epoch.
        resume: continue from the last checkpoint of ``run``.
        loss: ``loss(outputs, targets, mask=..., reduction=...)``.

    Yields:
        StepInfo, ValidationInfo and EventInfo records.

    Raises:
        InvalidShape: the parts of ``data`` do not fit.
        RunError: a checkpoint cannot be read or written.
        TrainingError: the training keeps diverging.
    """
    inputs, targets, mask = _check_data(data)
    windows = list(config.method().windows(inputs.size(0)))
    loss = partial(loss, reduction=config.loss_reduction)
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = build_optimizer(
        config.optimizer, parameters, config.learning_rate, config.optimizer_options
    )
    at = TrainingState()
    memory: dict[str, Any] = {}  # checkpoint and best weights, if there is no run

    def save() -> None:
        nonlocal memory
        state = {
            "weights": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "random": random_state(),
            "progress": vars(at).copy(),
        }
        if run is None:
            memory = {**memory, "state": copy.deepcopy(state)}
        else:
            run.save_state({**state, "metrics_size": run.metrics_size()})

    def load() -> int:
        nonlocal at
        state = memory["state"] if run is None else run.load_state()
        copy_weights(model, state["weights"], "the last checkpoint")
        torch.set_rng_state(state["random"])
        if "progress" in state:
            optimizer.load_state_dict(copy.deepcopy(state["optimizer"]))
            at = TrainingState(**state["progress"])
            at.schedule = Scale(*at.schedule)
        return state.get("metrics_size", 0)

    def report(record: Record) -> Record:
        if run is not None:
            run.append_metrics(to_json(record))
        return record

    if resume and run is not None:
        run.truncate_metrics(load())
        if at.stopped == "time_budget" and at.seconds < (
            config.time_budget or math.inf
        ):
            at.stopped = ""
    save()

    while at.epoch < config.epochs and not at.stopped:
        model.train()
        while at.window < len(windows):
            start = time.perf_counter()
            rate = config.learning_rate * at.factor * at.schedule.scale
            for parameter_group in optimizer.param_groups:
                parameter_group["lr"] = rate
            group = windows[at.window : at.window + config.accumulate]
            optimizer.zero_grad(set_to_none=True)
            value, carried, tokens = 0.0, at.carried, 0
            for window in group:
                part, carried = window_loss(
                    model, inputs, targets, carried, window, loss, mask
                )
                (part / len(group)).backward()
                counted = _count(window, targets, mask)
                scale = max(counted, 1) if config.loss_reduction == "sum" else 1
                value += part.item() / scale / len(group)
                tokens += counted
            norm = global_norm(p.grad for p in parameters if p.grad is not None).item()
            good = math.isfinite(value) and math.isfinite(norm)
            if good:
                if config.max_value is not None:
                    clip_value(parameters, config.max_value)
                if config.max_norm is not None:
                    clip_norm(parameters, config.max_norm)
                optimizer.step()
                at.carried, at.bad_updates = carried, 0
            else:
                at.skipped += 1
                at.bad_updates += 1
                at.carried = carried if _finite(carried) else None
            at.step += 1
            at.window += len(group)
            seconds = time.perf_counter() - start
            at.seconds += seconds
            info = StepInfo(
                step=at.step,
                epoch=at.epoch + 1,
                fraction=(at.epoch + at.window / len(windows)) / config.epochs,
                loss=value,
                grad_norm=norm,
                clipped=good and config.max_norm is not None and norm > config.max_norm,
                skipped=not good,
                learning_rate=rate,
                tokens=tokens,
                tokens_per_second=tokens / seconds,
                seconds=at.seconds,
            )
            if at.step % config.log_every == 0 or not good:
                report(info)
            yield info
            if not good:
                yield report(
                    EventInfo(
                        at.step,
                        "skipped",
                        f"update {at.step} was skipped: loss {value:g}, gradient norm "
                        f"{norm:g}",
                    )
                )
            if at.bad_updates == BAD_UPDATES:
                factor, skipped, returns = at.factor / 2, at.skipped, at.returns + 1
                if returns > MOST_RETURNS:
                    raise TrainingError(
                        f"training diverges again and again, {MOST_RETURNS} returns to "
                        "the last good checkpoint did not help; use a lower "
                        "learning_rate or max_norm, and look for values in the data "
                        "that are not finite"
                    )
                load()
                at.factor, at.skipped, at.returns = factor, skipped, returns
                yield report(
                    EventInfo(
                        at.step,
                        "restored",
                        f"{BAD_UPDATES} updates in a row were not finite: back to the "
                        f"checkpoint of update {at.step}, learning rate halved to "
                        f"{config.learning_rate * factor * at.schedule.scale:g}",
                    )
                )
                continue
            if config.time_budget is not None and at.seconds >= config.time_budget:
                break
            if at.step % config.checkpoint_every == 0 and at.bad_updates == 0:
                at.returns = 0
                save()
        if at.window < len(windows):
            at.stopped = "time_budget"
            yield report(
                EventInfo(
                    at.step,
                    "time_budget",
                    f"the time budget of {config.time_budget:g} s ended the training "
                    f"in epoch {at.epoch + 1}",
                )
            )
        else:
            at.epoch, at.window, at.carried = at.epoch + 1, 0, None
        held_out = None if validate is None else validate(model)
        # Without validation every epoch counts as the best so far.
        improved = held_out is None or held_out < at.best
        at.best = at.best if held_out is None else min(at.best, held_out)
        at.bad_epochs = 0 if improved else at.bad_epochs + 1
        if not at.stopped:
            at.schedule = next_scale(
                config.schedule,
                at.schedule,
                epochs_done=at.epoch,
                epochs=config.epochs,
                improved=improved,
                decay=config.decay,
                decay_after=config.decay_after,
                patience=config.patience,
            )
        if held_out is not None:
            yield report(
                ValidationInfo(
                    step=at.step,
                    epoch=at.epoch + bool(at.stopped),
                    loss=held_out,
                    best=at.best,
                    improved=improved,
                    learning_rate=config.learning_rate * at.factor * at.schedule.scale,
                    seconds=at.seconds,
                )
            )
        if improved:
            if run is None:
                memory = {**memory, "best": copy.deepcopy(model.state_dict())}
            else:
                run.save_weights(model)
        if config.early_stopping is not None and at.bad_epochs >= config.early_stopping:
            at.stopped = "early_stopping"
            yield report(
                EventInfo(
                    at.step,
                    "early_stopping",
                    f"no improvement in {at.bad_epochs} epochs: stopped after epoch "
                    f"{at.epoch}",
                )
            )
        at.returns = 0
        save()
    if run is None:
        if "best" in memory:
            copy_weights(model, memory["best"], "the best checkpoint")
    else:
        run.load_weights(model)


def _check_data(data: tuple[Tensor, ...]) -> tuple[Tensor, Tensor, Tensor | None]:
    if len(data) not in (2, 3):
        raise InvalidShape(
            f"data must be (inputs, targets) or (inputs, targets, mask), got "
            f"{len(data)} parts"
        )
    inputs, targets = data[:2]
    mask = data[2] if len(data) == 3 else None
    for name, part in (("targets", targets), ("mask", mask)):
        if part is not None and part.shape[:2] != inputs.shape[:2]:
            raise InvalidShape(
                f"{name} must have the steps and streams of inputs, "
                f"{tuple(inputs.shape[:2])}, got {tuple(part.shape[:2])}"
            )
    if inputs.size(0) == 0:
        raise InvalidShape("inputs have no steps, at least one is needed")
    return inputs, targets, mask


def _count(window: Window, targets: Tensor, mask: Tensor | None) -> int:
    """Targets whose loss counts in a window."""
    if mask is not None:
        return int(mask[window.loss_start : window.stop].sum())
    return (window.stop - window.loss_start) * targets.size(1)


def _finite(state: Any) -> bool:
    """Whether every number of a nested state is finite."""
    if isinstance(state, Tensor):
        return bool(torch.isfinite(state).all())
    return all(_finite(part) for part in state or ())
