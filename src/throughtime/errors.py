"""Every error that throughtime raises on purpose, one class per kind of mistake.

Each class is also the built-in (or torch) error that a caller would expect, so
``except ValueError`` written for ``torch.nn`` keeps working. The text of an error
says which argument, what was expected, what came, and the usual fix.
"""

from collections.abc import Iterable


class ThroughtimeError(Exception):
    """Base class of all errors raised by this package."""


class InvalidValue(ThroughtimeError, ValueError):
    """An argument has the right type but a value that cannot be used."""


class InvalidType(ThroughtimeError, TypeError):
    """An argument has the wrong type."""


class InvalidShape(ThroughtimeError, RuntimeError):
    """A tensor has the wrong shape (torch raises RuntimeError for these)."""


class InvalidCell(ThroughtimeError, ValueError):
    """The definition of a cell breaks a rule; the text shows the line and the rule."""


class DataError(ThroughtimeError, ValueError):
    """A file or text given by the user cannot be used."""


class RunError(ThroughtimeError, RuntimeError):
    """A run folder is missing, damaged, or does not fit what is asked of it."""


class TrainingError(ThroughtimeError, RuntimeError):
    """Training cannot go on, for example because it keeps diverging."""


class TeamStopped(TrainingError):
    """Another process of the team failed first, and says why."""


def unknown_name(kind: str, name: object, known: Iterable[str]) -> InvalidValue:
    """The error for a name that is not in a table: it lists the known names.

    >>> str(unknown_name("cell", "lstn", ["gru", "lstm"]))
    "unknown cell 'lstn': known are gru, lstm"
    """
    return InvalidValue(f"unknown {kind} {name!r}: known are {', '.join(known)}")
