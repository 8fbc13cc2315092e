"""``throughtime doctor``: what recurrent layers run with on this machine, and why."""

import os
import platform
from pathlib import Path
from typing import Any

import torch

from throughtime import __version__, kernels
from throughtime.cells import GRU, LSTM, Elman
from throughtime.kernels.library import VARIABLE
from throughtime.layers import Recurrent


def findings() -> dict[str, Any]:
    """Everything the command prints, by name."""
    core = kernels.library()
    result: dict[str, Any] = {
        "throughtime": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {os.cpu_count()} processors",
        "threads": torch.get_num_threads(),
        "backend": "loop" if core is None else "native",
        "why": kernels.missing() or f"the compiled core {core and core.path} is there",
    }
    if core is None:
        return result
    best = core.instruction_sets[0]
    chosen = (
        f"{VARIABLE} says so"
        if os.environ.get(VARIABLE)
        else "the best of those that run here"
    )
    return result | {
        "instruction_set": core.instruction_set,
        "instruction_set_why": chosen,
        "instruction_sets": list(core.instruction_sets),
        "slower_than_possible": core.instruction_set != best,
        "openmp_runtimes": _openmp_runtimes(),
        "largest_difference_from_loop": _difference(),
    }


def print_findings() -> dict[str, Any]:
    """Print them as a table and return them."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    found = findings()
    table = Table(box=box.SIMPLE_HEAD, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name in ("throughtime", "torch", "python", "machine", "threads"):
        table.add_row(name, str(found[name]))
    table.add_row("backend", f"{found['backend']}: {found['why']}")
    if found["backend"] == "native":
        table.add_row(
            "instruction set",
            f"{found['instruction_set']}: {found['instruction_set_why']} "
            f"({', '.join(found['instruction_sets'])})",
        )
        runtimes = found["openmp_runtimes"]
        table.add_row(
            "OpenMP",
            "cannot be listed on this system"
            if runtimes is None
            else "one pool of threads, shared with torch"
            if len(runtimes) == 1
            else f"{len(runtimes)} pools of threads compete, expect half the speed: "
            + ", ".join(runtimes),
        )
        table.add_row(
            "check",
            "largest difference from the plain loop, outputs and gradients: "
            f"{found['largest_difference_from_loop']:.1e}",
        )
    Console().print(table)
    return found


def _openmp_runtimes() -> list[str] | None:
    """The GNU OpenMP libraries mapped into this process; None if unknown."""
    maps = Path("/proc/self/maps")
    if not maps.is_file():
        return None
    paths = {line.split()[-1] for line in maps.read_text().splitlines()}
    return sorted(path for path in paths if "libgomp" in path)


def _difference() -> float:
    """Of float64 outputs and gradients of three small layers from the plain loop."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(9, 3, 20, generator=generator, dtype=torch.float64)
    worst = 0.0
    for kind in (Elman, LSTM, GRU):
        results = []
        cell = kind(20, 33, dtype=torch.float64)
        for backend in ("native", "loop"):
            layer = Recurrent(cell, backend=backend)
            outputs, _ = layer(x, lengths=[9, 0, 5])
            gradients = torch.autograd.grad(outputs.sum(), list(layer.parameters()))
            results.append([outputs.detach(), *gradients])
        for a, b in zip(*results, strict=True):
            worst = max(worst, float((a - b).abs().max()))
    return worst
