"""Bytes that a forward pass keeps for the backward pass.

Two ways of counting. ``saved``: the storages that autograd is handed, by its hooks,
without the input and the parameters, which exist anyway. ``resident``: by how much the
process grows from before to after the forward pass, outputs and work space included;
each measured in a process of its own.
"""

import gc
import inspect
import multiprocessing
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from common import CELLS, DENSE, GATES, Row, Shape
from torch import nn

import throughtime as tt

CANDIDATES = ("torch", "throughtime", "recompute")


def has_recompute() -> bool:
    return "recompute" in inspect.signature(tt.Recurrent.__init__).parameters


def rows(budget: float) -> Iterator[Row]:
    """One row per layer and shape; the budget is not used: nothing is timed."""
    del budget
    candidates = CANDIDATES if has_recompute() else CANDIDATES[:2]
    if not has_recompute():
        print("recompute skipped: this version's Recurrent has no such option")
    # The server forks a clean process for each figure: nothing was run in it before.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    with context.Pool(1, maxtasksperchild=1) as pool:
        for layer in GATES:
            for shape in DENSE:
                found = {
                    name: pool.apply(
                        measured, (name, layer, shape, os.environ["THREADS"])
                    )
                    for name in candidates
                }
                yield {"layer": layer, "shape": shape, "bytes": found}


def measured(candidate: str, layer: str, shape: Shape, threads: str) -> dict[str, int]:
    torch.set_num_threads(int(threads))
    module = build(candidate, layer, shape)
    x = torch.randn(*shape[:3], requires_grad=True)
    # The code itself is loaded on first use: not part of what is kept.
    module(x[:1, :1])
    gc.collect()
    before = resident()
    outputs, state = module(x)
    grown = resident() - before
    del outputs, state
    return {"saved": saved_bytes(module, x), "resident": grown}


def build(candidate: str, layer: str, shape: Shape) -> nn.Module:
    _, _, inputs, hidden = shape
    if candidate == "torch":
        return getattr(nn, layer)(inputs, hidden)
    options: dict[str, Any] = {"recompute": True} if candidate == "recompute" else {}
    return tt.Recurrent(CELLS[layer](inputs, hidden), **options)


def saved_bytes(module: nn.Module, x: torch.Tensor) -> int:
    """Every storage once, however many tensors look at it."""
    mine = {t.untyped_storage().data_ptr() for t in (x, *module.parameters())}
    seen: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in mine:
            seen[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        outputs, _ = module(x)
    del outputs
    return sum(seen.values())


def resident() -> int:
    """Bytes of the process in memory (Linux)."""
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
