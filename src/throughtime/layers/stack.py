"""The cells of a stack of layers, and checks that they fit together."""

from collections.abc import Mapping, Sequence

from throughtime.cells import Cell
from throughtime.checks import positive_int, probability
from throughtime.errors import InvalidType, InvalidValue, unknown_name


def stack_cells(
    cell: Cell | Sequence[Cell], num_layers: int | None, directions: int
) -> list[Cell]:
    """One cell per layer and direction, forward before backward, bottom first.

    Args:
        cell: the first layer's cell, copied in kind for the others; or one per layer.
        num_layers: L; default: 1 for one cell, their number for several.
        directions: D.

    Raises:
        InvalidType: something is no cell.
        InvalidValue: the number of cells is not L, or an input size does not fit.
    """
    several = not isinstance(cell, Cell)
    given = list(cell) if isinstance(cell, Sequence) else [cell]
    for item in given:
        if not isinstance(item, Cell):
            raise InvalidType(
                "cell should be a Cell, as tt.cells.LSTM(input_size, hidden_size), or "
                f"a list with one per layer, got {type(item).__name__}"
            )
    if not given:
        raise InvalidValue("cell is an empty list; give one cell per layer")
    layers = len(given) if several else 1
    if num_layers is not None:
        layers = positive_int("num_layers", num_layers)
    if several and layers != len(given):
        raise InvalidValue(
            f"num_layers = {layers} but {len(given)} cells given; leave num_layers out"
        )
    cells: list[Cell] = []
    for layer in range(layers):
        size = directions * cells[-1].output_size if cells else given[0].input_size
        first = given[layer] if several else given[0]
        if layer > 0 and not several:
            first = first.like(size)
        if first.input_size != size:
            raise InvalidValue(
                f"the cell of layer {layer} has input_size {first.input_size}, but the "
                f"layer below gives {size} features ({directions} direction(s)); "
                f"use input_size={size}"
            )
        cells += [first, *(first.like(size) for _ in range(directions - 1))]
    return cells


def check_residual(cells: Sequence[Cell], directions: int) -> None:
    """Raise unless every layer from the second on keeps its number of features.

    Raises:
        InvalidValue: a layer changes the width, so its input cannot be added.
    """
    for cell in cells[directions:]:
        if cell.input_size != directions * cell.output_size:
            raise InvalidValue(
                f"residual=True needs layers of equal width, but {cell!r} turns "
                f"{cell.input_size} features into {directions * cell.output_size}; "
                "use equal hidden sizes or residual=False"
            )


def zoneout_rates(
    zoneout: float | Mapping[str, float], cells: Sequence[Cell]
) -> dict[str, float]:
    """The zoneout probability of each state field.

    Raises:
        InvalidValue: no probability, or a field that no cell has.
    """
    fields = sorted({field for cell in cells for field in cell.state_sizes})
    if not isinstance(zoneout, Mapping):
        return dict.fromkeys(fields, probability("zoneout", zoneout))
    for field in zoneout:
        if field not in fields:
            raise unknown_name("state field in zoneout", field, fields)
    return {f: probability(f"zoneout[{f!r}]", rate) for f, rate in zoneout.items()}
