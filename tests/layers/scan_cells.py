"""Cells that allow a scan, each for another reason, and cells that do not."""

import torch

import throughtime as tt
from throughtime.cells import PerUnit, row_norm


@tt.cell(gates=(2, 0))
def MinGRU(a_x, a_h, state):  # noqa: N802
    z = torch.sigmoid(a_x[0])
    return {"h": torch.lerp(state.h, a_x[1], z)}, {"z": z}


@tt.cell(gates=(4, 0), state=("h", "c"))
def MinLSTM(a_x, a_h, state):  # noqa: N802
    """An output that nothing reads back; a gate that reads the new state."""
    i, f = torch.sigmoid(a_x[0]), torch.sigmoid(a_x[1])
    c = (f * state.c + i * torch.tanh(a_x[2])) / (i + f)
    return {"h": torch.sigmoid(a_x[3]) * torch.tanh(c), "c": c}, {"f": f, "level": c}


@tt.cell(gates=(6, 0), state=("h", "c", "z", "f", "o"))
def QuasiRecurrent(a_x, a_h, state):  # noqa: N802
    """Fields of the step before inside the coefficients."""
    z = torch.tanh(a_x[0] + state.z)
    f, o = torch.sigmoid(a_x[1] + state.f), torch.sigmoid(a_x[2] + state.o)
    c = f * state.c + (1 - f) * z
    return {"h": o * c, "c": c, "z": a_x[3], "f": a_x[4], "o": a_x[5]}


@tt.cell(gates=(3, 0), state=("h", "c"))
def Highway(a_x, a_h, state):  # noqa: N802
    """SRU without its peephole."""
    f, r = torch.sigmoid(a_x[0]), torch.sigmoid(a_x[1])
    c = f * state.c - (f - 1) * a_x[2]
    return {"h": r * torch.relu(c) + (1 - r) * a_x[2], "c": c}


@tt.cell(
    gates=(1, 0),
    state=("h", "c"),
    inner=(2,),
    parameters={"decay": PerUnit(2), "gain": PerUnit(scalar=True, init=0.7)},
)
def ReadOut(a_x, a_h, state, decay, gain, inner):  # noqa: N802
    """Coefficients without time; a product and a norm of what is known by then."""
    c = torch.exp(-torch.abs(decay[0])) * state.c + decay[1] * a_x[0]
    left, right = inner(torch.tanh(c))
    (normal,) = row_norm(left)
    return {"h": gain * normal + right, "c": c}, {"normal": normal}


@tt.cell(gates=(2, 0), state=("h", "slow", "fast"))
def Triangle(a_x, a_h, state):  # noqa: N802
    """A field inside the coefficients of another one, new and old."""
    fast = -torch.where(a_x[0] > 0, state.fast, 0.2 * state.fast - a_x[1]) + 1
    keep = torch.sigmoid(state.fast) * 0.9
    slow = keep * state.slow + torch.sin(fast)
    return {"h": slow - fast, "slow": slow, "fast": fast}


@tt.cell(gates=(1, 0), state=("h", "sum", "kept"))
def Plain(a_x, a_h, state):  # noqa: N802
    """a = 1, and a field that nothing changes."""
    total = state.sum + a_x[0]
    return {"h": state.kept * total, "sum": total, "kept": state.kept}


ALLOWED = (MinGRU, MinLSTM, QuasiRecurrent, Highway, ReadOut, Triangle, Plain)


def build_cell(pick, inputs, hidden):
    """One of them, for ``random_case``."""
    return pick.choice(ALLOWED)(inputs, hidden, bias=pick.random() < 0.7)


@tt.cell(gates=(1, 0))
def Squashed(a_x, a_h, state):  # noqa: N802
    return {"h": torch.tanh(a_x[0] + 0.5 * state.h)}


@tt.cell(gates=(1, 0))
def Squared(a_x, a_h, state):  # noqa: N802
    return {"h": a_x[0] - state.h**2}


@tt.cell(gates=(1, 0))
def Divided(a_x, a_h, state):  # noqa: N802
    return {"h": a_x[0] / (2 + state.h)}


@tt.cell(gates=(2, 0), state=("h", "c"))
def Peephole(a_x, a_h, state):  # noqa: N802
    f = torch.sigmoid(a_x[0] + state.c)
    c = f * state.c + (1 - f) * a_x[1]
    return {"h": torch.tanh(c), "c": c}


@tt.cell(gates=(1, 0))
def Thresholded(a_x, a_h, state):  # noqa: N802
    return {"h": torch.where(state.h > 1, a_x[0], state.h + a_x[0])}


@tt.cell(gates=(1, 0))
def Largest(a_x, a_h, state):  # noqa: N802
    return {"h": torch.maximum(state.h, a_x[0])}


@tt.cell(gates=(1, 0))
def Normalised(a_x, a_h, state):  # noqa: N802
    (h,) = row_norm(state.h + a_x[0])
    return {"h": h}


@tt.cell(gates=(1, 0), inner=(1,))
def Mixed(a_x, a_h, state, inner):  # noqa: N802
    (m,) = inner(state.h)
    return {"h": m + a_x[0]}


@tt.cell(gates=(1, 0), state=("h", "v"))
def Oscillator(a_x, a_h, state):  # noqa: N802
    v = state.v + a_x[0] - 0.1 * state.h
    return {"h": state.h + v, "v": v}


@tt.cell(gates=1)
def Products(a_x, a_h, state):  # noqa: N802
    return {"h": a_x[0] + a_h[0]}


# What the error says.
REFUSED = {
    Squashed: "its state field 'h' goes through tanh",
    Squared: "its state field 'h' goes through a product with itself",
    Divided: "its state field 'h' goes through a divisor",
    Peephole: "its state field 'c' goes through sigmoid",
    Thresholded: "its state field 'h' goes through gt",
    Largest: "its state field 'h' goes through maximum",
    Normalised: "its state field 'h' goes through row_norm",
    Mixed: "its state field 'h' goes through a product inside the step",
    Oscillator: "its state fields 'h' and 'v' read each other's values of the step",
    Products: "its recurrent product reads h of the step before",
}
