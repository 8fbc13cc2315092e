"""The kinds of inputs by name; each is imported when it is asked for."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from throughtime.errors import DataError, unknown_name
from throughtime.tasks.inputs.base import Inputs
from throughtime.tasks.task import RawExample

KINDS = {
    "text": "throughtime.tasks.inputs.text:TextInputs",
    "series": "throughtime.tasks.inputs.series:SeriesInputs",
    "audio": "throughtime.tasks.inputs.audio:AudioInputs",
    "image": "throughtime.tasks.inputs.image:ImageInputs",
    "vector": "throughtime.tasks.inputs.vector:VectorInputs",
}


def input_kind(kind: str) -> type[Inputs]:
    """The class of one kind of inputs.

    Raises:
        InvalidValue: unknown; the message lists the known ones.

    >>> input_kind("text").__name__
    'TextInputs'
    """
    if kind not in KINDS:
        raise unknown_name("kind of input", kind, KINDS)
    module, _, name = KINDS[kind].partition(":")
    return getattr(import_module(module), name)


def build_inputs(kind: str, raw: Sequence[RawExample], options: Any) -> Inputs:
    """Inputs of one kind that have learnt from the training examples.

    Raises:
        DataError: the examples cannot be used; it names file and line.
        InvalidValue: unknown kind.
    """
    return input_kind(kind).fit(raw, options)


def inputs_to_dict(inputs: Inputs) -> dict[str, Any]:
    """What inputs have learnt, and their kind, as JSON."""
    return {**inputs.to_dict(), "kind": inputs.kind}


def inputs_from_dict(values: Mapping[str, Any], options: Any) -> Inputs:
    """The inputs of an ``inputs_to_dict``.

    Raises:
        DataError: damaged.
        InvalidValue: unknown kind.
    """
    if "kind" not in values:
        raise DataError("the inputs are damaged: their kind is missing")
    return input_kind(values["kind"]).from_dict(values, options)
