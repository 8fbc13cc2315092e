"""Independent numpy formulas of every cell, one row per cell and option.

Written from the published equations; ``w`` holds the weights as float64 arrays, ``x``
and the state are vectors.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import special

from tests.cells import reference_published as published


def sigmoid(z):
    return special.expit(z)


ACTIVATIONS = {
    "identity": lambda z, a: z,
    "sigmoid": lambda z, a: sigmoid(z),
    "tanh": lambda z, a: np.tanh(z),
    "relu": lambda z, a: np.maximum(z, 0),
    "gelu": lambda z, a: z * 0.5 * (1 + special.erf(z / np.sqrt(2))),
    "softplus": lambda z, a: np.logaddexp(0, z),
    "elu": lambda z, a: np.where(z > 0, z, a * np.expm1(np.minimum(z, 0))),
    "leaky_relu": lambda z, a: np.where(z > 0, z, a * z),
    "prelu": lambda z, a: np.where(z > 0, z, a * z),
}


def affine(w, kind, v):
    """W v + b."""
    return w[f"weight_{kind}"] @ v + w.get(f"bias_{kind}", 0.0)


def layer_norm(v, gain, shift=0.0):
    return (v - v.mean()) / np.sqrt(v.var() + 1e-5) * gain + shift


def elman(phi, alpha=None):
    def step(w, x, state):
        z = affine(w, "ih", x) + affine(w, "hh", state["h"])
        return {"h": ACTIVATIONS[phi](z, w.get("alpha", alpha))}

    return step


def leaky(rate):
    def step(w, x, state):
        new = elman("tanh")(w, x, state)["h"]
        return {"h": (1 - rate) * state["h"] + rate * new}

    return step


def lstm(peephole=False, norm=False, projection=False):
    def step(w, x, state):
        h, c = state["h"], state["c"]
        if norm:
            z = layer_norm(w["weight_ih"] @ x, w["norm_ih"].ravel())
            z = z + layer_norm(w["weight_hh"] @ h, w["norm_hh"].ravel())
            z = z + w["norm_bias"].ravel()
        else:
            z = affine(w, "ih", x) + affine(w, "hh", h)
        n = len(c)
        z_i, z_f, z_g, z_o = z[:n], z[n : 2 * n], z[2 * n : 3 * n], z[3 * n :]
        p = w["weight_peephole"] if peephole else np.zeros((3, n))
        i = sigmoid(z_i + p[0] * c)
        f = sigmoid(z_f + p[1] * c)
        c = f * c + i * np.tanh(z_g)
        o = sigmoid(z_o + p[2] * c)
        h = o * np.tanh(layer_norm(c, w["norm_c"], w["norm_c_bias"]) if norm else c)
        return {"h": w["weight_hr"] @ h if projection else h, "c": c}

    return step


def gru(after=True):
    def step(w, x, state):
        h = state["h"]
        n = len(h)
        a, u = affine(w, "ih", x), w["weight_hh"]
        b = w.get("bias_hh", np.zeros(3 * n))
        r = sigmoid(a[:n] + u[:n] @ h + b[:n])
        z = sigmoid(a[n : 2 * n] + u[n : 2 * n] @ h + b[n : 2 * n])
        if after:
            candidate = np.tanh(a[2 * n :] + r * (u[2 * n :] @ h + b[2 * n :]))
        else:
            candidate = np.tanh(a[2 * n :] + u[2 * n :] @ (r * h) + b[2 * n :])
        return {"h": (1 - z) * candidate + z * h}

    return step


@dataclass(frozen=True)
class Row:
    """One cell with options, and its formula."""

    cell: str
    step: Callable[..., dict[str, Any]]
    options: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return "-".join([self.cell, *(f"{k}={v}" for k, v in self.options.items())])


ROWS = [
    *(Row("elman", elman(phi), {"nonlinearity": phi}) for phi in list(ACTIVATIONS)[:6]),
    Row("elman", elman("elu", 1.0), {"nonlinearity": "elu"}),
    Row("elman", elman("elu", 0.3), {"nonlinearity": "elu", "alpha": 0.3}),
    Row("elman", elman("leaky_relu", 0.01), {"nonlinearity": "leaky_relu"}),
    Row(
        "elman", elman("leaky_relu", 0.2), {"nonlinearity": "leaky_relu", "alpha": 0.2}
    ),
    Row("elman", elman("prelu"), {"nonlinearity": "prelu"}),
    Row("elman", elman("tanh"), {"bias": False}),
    Row("irnn", elman("relu")),
    Row("np_rnn", elman("relu")),
    Row("leaky", leaky(0.5)),
    Row("leaky", leaky(0.1), {"leak_rate": 0.1}),
    Row("lstm", lstm()),
    Row("lstm", lstm(), {"bias": False}),
    Row("lstm", lstm(), {"forget_bias": 1.0}),
    Row("lstm", lstm(peephole=True), {"peephole": True}),
    Row("lstm", lstm(norm=True), {"layer_norm": True}),
    Row("lstm", lstm(projection=True), {"projection": 2}),
    Row(
        "lstm",
        lstm(peephole=True, norm=True, projection=True),
        {"peephole": True, "layer_norm": True, "projection": 2},
    ),
    Row("gru", gru()),
    Row("gru", gru(after=False), {"reset_after": False}),
    Row("gru", gru(after=False), {"reset_after": False, "bias": False}),
    Row("peephole_lstm", lstm(peephole=True)),
    Row("peephole_lstm", lstm(peephole=True), {"forget_bias": 1.0}),
    Row("layer_norm_lstm", lstm(norm=True)),
    Row("original_lstm", published.original_lstm),
    Row("coupled_lstm", published.coupled_lstm),
    Row("multiplicative_lstm", published.multiplicative_lstm),
    Row("multiplicative_lstm", published.multiplicative_lstm, {"bias": False}),
    Row("working_memory_lstm", published.working_memory_lstm),
    Row("slstm", published.slstm()),
    Row("slstm", published.slstm(heads=2), {"heads": 2}),
    Row("slstm", published.slstm(exponential=True), {"exponential_forget": True}),
    Row("layer_norm_gru", published.layer_norm_gru),
    Row("layer_norm_gru", published.layer_norm_gru, {"bias": False}),
    Row("ligru", published.ligru()),
    Row("ligru", published.ligru(norm=True), {"layer_norm": True}),
    *(
        Row(name, getattr(published, name))
        for name in ("mgu", "mut1", "mut2", "mut3", "ugrnn", "cfn", "atr", "star")
    ),
    Row("mgu", published.mgu, {"bias": False}),
    Row("light_ru", published.light_ru),
    Row("minimal_rnn", published.minimal_rnn),
    Row("janet", published.janet()),
    Row("janet", published.janet(0.0), {"beta": 0.0, "longest": 10.0}),
    Row("ran", published.ran()),
    Row("ran", published.ran(lambda c: c), {"nonlinearity": "identity"}),
    Row("brc", published.brc),
    Row("nbrc", published.nbrc),
    Row("nas", published.nas),
    Row("rhn", published.rhn()),
    Row("rhn", published.rhn(1), {"depth": 1}),
    Row("rhn", published.rhn(4), {"depth": 4, "bias": False}),
    Row("scrn", published.scrn()),
    Row("scrn", published.scrn(0.5), {"alpha": 0.5, "bias": False}),
    Row("jordan", published.jordan),
    Row("clockwork", published.clockwork((1, 2, 4, 8))),
    Row("clockwork", published.clockwork((3, 1, 2)), {"periods": (3, 1, 2)}),
    Row("indrnn", published.indrnn(lambda z: np.maximum(z, 0))),
    Row("indrnn", published.indrnn(np.tanh), {"nonlinearity": "tanh"}),
    Row("min_gru", published.min_gru()),
    Row("min_gru", published.min_gru(published.positive), {"positive": True}),
    Row("min_lstm", published.min_lstm()),
    Row("min_lstm", published.min_lstm(published.positive), {"positive": True}),
    Row("qrnn", published.qrnn),
    Row("qrnn", published.qrnn, {"bias": False}),
    Row("qrnn_window_1", published.qrnn_window_1),
    Row("sru", published.sru),
    Row("fast_rnn", published.fast_rnn),
    Row("fast_grnn", published.fast_grnn),
    Row("fast_grnn", published.fast_grnn, {"bias": False}),
    Row("antisymmetric_rnn", published.antisymmetric()),
    Row(
        "antisymmetric_rnn",
        published.antisymmetric(1.0, 0.01),
        {"step_size": 1.0, "damping": 0.01},
    ),
    Row("gated_antisymmetric_rnn", published.antisymmetric(gated=True)),
    Row("cornn", published.cornn()),
    Row(
        "cornn",
        published.cornn(0.054, 4.9, 4.8),
        {"step_size": 0.054, "stiffness": 4.9, "damping": 4.8},
    ),
    Row("lem", published.lem()),
    Row("lem", published.lem(0.3), {"step_size": 0.3}),
]
