"""Every torch function with a form in the kernels: the core against the plain loop."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import throughtime as tt
from throughtime import kernels
from throughtime.layers.forms import FORMS

needs_core = pytest.mark.skipif(
    kernels.missing() is not None, reason=f"needs the core: {kernels.missing()}"
)
HALF = torch.tensor(0.5)
# torch's own gradients of these, in float64, are off by 1e-8 from the closed form:
# their constants 1 / 0.7 and 1 / 6 are rounded to single precision.
SINGLE = {"celu": 1e-7, "hardsigmoid": 1e-7, "hardswish": 1e-7}

# What a form computes of z = a_x + a_h and the old h; each |value| stays moderate.
CASES = {
    "neg": lambda z, h: -z,
    "exp": lambda z, h: torch.exp(-z * z),
    "expm1": lambda z, h: torch.expm1(-z.abs()),
    "log": lambda z, h: (1 + z * z).log(),
    "log1p": lambda z, h: torch.log1p(z * z),
    "tanh": lambda z, h: nn.Tanh()(z),
    "sigmoid": lambda z, h: torch.special.expit(z),
    "relu": lambda z, h: F.relu(z, inplace=False),
    "abs": lambda z, h: abs(z),
    "sqrt": lambda z, h: torch.sqrt(1 + z * z) - 1,
    "sin": lambda z, h: torch.sin(z),
    "cos": lambda z, h: z.cos(),
    "sign": lambda z, h: torch.sign(z) * h,
    "floor": lambda z, h: torch.floor(z) * 0.1 + z,
    "mul": lambda z, h: torch.mul(z, h) + HALF * z,
    "div": lambda z, h: z / (2 + h * h),
    "gt": lambda z, h: (z > h) * z,
    "ge": lambda z, h: z.ge(h).to(z.dtype) * z,
    "eq": lambda z, h: torch.where(z == z, z, h),
    "add": lambda z, h: torch.add(z, h, alpha=0.5),
    "sub": lambda z, h: torch.sub(z, h, alpha=0.5),
    "rsub": lambda z, h: torch.rsub(z, 1.0),
    "maximum": lambda z, h: torch.maximum(z, h),
    "minimum": lambda z, h: torch.minimum(z, 0.5 * z),
    "max": lambda z, h: torch.max(z, -z),
    "min": lambda z, h: torch.min(z, h),
    "lt": lambda z, h: (z < h).type_as(z) * z,
    "le": lambda z, h: torch.where(z <= 0, z, h),
    "ne": lambda z, h: torch.where(z != h, z, h),
    "pow": lambda z, h: z**3 + (1 + z * z) ** 1.5 - 2.0**h + (z * z + 1) ** h + z**2,
    "where": lambda z, h: torch.where(z > 0, 1.0, z),
    "logical_and": lambda z, h: torch.where((z > -1) & (z < 1), z, h),
    "logical_or": lambda z, h: torch.where((z < -1) | (z > 1), z, h),
    "logical_not": lambda z, h: torch.where(~(z > 0), z, h),
    "square": lambda z, h: z.square(),
    "reciprocal": lambda z, h: torch.reciprocal(2 + z * z),
    "rsqrt": lambda z, h: z * torch.rsqrt(1 + z * z),
    "erf": lambda z, h: torch.erf(z),
    "ndtr": lambda z, h: torch.special.ndtr(z),
    "remainder": lambda z, h: torch.remainder(3 * z, 2.0),
    "softplus": lambda z, h: F.softplus(z) + F.softplus(9 * z, beta=2, threshold=5),
    "gelu": lambda z, h: F.gelu(z) + F.gelu(z, approximate="tanh"),
    "silu": lambda z, h: F.silu(z),
    "mish": lambda z, h: F.mish(z),
    "softsign": lambda z, h: F.softsign(z),
    "clamp": lambda z, h: z.clamp(-0.3, 0.4) + torch.clamp(z, min=0.1),
    "hardtanh": lambda z, h: F.hardtanh(z, -0.5, 0.25),
    "relu6": lambda z, h: F.relu6(9 * z),
    "hardsigmoid": lambda z, h: F.hardsigmoid(5 * z),
    "hardswish": lambda z, h: F.hardswish(5 * z),
    "leaky_relu": lambda z, h: F.leaky_relu(z, 0.2),
    "elu": lambda z, h: F.elu(z, 0.7),
    "selu": lambda z, h: F.selu(z),
    "celu": lambda z, h: F.celu(z, 0.7) + F.celu(z),
    "logsigmoid": lambda z, h: F.logsigmoid(z),
    "tanhshrink": lambda z, h: F.tanhshrink(z),
    "lerp": lambda z, h: torch.lerp(z, h, 0.3),
    "addcmul": lambda z, h: torch.addcmul(z, h, z, value=0.5),
    "zeros_like": lambda z, h: torch.zeros_like(z) + z,
    "ones_like": lambda z, h: torch.ones_like(z) - z,
    "full_like": lambda z, h: torch.full_like(z, 0.3) * z,
    "clone": lambda z, h: z.clone(),
    "contiguous": lambda z, h: z.contiguous() * h,
    "detach": lambda z, h: (torch.tanh(3 * z) - z).detach() + z,
    "to": lambda z, h: (z > 0).to(h) * z,
    "type": lambda z, h: (z > 0).type(z.dtype) * z,
    "type_as": lambda z, h: (z > 0).type_as(z) * z,
    "getattr": lambda z, h: (z > 0).to(z.dtype) * z,
}


def test_every_form_has_a_case():
    assert set(CASES) == set(FORMS)


def compare(name, kind, backend):
    """Values and gradients of a layer of ``kind``, against the plain loop."""
    torch.manual_seed(0)
    fast = tt.Recurrent(kind(3, 19, dtype=torch.float64), backend=backend)
    plain = tt.Recurrent(kind(3, 19, dtype=torch.float64), backend="loop")
    plain.load_state_dict(fast.state_dict())
    x = 2 * torch.randn(6, 5, 3, dtype=torch.float64)
    found = []
    for layer in (fast, plain):
        outputs, state = layer(x, lengths=[6, 0, 3, 5, 6])
        total = (outputs**2).sum() + state[0].h.sum()
        found.append((outputs, *torch.autograd.grad(total, list(layer.parameters()))))
    for a, b in zip(*found, strict=True):
        off = SINGLE.get(name, 1e-11)
        torch.testing.assert_close(a, b, rtol=off, atol=off)


@needs_core
@pytest.mark.parametrize("name", CASES)
def test_form_equals_torch_in_the_core(name):
    @tt.cell(gates=1)
    def one(a_x, a_h, state):
        return {"h": 0.5 * torch.tanh(CASES[name](a_x[0] + a_h[0], state.h))}

    compare(name, one, "native")


@pytest.mark.parametrize("name", CASES)
def test_form_equals_torch_in_the_scan(name):
    @tt.cell(gates=(2, 0))
    def one(a_x, a_h, state):
        z, h = a_x
        return {"h": 0.5 * (state.h + torch.tanh(CASES[name](z, h) + 0.1 * h))}

    compare(name, one, "scan")


def test_what_has_no_form_is_named_with_its_line():
    @tt.cell(gates=1)
    def bessel(a_x, a_h, state):
        return {"h": torch.special.i0(torch.tanh(a_x[0] + a_h[0]))}

    with pytest.warns(UserWarning, match=r"special_i0 \(line \d+ of .*test_forms.py"):
        assert tt.Recurrent(bessel(3, 4)).backend_used == "loop"


def test_in_place_functions_have_no_form():
    @tt.cell(gates=1)
    def written(a_x, a_h, state):
        return {"h": F.relu(a_x[0] + a_h[0], inplace=True)}

    with pytest.raises(ValueError, match="in place"):
        written(3, 4)
