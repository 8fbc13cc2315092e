"""The same cells in the package torchrecurrent: same weights, same outputs.

Where its definition is another one than the paper's, the case says so: it is then
compared where both agree. Its SCRN (whose output is fed back) and RHN (which is not
public there) are not compared.
"""

from dataclasses import dataclass, field
from typing import Any

import pytest
import torch

from throughtime.cells import build_cell

theirs = pytest.importorskip(
    "torchrecurrent", reason="torchrecurrent is not installed: pip install it --no-deps"
)
INPUT, HIDDEN, BATCH, STEPS = 3, 4, 2, 5


def same(w):
    return w


def joined(w):
    """Their W_hh holds ours and then the rows of the product inside the step."""
    return {
        **{k: w[k] for k in ("weight_ih", "bias_ih")},
        "weight_hh": torch.cat([w["weight_hh"], w["weight_mh"]]),
        "bias_hh": torch.cat([w["bias_hh"], w["bias_mh"]]),
    }


def mut3(w):
    """Their W_hh: z, r, n; ours has r in W_hh, z and n in W_mh."""
    both = joined(w)
    order = torch.cat([torch.arange(HIDDEN) + k * HIDDEN for k in (1, 0, 2)])
    return {k: v[order] if k.endswith("hh") else v for k, v in both.items()}


def renamed(**names):
    """Their name = our name, as vectors where they have vectors."""

    def translate(w):
        kept = {k: v for k, v in w.items() if k not in names.values()}
        flat = {new: w[old] for new, old in names.items()}
        return kept | {
            k: v.reshape(-1) if "vector" in k or k in ("weight_ph", "zeta", "nu") else v
            for k, v in flat.items()
        }

    return translate


def bistable(w):
    return {k: w[k] for k in ("weight_ih", "bias_ih")} | {
        "weight_hh": w["recurrent"].reshape(-1)
    }


def minimal(w):
    """One bias where we have two."""
    new = {k: w[k] for k in ("weight_ih", "bias_ih", "weight_hh")}
    return new | {"weight_mm": w["weight_mh"], "bias_hh": w["bias_hh"] + w["bias_mh"]}


def fast_rnn(w):
    return {k: v.reshape(1) if k in ("alpha", "beta") else v for k, v in w.items()}


def fast_grnn(w):
    new = {k: w[k].reshape(1) for k in ("zeta", "nu")}
    new |= {k: w[k] for k in ("weight_ih", "weight_hh")}
    return new | {"bias_ih": w["gate_bias"].reshape(-1)}


def ran(w):
    """They have no bias of the content."""
    return {**w, "bias_ih": w["bias_ih"][HIDDEN:]}


def typed(w):
    """Their forget gate is one minus our update gate, and comes second."""
    z, n = w["weight_ih"].chunk(2)
    b_z, b_n = w["bias_ih"].chunk(2)
    return {"weight_ih": torch.cat([n, -z]), "bias_ih": torch.cat([b_n, -b_z])}


def nas(w):
    """They add where the authors multiply: equal where W_3 = 0, b_3 = 1; there 0."""
    bias = w["bias_ih"].clone()
    bias[3 * HIDDEN : 4 * HIDDEN] = 0
    return {**w, "bias_ih": bias}


@dataclass(frozen=True)
class Case:
    """One cell of both packages.

    zero: our parameters that are 0 here, as they have none.
    rows: our parameters set to a number in the rows of one gate.
    """

    cell: str
    other: str
    translate: Any = same
    options: dict[str, Any] = field(default_factory=dict)
    arguments: dict[str, Any] = field(default_factory=dict)
    zero: tuple[str, ...] = ()
    rows: tuple[tuple[str, int, float], ...] = ()

    def __str__(self) -> str:
        return self.cell


