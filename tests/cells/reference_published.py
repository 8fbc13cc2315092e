"""Independent numpy formulas of the published cells, for the table in ``reference``.

Each is written from the equations of its paper. ``w`` holds the weights as float64
arrays, ``x`` and the state are vectors; gates lie one after the other in the rows of a
weight.
"""

import numpy as np
from scipy import special

sigmoid = special.expit


def ih(w, x):
    """W_ih x + b_ih."""
    return w["weight_ih"] @ x + w.get("bias_ih", 0.0)


def hh(w, h):
    """W_hh h + b_hh."""
    return w["weight_hh"] @ h + w.get("bias_hh", 0.0)


def mh(w, v, first=0, count=None):
    """The gates ``first`` to ``first + count`` of W_mh v + b_mh."""
    n = len(v)
    last = None if count is None else (first + count) * n
    rows = slice(first * n, last)
    bias = w["bias_mh"][rows] if "bias_mh" in w else 0.0
    return w["weight_mh"][rows] @ v + bias


def gates(v, n):
    """v as rows of n."""
    return v.reshape(-1, n)


def mix(share, new, old):
    """share of the new, the rest of the old."""
    return share * new + (1 - share) * old


def normal(v, gain=1.0):
    return (v - v.mean()) / np.sqrt(v.var() + 1e-5) * gain


def both(w, x, h):
    return gates(ih(w, x) + hh(w, h), len(h))


def original_lstm(w, x, s):
    i, g, o = both(w, x, s["h"])
    c = s["c"] + sigmoid(i) * np.tanh(g)
    return {"h": sigmoid(o) * np.tanh(c), "c": c}


def coupled_lstm(w, x, s):
    i, g, o = both(w, x, s["h"])
    c = mix(sigmoid(i), np.tanh(g), s["c"])
    return {"h": sigmoid(o) * np.tanh(c), "c": c}


def multiplicative_lstm(w, x, s):
    h = s["h"]
    a = gates(ih(w, x), len(h))
    i, f, g, o = a[1:] + gates(mh(w, a[0] * hh(w, h)), len(h))
    c = sigmoid(f) * s["c"] + sigmoid(i) * np.tanh(g)
    return {"h": sigmoid(o) * np.tanh(c), "c": c}


def working_memory_lstm(w, x, s):
    n = len(s["c"])
    i, f, g, o = both(w, x, s["h"])
    m_i, m_f = np.tanh(gates(mh(w, s["c"], 0, 2), n))
    c = sigmoid(f + m_f) * s["c"] + sigmoid(i + m_i) * np.tanh(g)
    return {"h": sigmoid(o + np.tanh(mh(w, c, 2))) * np.tanh(c), "c": c}


