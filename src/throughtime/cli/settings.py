"""``--set key=value``: every option of model, cell, optimiser and training by name."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

from throughtime.cells import cell_options
from throughtime.cli.lm_kinds import option_names
from throughtime.errors import InvalidValue, unknown_name
from throughtime.models.output import output_options
from throughtime.training import TrainingConfig

# Options of the vocabulary, see throughtime.data.build_vocabulary.
VOCABULARY = {"vocabulary_size": "size", "min_frequency": "min_frequency"}
_OPTIMIZER = "optimizer."


@dataclass(frozen=True)
class Settings:
    """Settings sorted by what they belong to."""

    model: dict[str, Any]
    training: dict[str, Any]
    vocabulary: dict[str, Any]


def parse_value(text: str) -> Any:
    """The value meant by the text after the ``=``.

    >>> [parse_value(text) for text in ("true", "0.5", "none", "relu")]
    [True, 0.5, None, 'relu']
    """
    if text.lower() == "none":
        return None
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def split_pairs(pairs: Iterable[str]) -> dict[str, Any]:
    """Keys and values of ``key=value`` pairs.

    Raises:
        InvalidValue: no ``=``, or a key given twice.
    """
    values: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        key = key.strip()
        if not equals:
            raise InvalidValue(f"--set {pair!r}: expected key=value, as in tied=true")
        if key in values:
            raise InvalidValue(f"--set {key} is given twice; keep one")
        values[key] = parse_value(text.strip())
    return values


def sort_settings(cell: str, pairs: Iterable[str], kind: str = "rnn") -> Settings:
    """Sort ``key=value`` pairs into options of the model, the training and the rest.

    A key may name an option of the language model, of its cell, of its output layer, of
    the training, of the vocabulary, or, as ``optimizer.NAME``, of the optimiser.

    Args:
        cell: of a recurrent model.
        pairs: what was given.
        kind: ``rnn`` or ``window``.

    Raises:
        InvalidValue: no ``=``, a key given twice, or an unknown key.
    """
    values = split_pairs(pairs)
    model_keys = option_names(kind)
    output_keys = output_options(values.get("output", "full"))
    training_keys = {f.name for f in fields(TrainingConfig)} - {"optimizer_options"}
    cell_keys: set[str] = set()
    model: dict[str, Any] = {}
    if kind == "rnn":
        cell_keys = set(cell_options(cell)) - model_keys
        model = {"cell": cell, "cell_options": {}}
    training: dict[str, Any] = {"optimizer_options": {}}
    vocabulary: dict[str, Any] = {}
    for key, value in values.items():
        if key in model_keys:
            model[key] = value
        elif key in output_keys:
            model.setdefault("output_options", {})[key] = value
        elif key in cell_keys:
            model["cell_options"][key] = value
        elif key in training_keys:
            training[key] = value
        elif key in VOCABULARY:
            vocabulary[VOCABULARY[key]] = value
        elif key.startswith(_OPTIMIZER):
            training["optimizer_options"][key.removeprefix(_OPTIMIZER)] = value
        else:
            known = {*model_keys, *cell_keys, *output_keys, *training_keys}
            known = sorted({*known, *VOCABULARY})
            raise unknown_name("option in --set", key, [*known, "optimizer.NAME"])
    return Settings(model, training, vocabulary)
