"""The kinds of language model of ``--model``, and what each is built from."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import torch
from torch import Tensor

from throughtime.cells import cell_title
from throughtime.errors import InvalidValue, unknown_name
from throughtime.models import (
    FixedWindowConfig,
    FixedWindowLM,
    LanguageModel,
    LanguageModelConfig,
)
from throughtime.models.output import needs_counts

KINDS = ("rnn", "window", "ngram")
Network = LanguageModel | FixedWindowLM
NetworkConfig = LanguageModelConfig | FixedWindowConfig

_CONFIGS: dict[str, type[NetworkConfig]] = {
    "rnn": LanguageModelConfig,
    "window": FixedWindowConfig,
}


def check_kind(kind: str) -> str:
    """The kind itself.

    Raises:
        InvalidValue: unknown.
    """
    if kind not in KINDS:
        raise unknown_name("--model", kind, KINDS)
    return kind


def check_options(
    kind: str | None,
    resume: object,
    *,
    counting: Mapping[str, Any],
    training: Mapping[str, Any],
) -> str:
    """The kind of model, ``rnn`` if none is named; options of another are refused.

    Args:
        kind: what ``--model`` says.
        resume: the run that is continued, which knows its kind itself.
        counting: options of n-gram models as they are typed; None: not given.
        training: options of networks by key; None: not given.

    Raises:
        InvalidValue: an unknown kind, or an option of another.
    """
    chosen = check_kind("rnn" if kind is None else kind)
    given = [name for name, value in counting.items() if value is not None]
    if chosen != "ngram" and given:
        raise InvalidValue(f"{given[0]} is an option of --model ngram; add that")
    if resume is not None:
        return "rnn" if chosen == "ngram" else chosen
    others = {"ngram": set(training) - {"memory"}, "rnn": {"window"}}
    others["window"] = {"cell", "num_layers"}
    for key in sorted(others[chosen]):
        if training.get(key) is not None:
            option = "--" + key.replace("_", "-")
            raise InvalidValue(
                f"{option} is no option of --model {chosen}; leave it out, or choose "
                "another --model"
            )
    return chosen


def option_names(kind: str) -> set[str]:
    """The options of a network's config."""
    left_out = {"cell", "cell_options", "output_options"}
    return {f.name for f in fields(_CONFIGS[kind])} - left_out


def network_config(kind: str, values: Mapping[str, Any]) -> NetworkConfig:
    """The config of a network with these entries.

    Raises:
        InvalidType: an entry has the wrong type.
        InvalidValue: an unknown entry, or one out of range.
    """
    return _CONFIGS[kind].from_dict(values)


def build_network(
    vocabulary_size: int, config: NetworkConfig, counts: Tensor | None = None
) -> Network:
    """The network of a config, with fresh weights.

    Args:
        vocabulary_size: V.
        config: what it is made of.
        counts: how often each token occurs in the training text, (V,); None where the
            weights are about to be loaded, and what was made of the counts with them.

    Raises:
        InvalidValue: options that do not fit together.
    """
    if counts is None and needs_counts(config.output):
        counts = torch.ones(vocabulary_size)
    if isinstance(config, LanguageModelConfig):
        return LanguageModel(vocabulary_size, config, counts=counts)
    return FixedWindowLM(vocabulary_size, config, counts=counts)


def describe(model: Network) -> str:
    """What kind of network it is, in a few words."""
    if isinstance(model, LanguageModel):
        return cell_title(model.config.cell)
    return f"fixed window of {model.config.window} tokens"


def backend_used(model: Network) -> str:
    """What runs the time loop, if there is one."""
    if isinstance(model, LanguageModel):
        return model.recurrent.backend_used
    return "torch"