def slstm(heads=1, exponential=False):
    """Without stabiliser: c and n are those of the paper's eq. 8-14, times exp(-m)."""

    def step(w, x, s):
        n = len(s["h"])
        block = np.kron(np.eye(heads), np.ones((n // heads, n // heads)))
        masked = {**w, "weight_hh": w["weight_hh"] * np.tile(block, (4, 1))}
        i, f, g, o = both(masked, x, s["h"])
        log_f = f if exponential else np.log(sigmoid(f))
        c = np.exp(log_f + s["m"]) * s["c"] + np.exp(i) * np.tanh(g)
        total = np.exp(log_f + s["m"]) * s["n"] + np.exp(i)
        m = np.where(s["n"] == 0, i, np.maximum(log_f + s["m"], i))
        new = {"c": c * np.exp(-m), "n": total * np.exp(-m), "m": m}
        return {"h": sigmoid(o) * c / total, **new}

    return step


def layer_norm_gru(w, x, s):
    h, n = s["h"], len(s["h"])
    a, u = w["weight_ih"] @ x, w["weight_hh"] @ h
    shift = w.get("norm_bias", np.zeros((4, n)))
    gate = normal(a[: 2 * n], w["norm_ih"][:2].ravel())
    gate = gate + normal(u[: 2 * n], w["norm_hh"][:2].ravel()) + shift[:2].ravel()
    r, z = gates(sigmoid(gate), n)
    seen = normal(u[2 * n :], w["norm_hh"][2]) + shift[3]
    new = np.tanh(normal(a[2 * n :], w["norm_ih"][2]) + shift[2] + r * seen)
    return {"h": mix(1 - z, new, h)}


def ligru(norm=False):
    def step(w, x, s):
        h = s["h"]
        a = gates(ih(w, x), len(h))
        a = np.stack([normal(row) for row in a]) if norm else a
        z, n = a + gates(hh(w, h), len(h))
        return {"h": mix(1 - sigmoid(z), np.maximum(n, 0), h)}

    return step


def mgu(w, x, s):
    h = s["h"]
    a = gates(ih(w, x), len(h))
    f = sigmoid(a[0] + hh(w, h))
    return {"h": mix(f, np.tanh(a[1] + mh(w, f * h)), h)}


def mut1(w, x, s):
    h = s["h"]
    z, r, n = gates(ih(w, x), len(h))
    r = sigmoid(r + hh(w, h))
    return {"h": mix(sigmoid(z), np.tanh(mh(w, r * h) + np.tanh(n)), h)}


def mut2(w, x, s):
    h = s["h"]
    a, u = gates(ih(w, x), len(h)), gates(hh(w, h), len(h))
    z, r = sigmoid(a[0] + u[0]), sigmoid(a[1] + u[1])
    return {"h": mix(z, np.tanh(a[2] + mh(w, r * h)), h)}


def mut3(w, x, s):
    h = s["h"]
    a = gates(ih(w, x), len(h))
    z = sigmoid(a[0] + mh(w, np.tanh(h), 0, 1))
    r = sigmoid(a[1] + hh(w, h))
    return {"h": mix(z, np.tanh(a[2] + mh(w, r * h, 1)), h)}


def ugrnn(w, x, s):
    n, g = both(w, x, s["h"])
    return {"h": mix(1 - sigmoid(g), np.tanh(n), s["h"])}


def janet(beta=1.0):
    def step(w, x, s):
        f, n = both(w, x, s["h"])
        h = sigmoid(f) * s["h"] + (1 - sigmoid(f - beta)) * np.tanh(n)
        return {"h": h}

    return step


def ran(phi=np.tanh):
    def step(w, x, s):
        a, u = gates(ih(w, x), len(s["h"])), gates(hh(w, s["h"]), len(s["h"]))
        c = sigmoid(a[1] + u[0]) * a[0] + sigmoid(a[2] + u[1]) * s["c"]
        return {"h": phi(c), "c": c}

    return step


def cfn(w, x, s):
    h = s["h"]
    a, u = gates(ih(w, x), len(h)), gates(hh(w, h), len(h))
    kept = sigmoid(a[0] + u[0]) * np.tanh(h)
    return {"h": kept + sigmoid(a[1] + u[1]) * np.tanh(a[2])}


def atr(w, x, s):
    p, q = ih(w, x), hh(w, s["h"])
    return {"h": sigmoid(p + q) * p + sigmoid(p - q) * s["h"]}


def star(w, x, s):
    n, k = gates(ih(w, x), len(s["h"]))
    return {"h": np.tanh(mix(sigmoid(k + hh(w, s["h"])), np.tanh(n), s["h"]))}


def light_ru(w, x, s):
    n, f = gates(ih(w, x), len(s["h"]))
    return {"h": mix(sigmoid(f + hh(w, s["h"])), np.tanh(n), s["h"])}


def minimal_rnn(w, x, s):
    z = np.tanh(ih(w, x))
    return {"h": mix(1 - sigmoid(hh(w, s["h"]) + mh(w, z)), z, s["h"])}


def bistable(a, c, n, h):
    new = np.tanh(n + (1 + np.tanh(a)) * h)
    return {"h": mix(1 - sigmoid(c), new, h)}


def brc(w, x, s):
    a, c, n = gates(ih(w, x), len(s["h"]))
    w_a, w_c = w["recurrent"]
    return bistable(a + w_a * s["h"], c + w_c * s["h"], n, s["h"])


def nbrc(w, x, s):
    a, c, n = gates(ih(w, x), len(s["h"]))
    u_a, u_c = gates(hh(w, s["h"]), len(s["h"]))
    return bistable(a + u_a, c + u_c, n, s["h"])


def nas(w, x, s):
    n = len(s["h"])
    a, u = gates(ih(w, x), n), gates(hh(w, s["h"]), n)
    v = a + u
    first = np.tanh(sigmoid(v[0]) * np.maximum(v[1], 0)) + s["c"]
    second = sigmoid(v[2]) + np.maximum(a[3] * u[3], 0)
    c = np.tanh(first) * np.tanh(second)
    third = np.tanh(np.tanh(v[4]) * sigmoid(v[5]))
    fourth = sigmoid(np.tanh(v[6]) + sigmoid(v[7]))
    return {"h": np.tanh(c * np.tanh(third + fourth)), "c": c}


def rhn(depth=3):
    def step(w, x, state):
        s, n = state["h"], len(state["h"])
        for level in range(depth):
            if level == 0:
                a = ih(w, x) + hh(w, s)
            else:
                a = mh(w, s, 2 * (level - 1), 2)
            new, gate = gates(a, n)
            s = mix(sigmoid(gate), np.tanh(new), s)
        return {"h": s}

    return step


def scrn(alpha=0.95):
    def step(w, x, s):
        a = gates(ih(w, x), len(s["h"]))
        context = (1 - alpha) * a[0] + alpha * s["s"]
        return {"h": sigmoid(mh(w, context) + a[1] + hh(w, s["h"])), "s": context}

    return step


def jordan(w, x, s):
    return {"h": np.tanh(mh(w, np.tanh(ih(w, x) + hh(w, s["h"]))))}


def clockwork(periods):
    """``wait`` counts down to the next run; unit by unit, as the paper has it."""

    def step(w, x, s):
        n, groups = len(s["h"]), len(periods)
        period = [periods[g] for g, part in enumerate(np.array_split(range(n), groups))
                  for _ in part]  # fmt: skip
        h, wait = s["h"].copy(), s["wait"] - 1
        for j in range(n):
            if s["wait"][j] > 0:
                continue
            seen = [k for k in range(n) if period[k] >= period[j]]
            z = ih(w, x)[j] + w["weight_hh"][j, seen] @ s["h"][seen] + w["bias_hh"][j]
            h[j], wait[j] = np.tanh(z), period[j] - 1
        return {"h": h, "wait": wait}

    return step


def indrnn(phi):
    return lambda w, x, s: {"h": phi(ih(w, x) + w["recurrent"] * s["h"])}


def positive(n):
    return np.where(n >= 0, n + 0.5, sigmoid(n))


def min_gru(g=lambda n: n):
    def step(w, x, s):
        z, n = gates(ih(w, x), len(s["h"]))
        return {"h": mix(sigmoid(z), g(n), s["h"])}

    return step


def min_lstm(g=lambda n: n):
    def step(w, x, s):
        f, i, n = gates(ih(w, x), len(s["h"]))
        f, i = sigmoid(f), sigmoid(i)
        return {"h": mix(i / (f + i), g(n), s["h"])}

    return step


def pool(z, f, o, c):
    c = mix(1 - sigmoid(f), np.tanh(z), c)
    return {"h": sigmoid(o) * c, "c": c}


def qrnn(w, x, s):
    a = gates(w["weight_ih"] @ x, len(s["h"]))
    old = np.stack([s["seen_z"], s["seen_f"], s["seen_o"]])
    new = pool(*(a[:3] + old + w.get("gate_bias", 0.0)), s["c"])
    return {**new, "seen_z": a[3], "seen_f": a[4], "seen_o": a[5]}


def qrnn_window_1(w, x, s):
    return pool(*gates(ih(w, x), len(s["h"])), s["c"])


def sru(w, x, s):
    content, f, r, past = gates(ih(w, x), len(s["h"]))
    v_f, v_r = w["recurrent"]
    c = mix(1 - sigmoid(f + v_f * s["c"]), content, s["c"])
    return {"h": mix(sigmoid(r + v_r * s["c"]), c, past), "c": c}


def fast_rnn(w, x, s):
    new = np.tanh(ih(w, x) + hh(w, s["h"]))
    return {"h": sigmoid(w["alpha"]) * new + sigmoid(w["beta"]) * s["h"]}


def fast_grnn(w, x, s):
    a = w["weight_ih"] @ x + w["weight_hh"] @ s["h"]
    b_z, b_n = w.get("gate_bias", np.zeros((2, 1)))
    z = sigmoid(a + b_z)
    share = sigmoid(w["zeta"]) * (1 - z) + sigmoid(w["nu"])
    return {"h": share * np.tanh(a + b_n) + z * s["h"]}


def antisymmetric(step_size=0.1, damping=1.0, gated=False):
    def step(w, x, s):
        h, free = s["h"], w["weight_hh"]
        u = (free - free.T - damping * np.eye(len(h))) @ h + w["bias_hh"]
        a = gates(ih(w, x), len(h))
        share = sigmoid(a[0] + u) if gated else 1.0
        return {"h": h + step_size * share * np.tanh(a[-1] + u)}

    return step


def cornn(dt=0.5, gamma=1.0, epsilon=1.0):
    def step(w, x, s):
        force = np.tanh(ih(w, x) + hh(w, s["h"]) + mh(w, s["z"]))
        z = s["z"] + dt * (force - gamma * s["h"] - epsilon * s["z"])
        return {"h": s["h"] + dt * z, "z": z}

    return step


def lem(dt=1.0):
    def step(w, x, s):
        h, n = s["h"], len(s["h"])
        a, u = gates(ih(w, x), n), gates(hh(w, h), n)
        z = mix(dt * sigmoid(a[1] + u[1]), np.tanh(a[2] + u[2]), s["z"])
        new = np.tanh(mh(w, z) + a[3])
        return {"h": mix(dt * sigmoid(a[0] + u[0]), new, h), "z": z}

    return step
