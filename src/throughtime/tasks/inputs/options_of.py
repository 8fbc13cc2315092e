"""The options of one kind of inputs, taken from those of a task."""

from dataclasses import fields
from typing import Any, TypeVar

Options = TypeVar("Options")


def options_of(kind: type[Options], options: Any, **otherwise: Any) -> Options:
    """The options of a class by their names; a task need not offer all of them.

    Args:
        kind: dataclass of options.
        options: of the task.
        otherwise: values of those that the task does not offer, where they are other
            than the defaults.

    Raises:
        InvalidType: an option has the wrong type.
        InvalidValue: it has a value that cannot be used.
    """
    names = [field.name for field in fields(kind)]  # pyright: ignore[reportArgumentType]
    given = {name: getattr(options, name) for name in names if hasattr(options, name)}
    return kind(**{**otherwise, **given})
