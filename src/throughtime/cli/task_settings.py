"""Options of a task by name, sorted by what they belong to."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from throughtime.cells import cell_options
from throughtime.cli.settings import split_pairs
from throughtime.errors import InvalidValue, unknown_name
from throughtime.models.network import NONE
from throughtime.tasks.task import Task
from throughtime.training import TrainingConfig

_OPTIMIZER = "optimizer."


def _names(kind: type) -> set[str]:
    """The fields that are always a name."""
    return {f.name for f in fields(kind) if f.type in (str, "str")}


@dataclass(frozen=True)
class TaskSettings:
    """Options sorted by what they belong to."""

    options: dict[str, Any]
    model: dict[str, Any]
    training: dict[str, Any]


def sort_task_settings(
    kind: type[Task], given: Mapping[str, Any], pairs: Iterable[str]
) -> TaskSettings:
    """Sort what the command line says; what it leaves open is as usual for the task.

    Args:
        kind: the task.
        given: options with a name of their own on the command line.
        pairs: ``key=value`` for any others: options of the task, its model, cell and
            training, and, as ``optimizer.NAME``, of the optimiser.

    Raises:
        InvalidValue: no ``=``, a key given twice, or an unknown key.
    """
    more = split_pairs(pairs)
    for key in more:
        if key in given:
            raise InvalidValue(f"{key} is given twice; keep one")
    usual = dict(kind.usual)
    if "optimizer" in {*given, *more}:  # another one has other options
        usual = {k: v for k, v in usual.items() if not k.startswith(_OPTIMIZER)}
    values = {**usual, **given, **more}
    if "tau" in values and "truncation" not in values:
        values["truncation"] = "chunked"
    option_keys = {f.name for f in fields(kind.options_type)}
    model_keys = {f.name for f in fields(kind.config_type)} - {"cell_options"}
    training_keys = {f.name for f in fields(TrainingConfig)} - {"optimizer_options"}
    cell = values.get("cell", "lstm")
    cell_keys = set() if cell == NONE else set(cell_options(cell))
    cell_keys -= {*option_keys, *model_keys, *training_keys}
    found = TaskSettings({}, {"cell": cell}, {"optimizer_options": {}})
    names = _names(kind.options_type) | _names(kind.config_type)
    for key, value in values.items():
        if value is None and key in names:
            value = NONE  # the name, as in attention=none
        if key in option_keys:
            found.options[key] = value
        elif key in model_keys:
            if cell == NONE and key == "bidirectional" and key not in {*given, *more}:
                continue  # what is usual is about hidden states
            found.model[key] = value
        elif key in cell_keys:
            found.model.setdefault("cell_options", {})[key] = value
        elif key in training_keys:
            found.training[key] = value
        elif key.startswith(_OPTIMIZER):
            name = key.removeprefix(_OPTIMIZER)
            found.training["optimizer_options"][name] = value
        else:
            known = sorted({*option_keys, *model_keys, *cell_keys, *training_keys})
            raise unknown_name("option in --set", key, [*known, "optimizer.NAME"])
    return found
