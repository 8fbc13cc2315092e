"""``throughtime cells``: the table of recurrent cells."""

from inspect import getdoc
from typing import Any

from throughtime.cells import CELLS, build_cell, cell_options
from throughtime.layers import Recurrent


def cell_rows() -> list[dict[str, Any]]:
    """Name, equation, options, parameters at I = H = 100, and path of every cell."""
    rows = []
    for name, kind in CELLS.items():
        layer = Recurrent(build_cell(name, 100, 100))
        rows.append(
            {
                "cell": name,
                "equation": kind.equation,
                "options": list(cell_options(name)),
                "parameters": sum(p.numel() for p in layer.parameters()),
                "backend": layer.backend_used,
                "summary": (getdoc(kind) or "").splitlines()[0],
            }
        )
    return rows


def print_cells() -> list[dict[str, Any]]:
    """Print the table and return its rows."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    rows = cell_rows()
    table = Table(box=box.SIMPLE_HEAD, show_lines=False, pad_edge=False)
    table.add_column("cell", style="bold", no_wrap=True)
    table.add_column("equation and options", overflow="fold")
    table.add_column("parameters\nI = H = 100", justify="right")
    table.add_column("path", no_wrap=True)
    for row in rows:
        options = "[dim]--set " + ", ".join(row["options"]) + "[/dim]"
        table.add_row(
            row["cell"],
            f"{row['equation']}\n{options}",
            f"{row['parameters']:,}",
            row["backend"],
        )
    Console().print(table)
    return rows
