"""The unrolled network as a dependency graph, in Graphviz's dot language.

Every step has its x_t, the states of all layers, o_t and L_t; the weights, which all
steps share, stand outside, with one arrow per occurrence. The paths from a weight to L
are those that its gradient sums over, see ``paths``.
"""

from collections.abc import Iterator

from throughtime.checks import positive_int
from throughtime.errors import InvalidType
from throughtime.layers import Recurrent


def graph(layer: Recurrent, steps: int) -> str:
    r"""An unrolled layer as text for Graphviz: ``dot -Tsvg graph.dot > graph.svg``.

    Nodes are named ``x_t``; ``h_t_l0`` for the state of a layer after step t, with its
    fields in the label, and ``h_0_l0`` for the initial one (``_reverse`` in the other
    direction, which starts at T+1); ``o_t``; ``L_t``; ``L``; and by parameter, such as
    ``weight_hh_l0``. The read-out of the top layer is drawn as ``weight_ho``. Biases
    and parameters per unit are left out.

    Args:
        layer: a layer such as ``tt.LSTM`` or ``tt.Recurrent``.
        steps: T.

    Raises:
        InvalidType: no layer of this package, or ``steps`` no int.
        InvalidValue: ``steps`` is not positive.

    >>> import throughtime as tt
    >>> text = graph(tt.RNN(3, 4), 3)
    >>> print(*text.splitlines()[:3], sep="\n")
    digraph unrolled {
      rankdir=BT;
      x_1 [label="x_1", shape=box];
    >>> "h_1_l0 -> h_2_l0;" in text, "weight_hh_l0 -> h_3_l0 [style=dashed];" in text
    (True, True)
    """
    if not isinstance(layer, Recurrent):
        raise InvalidType(
            "layer should be a recurrent layer of throughtime, got: "
            f"{type(layer).__name__}; a cell becomes one by tt.Recurrent(cell)"
        )
    steps = positive_int("steps", steps)
    lines = [
        "rankdir=BT;",
        *_nodes(layer, steps),
        *_arrows(layer, steps),
        *_weights(layer, steps),
    ]
    return "\n".join(["digraph unrolled {", *(f"  {line}" for line in lines), "}\n"])


def _nodes(layer: Recurrent, steps: int) -> Iterator[str]:
    for t in range(1, steps + 1):
        yield f'x_{t} [label="x_{t}", shape=box];'
        yield f'o_{t} [label="o_{t}"];'
        yield f'L_{t} [label="L_{t}"];'
    for cell, suffix in zip(layer.cells, layer.suffixes, strict=True):
        for t in [_first(suffix, steps), *range(1, steps + 1)]:
            label = ", ".join(f"{name}_{t}" for name in cell.State._fields)
            yield f'{_state(t, suffix)} [label="{label}"];'
        # All steps of a layer side by side.
        row = "; ".join(_state(t, suffix) for t in range(1, steps + 1))
        yield f"{{ rank=same; {row}; }}"
    yield 'L [label="L", shape=box];'


def _arrows(layer: Recurrent, steps: int) -> Iterator[str]:
    directions = layer.num_directions
    for t in range(1, steps + 1):
        below = [f"x_{t}"]
        for first in range(0, len(layer.cells), directions):
            here = layer.suffixes[first : first + directions]
            for suffix in here:
                state = _state(t, suffix)
                yield from (f"{node} -> {state};" for node in below)
                before = t - 1 if _first(suffix, steps) == 0 else t + 1
                yield f"{_state(before, suffix)} -> {state};"
            # With a residual connection, what enters a layer also goes around it.
            around = below if layer.residual and first > 0 else []
            below = [_state(t, suffix) for suffix in here] + around
        yield from (f"{node} -> o_{t};" for node in below)
        yield f"o_{t} -> L_{t};"
        yield f"L_{t} -> L;"


def _weights(layer: Recurrent, steps: int) -> Iterator[str]:
    shared = {
        f"{name}{suffix}": [_state(t, suffix) for t in range(1, steps + 1)]
        for cell, suffix in zip(layer.cells, layer.suffixes, strict=True)
        for name, shape in cell.parameter_shapes().items()
        if name.startswith("weight_") and len(shape) == 2
    }
    shared["weight_ho"] = [f"o_{t}" for t in range(1, steps + 1)]
    for name, targets in shared.items():
        yield f'{name} [label="{name}", shape=box, style=dashed];'
        yield from (f"{name} -> {node} [style=dashed];" for node in targets)


def _state(t: int, suffix: str) -> str:
    return f"h_{t}{suffix}"


def _first(suffix: str, steps: int) -> int:
    """The time of the initial state."""
    return steps + 1 if suffix.endswith("_reverse") else 0