CASES = [
    Case("peephole_lstm", "PeepholeLSTMCell", renamed(weight_ph="weight_peephole")),
    Case("original_lstm", "OriginalLSTMCell"),
    Case("multiplicative_lstm", "MultiplicativeLSTMCell"),
    Case("working_memory_lstm", "WMCLSTMCell"),
    Case("mgu", "MGUCell", joined),
    Case("mut1", "MUT1Cell", joined),
    Case("mut2", "MUT2Cell", joined),
    Case("mut3", "MUT3Cell", mut3),
    Case("ugrnn", "UGRNNCell"),
    Case("janet", "JANETCell"),
    Case("ran", "RANCell", ran, rows=(("bias_ih", 0, 0.0),)),
    Case("ligru", "LiGRUCell"),
    Case("cfn", "CFNCell"),
    Case("atr", "ATRCell"),
    Case("star", "STARCell"),
    Case("light_ru", "LightRUCell"),
    Case("minimal_rnn", "MinimalRNNCell", minimal),
    Case("brc", "BRCell", bistable),
    Case("nbrc", "NBRCell"),
    Case(
        *("nas", "NASCell", nas),
        rows=(("weight_ih", 3, 0.0), ("bias_ih", 3, 1.0)),
    ),
    Case(
        *("indrnn", "IndRNNCell", renamed(vector_u="recurrent")),
        arguments={"nonlinearity": "relu"},
    ),
    Case("min_gru", "TRNNCell", typed),
    Case("fast_rnn", "FastRNNCell", fast_rnn),
    # Their gate is tanh unless one asks for the paper's sigmoid.
    Case(
        *("fast_grnn", "FastGRNNCell", fast_grnn),
        arguments={"nonlinearity": "sigmoid"},
    ),
    Case(
        *("antisymmetric_rnn", "AntisymmetricRNNCell"),
        arguments={"epsilon": 0.1, "gamma": 1.0},
    ),
    # Their gate leaves b_hh out, against the equation in their documentation.
    Case(
        *("gated_antisymmetric_rnn", "GatedAntisymmetricRNNCell"),
        arguments={"epsilon": 0.1, "gamma": 1.0},
        zero=("bias_hh",),
    ),
    Case(
        *("cornn", "coRNNCell", renamed(weight_ch="weight_mh", bias_ch="bias_mh")),
        arguments={"dt": 0.5, "gamma": 1.0, "epsilon": 1.0},
    ),
]


def pair(case):
    """Our cell with random weights, and theirs with the same."""
    torch.manual_seed(0)
    ours = build_cell(case.cell, INPUT, HIDDEN, case.options).double()
    with torch.no_grad():
        for parameter in ours.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
        for name in case.zero:
            ours.get_parameter(name).zero_()
        for name, gate, value in case.rows:
            rows = slice(gate * HIDDEN, (gate + 1) * HIDDEN)
            ours.get_parameter(name)[rows] = value
    other = getattr(theirs, case.other)(INPUT, HIDDEN, **case.arguments).double()
    known = dict(other.named_parameters())
    weights = {k: v.detach() for k, v in case.translate(ours.weights()).items()}
    assert weights.keys() <= known.keys()
    with torch.no_grad():
        for name, parameter in known.items():
            if name in weights:
                assert parameter.shape == weights[name].shape, name
                parameter.copy_(weights[name])
            elif name != "beta":  # of JANET: 1 in both
                parameter.zero_()
    return ours, other


def states(cell):
    """A random start: ours, and the tensors that they take."""
    zeros = cell.initial_state(BATCH)
    fields = [torch.randn_like(z) for z in zeros]
    return type(zeros)(*fields), fields


@pytest.mark.parametrize("case", CASES, ids=str)
def test_same_weights_same_outputs(case):
    ours, other = pair(case)
    state, fields = states(ours)
    if case.cell == "janet":  # they carry the same tensor twice
        fields = fields * 2
    old = tuple(fields) if len(fields) > 1 else fields[0]
    for _ in range(STEPS):
        x = torch.randn(BATCH, INPUT, dtype=torch.float64)
        state, old = ours.step(x, state), other(x, old)
        got = old if isinstance(old, tuple) else (old,)
        for a, b in zip(state, got, strict=case.cell != "janet"):
            torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


def test_lem_sees_the_new_slow_state():
    """Their h_t sees z_{t-1}, the paper's z_t: equal if z_t is handed in as the old."""
    translate = renamed(weight_ch="weight_mh", bias_ch="bias_mh")
    case = Case("lem", "LEMCell", translate, arguments={"dt": 1.0})
    ours, other = pair(case)
    state, (h, z) = states(ours)
    x = torch.randn(BATCH, INPUT, dtype=torch.float64)
    new = ours.step(x, state)
    torch.testing.assert_close(new.z, other(x, (h, z))[1], rtol=0, atol=1e-12)
    torch.testing.assert_close(new.h, other(x, (h, new.z))[0], rtol=0, atol=1e-12)
