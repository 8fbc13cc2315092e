"""The output layers of neural language models by name.

``full``
    the softmax over all words.
``adaptive``
    frequent words first, rare ones in groups of less capacity.
``sampled``
    the softmax over all words, trained on the targets and a sample of the others.
``class``
    the class of the word, then the word in its class.

All but the first make large vocabularies cheap to learn, and need to know how often
each word occurs.
"""

from collections.abc import Mapping
from typing import Any

from throughtime.errors import InvalidType, InvalidValue, unknown_name
from throughtime.models.output_adaptive import AdaptiveOutput
from throughtime.models.output_base import Output
from throughtime.models.output_class import ClassOutput
from throughtime.models.output_full import FullOutput
from throughtime.models.output_sampled import SampledOutput

_TABLE: dict[str, type[Output]] = {
    "full": FullOutput,
    "adaptive": AdaptiveOutput,
    "sampled": SampledOutput,
    "class": ClassOutput,
}
OUTPUTS = tuple(_TABLE)


def check_output(name: Any, options: Any, *, tied: bool) -> None:
    """Raise unless there is such an output with such options.

    Raises:
        InvalidType: options that are no mapping.
        InvalidValue: unknown name or option, or ``tied`` with an output that has
            weights of its own.
    """
    if name not in OUTPUTS:
        raise unknown_name("output", name, OUTPUTS)
    if not isinstance(options, Mapping):
        raise InvalidType(
            f"output_options should be a mapping, got {type(options).__name__}"
        )
    for option in options:
        if option not in _TABLE[name].options:
            known = _TABLE[name].options or ("none",)
            raise unknown_name(f"option of the output {name!r}", option, known)
    if tied and not _TABLE[name].reads_words:
        raise InvalidValue(
            f"tied=true shares the embedding with the output, and output {name!r} has "
            "weights of another shape; use output 'full' or 'sampled', or tied=false"
        )


def output_options(name: str) -> tuple[str, ...]:
    """The options of an output.

    Raises:
        InvalidValue: unknown output.

    >>> output_options("sampled")
    ('samples', 'proposal')
    """
    if name not in OUTPUTS:
        raise unknown_name("output", name, OUTPUTS)
    return tuple(_TABLE[name].options)


def needs_counts(name: str) -> bool:
    """Whether the output is built from how often each word occurs.

    Raises:
        InvalidValue: unknown output.

    >>> needs_counts("full"), needs_counts("class")
    (False, True)
    """
    if name not in OUTPUTS:
        raise unknown_name("output", name, OUTPUTS)
    return _TABLE[name].needs_counts


def build_output(
    name: str,
    vocabulary_size: int,
    hidden_size: int,
    options: Mapping[str, Any],
    counts: Any,
    *,
    init_range: float,
) -> Output:
    """The output layer of this name.

    Raises:
        InvalidValue: see the output's own class.
    """
    kind = _TABLE[name]
    if kind is FullOutput:
        return FullOutput()
    build: Any = kind
    return build(vocabulary_size, hidden_size, counts, init_range=init_range, **options)
