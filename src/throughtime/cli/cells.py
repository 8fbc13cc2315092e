"""``throughtime cells``: the table of recurrent cells, or one of them in full."""

from typing import Any

from throughtime.cells import CELLS, build_cell
from throughtime.cli.cell_page import cell_page
from throughtime.layers import Recurrent

# Input and hidden size of the column of parameters.
_SIZE = 100


def cell_rows() -> list[dict[str, Any]]:
    """Name, equation, source, parameters at I = H = 100, and path of every cell."""
    rows = []
    for name, kind in CELLS.items():
        layer = Recurrent(build_cell(name, _SIZE, _SIZE))
        rows.append(
            {
                "cell": name,
                "equation": kind.equation,
                "source": kind.source,
                "parameters": sum(p.numel() for p in layer.parameters()),
                "backend": layer.backend_used,
            }
        )
    return rows


def print_cells() -> list[dict[str, Any]]:
    """Print the table and return its rows."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    rows = cell_rows()
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("cell", style="bold", no_wrap=True)
    # Where a line has no room for it, an equation goes on below, further in.
    table.add_column("equation", ratio=1)
    table.add_column("parameters", justify="right", no_wrap=True)
    table.add_column("path", no_wrap=True)
    for row in rows:
        table.add_row(
            row["cell"],
            Text(row["equation"]),
            f"{row['parameters']:,}",
            row["backend"],
        )
    console = Console()
    console.print(table)
    console.print(
        f"{len(rows)} cells; parameters at I = H = {_SIZE}; "
        "'throughtime cells NAME' shows one in full",
        highlight=False,
    )
    return rows


def print_cell(name: str) -> dict[str, Any]:
    """Print one cell in full and return what was printed.

    Raises:
        ThroughtimeError: there is no such cell, or its file cannot be used.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    page = cell_page(name)
    table = Table(box=box.SIMPLE_HEAD, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")

    def row(title: str, *lines: str) -> None:
        for line in lines:
            table.add_row(title, Text(line))
            title = ""

    row(page["cell"], page["summary"])
    if page["equation"] != page["summary"]:
        row("equation", *page["equation"].split(",  "))
    if page["source"]:
        row("source", page["source"])
    gates = page["gates"]
    row("gates", f"{gates['input']} of a_x, {gates['recurrent']} of a_h")
    if gates["names"]:
        row("", ", ".join(gates["names"]))
    if gates["inner"]:
        row("inside", f"products with {gates['inner']} gates within the step")
    row("state", ", ".join(f"{k} ({v},)" for k, v in page["state"].items()))
    row(
        "parameters",
        *(f"{p['name']} {p['shape']}: {p['start']}" for p in page["shapes"]),
        f"{page['parameters']:,} in all at I = H = {_SIZE}",
    )
    row("options", *(f"{k} = {v!r}" for k, v in page["options"].items()))
    row(
        "path",
        page["backend"],
        *(f"no {path}: {why}" for path, why in page["paths"].items() if why),
    )
    Console().print(table)
    return page
