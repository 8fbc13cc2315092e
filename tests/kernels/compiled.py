"""Compiles Triton's kernels to machine code of a GPU; ``test_triton.py`` runs this."""

import sys

import torch

import throughtime as tt
from throughtime.kernels import Variant, program_of
from throughtime.kernels.triton_build import built, work_type
from throughtime.kernels.triton_code import Kernel
from throughtime.kernels.triton_steps import Given, backward_kernels, forward_kernels
from throughtime.layers.lowering import lowered

EVERYTHING = Given(*(8 * [True]), share=(0.3, 0.2), grad_h=True, grad_c=True)
CASES = (
    (tt.cells.LSTM(3, 4), Given()),
    (tt.cells.LSTM(3, 4, layer_norm=True, peephole=True), EVERYTHING),
    (tt.cells.LSTM(3, 4, projection=2), EVERYTHING),
    (tt.cells.GRU(3, 4, reset_after=False), EVERYTHING),
    (tt.cells.Elman(3, 4, nonlinearity="gelu"), Given(lengths=True)),
    (tt.cells.Elman(3, 4, nonlinearity="elu"), Given(reset=True)),
)
BYTES = ("valid", "reset", "hold_h", "hold_c")
WORK = ("spill", "moments", "past", "carry", "sums", "grad_initial_h", "grad_initial_c")
NAMES = {torch.float32: "fp32", torch.float64: "fp64", torch.bfloat16: "bf16"}


def compile_one(kernel: Kernel, dtype: torch.dtype) -> None:
    # Here, because triton need not be installed where this file is merely looked at.
    import triton
    import triton.language as tl
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    wide = NAMES[work_type(dtype)]
    signature = dict.fromkeys(kernel.tensors, f"*{NAMES[dtype]}")
    signature |= {n: f"*{wide}" for n in WORK if n in signature}
    signature |= {n: "*u8" for n in BYTES if n in signature}
    constants = {"H": 100, "SLOTS": 5, "BLOCK": 128}
    constants["WORK"] = tl.float64 if wide == "fp64" else tl.float32
    source = ASTSource(
        built(kernel),
        signature=signature | dict.fromkeys(constants, "constexpr"),
        constexprs=constants,
    )
    made = triton.compile(source, target=GPUTarget("cuda", 80, 32))
    assert made.asm["cubin"]


def main() -> None:
    for cell, given in CASES:
        projected = cell.output_size != cell.hidden_size
        key = lowered(cell).key
        program = program_of(key, Variant(True, not any(given.share), projected))
        for found in (
            forward_kernels(program, given),
            backward_kernels(program, given),
        ):
            outer = () if found.outer is None else (found.outer,)
            for kernel in (*found.inside, *outer):
                for dtype in NAMES:
                    compile_one(kernel, dtype)


if __name__ == "__main__":
    sys.exit(main())
