"""The training loop: forward, backward through time, clip, step, and again.

Everything that decides the result is in ``TrainingState`` and in the checkpoint, so
that a training stopped at any moment and continued ends with the very same bits.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from throughtime.data.examples import Examples
from throughtime.errors import InvalidValue, TrainingError
from throughtime.training.adaptive import Reach
from throughtime.training.config import TrainingConfig
from throughtime.training.door import check_begin, check_needs, check_team
from throughtime.training.examples import ExampleSource
from throughtime.training.hessian_free import HessianFree
from throughtime.training.memory_run import MemoryRun
from throughtime.training.nt_asgd import NTASGD
from throughtime.training.optimizers import (
    averaged,
    build_optimizer,
    load_optimizer_state,
)
from throughtime.training.records import (
    EventInfo,
    Record,
    StepInfo,
    ValidationInfo,
    to_json,
)
from throughtime.training.run_folder import RunFolder, copy_weights
from throughtime.training.schedules import next_scale
from throughtime.training.source import Source, Streams
from throughtime.training.team import ALONE, Team
from throughtime.training.team_run import TeamRun
from throughtime.training.team_update import sum_over_team
from throughtime.training.training_state import (
    TrainingState,
    random_state,
    set_random_state,
)
from throughtime.training.update import clip

# So many updates in a row without a finite loss and gradient, and training goes back.
BAD_UPDATES = 5
# So many returns to one checkpoint, each at half the learning rate, and it gives up.
MOST_RETURNS = 10


def train(
    model: nn.Module,
    data: tuple[Tensor, ...] | Examples,
    config: TrainingConfig,
    *,
    run: RunFolder | None = None,
    validate: Callable[[Any], float] | None = None,
    resume: bool = False,
    loss: Callable[..., Tensor] | None = None,
    team: Team = ALONE,
) -> Iterator[Record]:
    """Train ``model`` on parallel streams, or on examples, and report every update.

    A generator: nothing happens until it is iterated. At the end ``model`` holds the
    best weights by validation, or the last ones without validation.

    Args:
        model: ``outputs, state = model(inputs, state)``, time first; state is None at
            the beginning, and whatever the model returns from then on. For examples an
            ``ExampleModel``.
        data: inputs (T, B, ...), targets (T, B, ...), and, optional, a mask (T, B); or
            separate sequences, see ``Examples``.
        config: how to train.
        run: where checkpoints and metrics go; None: nowhere.
        validate: mean loss of held-out data; called after every epoch.
        resume: continue from the last checkpoint of ``run``.
        loss: ``loss(outputs, targets, mask=..., reduction=...)``; default: the model's
            own loss if it offers one, see ``losses.OwnLoss``, or else
            ``losses.cross_entropy``. Models of examples have their own.
        team: processes that train together, see ``join_team``. Each of them calls this
            with the same arguments, ``data`` being the joined batch, and trains on its
            own streams of it; the first one alone validates and touches ``run``.

    Yields:
        StepInfo, ValidationInfo and EventInfo records.

    Raises:
        InvalidShape: the parts of ``data`` do not fit.
        InvalidType: a model of examples without ``batch_loss``.
        InvalidValue: the config needs ``validate``, or ``resume`` a ``run``; there
            are fewer streams than processes; or an option does not fit the data.
        RunError: a checkpoint cannot be read or written, or is of another training.
        TrainingError: the training keeps diverging.

    >>> import torch
    >>> model, x = nn.RNN(1, 4), torch.randn(20, 2, 1)
    >>> config = TrainingConfig(tau=5, epochs=1)
    >>> records = list(train(model, (x, torch.zeros(20, 2).long()), config))
    >>> [record.step for record in records]
    [1, 2, 3, 4]
    """
    check_needs(config, run, validate, resume)
    source = _source(model, data, config, loss, team)
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = build_optimizer(
        config.optimizer, parameters, config.first_rate, config.optimizer_options
    )
    budget = math.inf if config.time_budget is None else config.time_budget
    store = TeamRun(team, MemoryRun() if run is None else run, source)
    at, device = TrainingState(), next(model.parameters()).device

    def save() -> None:
        store.save_state(
            {
                "weights": model.state_dict(),
                "optimizer": optimizer.state_dict(),
                "random": random_state(),
                "progress": vars(at),
                "config": config.to_dict(),
                "data": source.shape,
                "metrics_size": store.metrics_size(),
            }
        )

    def load(state: Mapping[str, Any]) -> TrainingState:
        copy_weights(model, state["weights"], "the last checkpoint")
        set_random_state(state["random"])
        if "progress" not in state:  # the run has been made, and no more
            return TrainingState()
        load_optimizer_state(optimizer, state["optimizer"])
        return TrainingState.from_dict(state["progress"], device)

    def report(record: Record) -> Record:
        store.append_metrics(to_json(record))
        return record

    if run is not None:
        state = store.load_state()
        check_begin(run, state, config, source.shape, resume)
        if resume:
            at = load(state)
            if at.stopped == "time_budget" and at.seconds < budget:
                at.stopped = ""
        store.truncate_metrics(state.get("metrics_size", 0) if resume else 0)
        store.remove_leftovers()
    if not resume:
        store.start()
        store.save_weights(model, {"step": 0})
    save()

    while at.epoch < config.epochs and not at.stopped:
        model.train()
        while at.counted < source.size and at.seconds < budget:
            began = time.perf_counter()
            reach = source.measure(at)
            if reach is not None:
                at.reach = int(team.first(reach.tau))
                yield report(_measured(at, reach))
            rate = config.first_rate * at.scale
            for parameter_group in optimizer.param_groups:
                parameter_group["lr"] = rate
            optimizer.zero_grad(set_to_none=True)

            # Forward and backward through time.
            gradient = source.gradient(at, optimizer)
            gradient, finite = sum_over_team(team, gradient, parameters)
            value, tokens, norm = gradient.loss, gradient.targets, gradient.norm

            # Clip and step, unless there is nothing sensible to step along.
            good, clipped = math.isfinite(value) and math.isfinite(norm), False
            if good and not isinstance(optimizer, HessianFree):
                clipped = clip(parameters, config, at.norms, norm)
                optimizer.step()
            at.step += 1
            at.start, at.counted, _ = gradient.position
            at.carried = gradient.carried if finite else at.carried
            at.bad_updates = 0 if good else at.bad_updates + 1
            at.skipped += not good
            seconds = team.first(time.perf_counter() - began)
            at.seconds += seconds

            info = StepInfo(
                step=at.step,
                epoch=at.epoch + 1,
                fraction=(at.epoch + at.counted / source.size) / config.epochs,
                loss=value,
                grad_norm=norm,
                clipped=clipped,
                skipped=not good,
                learning_rate=rate,
                tokens=tokens,
                tokens_per_second=tokens / max(seconds, 1e-9),
                seconds=at.seconds,
            )
            if at.step % config.log_every == 0 or not good:
                report(info)
            yield info
            if not good:
                yield report(_skipped(info))
            if at.bad_updates == BAD_UPDATES:
                at = _go_back(at, load(store.load_state()))
                event = report(_restored(at, config.first_rate * at.scale))
                save()
                yield event
            elif at.step % config.checkpoint_every == 0 and at.bad_updates == 0:
                at.returns = 0
                save()

        # The end of an epoch, or of the time within one.
        whole = at.counted == source.size
        epoch = at.epoch + 1
        if whole:
            at.epoch, at.start, at.counted, at.carried = epoch, 0, 0, None
        held_out = None
        if validate is not None:
            with averaged(optimizer):
                held_out = team.first(validate(model) if team.is_first else 0.0)
        # Without validation the latest weights count as the best.
        improved = held_out is None or held_out < at.best
        best = at.best if held_out is None else min(at.best, held_out)
        if whole:  # a part of an epoch decides nothing about those to come
            at.best = best
            at.bad_epochs = 0 if improved else at.bad_epochs + 1
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
        if improved:
            with averaged(optimizer):
                notes = {"step": at.step, "validation_loss": held_out}
                store.save_weights(model, notes)
        if whole and held_out is not None and isinstance(optimizer, NTASGD):
            optimizer.observe(held_out)
        if held_out is not None:
            yield report(
                ValidationInfo(
                    step=at.step,
                    epoch=epoch,
                    loss=held_out,
                    best=best,
                    improved=improved,
                    learning_rate=config.first_rate * at.scale,
                    seconds=at.seconds,
                )
            )
        if config.early_stopping is not None and at.bad_epochs >= config.early_stopping:
            at.stopped = "early_stopping"
            message = f"no improvement in the last {at.bad_epochs} epochs"
            yield report(EventInfo(at.step, at.stopped, message))
        elif at.seconds >= budget and at.epoch < config.epochs:
            at.stopped = "time_budget"
            message = f"the time budget of {budget:g} s ended training in epoch {epoch}"
            yield report(EventInfo(at.step, at.stopped, message))
        # A checkpoint is a point worth going back to: its last update was good.
        if at.bad_updates == 0:
            at.returns = 0
        if at.bad_updates == 0 or at.stopped or at.epoch == config.epochs:
            save()
    store.load_weights(model)


def _source(
    model: nn.Module,
    data: tuple[Tensor, ...] | Examples,
    config: TrainingConfig,
    loss: Callable[..., Tensor] | None,
    team: Team,
) -> Source:
    """What the gradients come from."""
    if isinstance(data, Examples):
        if loss is not None:
            raise InvalidValue(
                "loss is that of the model's own batch_loss for examples; leave it out"
            )
        check_team(team, config, config.batch_size)
        return ExampleSource(model, data, config, team)
    source = Streams(model, data, config, loss, team)
    check_team(team, config, source.shape[1])
    return source


def _measured(at: TrainingState, reach: Reach) -> EventInfo:
    message = f"the gradient reaches back {reach.tau} steps ({reach})"
    return EventInfo(at.step, "reach", message, reach.tau)


def _skipped(info: StepInfo) -> EventInfo:
    return EventInfo(
        info.step,
        "skipped",
        f"update {info.step} was skipped: loss {info.loss:g}, gradient norm "
        f"{info.grad_norm:g}",
    )


def _restored(at: TrainingState, learning_rate: float) -> EventInfo:
    return EventInfo(
        at.step,
        "restored",
        f"{BAD_UPDATES} updates in a row were not finite: back to the checkpoint of "
        f"update {at.step}, learning rate halved to {learning_rate:g}",
    )


def _go_back(now: TrainingState, checkpoint: TrainingState) -> TrainingState:
    """The checkpoint at half the learning rate; time and counters go on.

    Raises:
        TrainingError: this has been tried too often.
    """
    if now.returns == MOST_RETURNS:
        raise TrainingError(
            f"training diverges again and again, {MOST_RETURNS} returns to the last "
            "good checkpoint did not help; use a lower learning_rate or max_norm, and "
            "look for values in the data that are not finite"
        )
    return replace(
        checkpoint,
        factor=now.factor / 2,
        returns=now.returns + 1,
        skipped=now.skipped,
        seconds=now.seconds,
    )
