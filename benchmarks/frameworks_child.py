"""The JAX side of frameworks.py: prepares what it is asked to, and times single runs.

A bare lax.scan with the input product of all steps ahead of it is the most that JAX
gives; Flax (OptimizedLSTMCell, which has one product for all gates) and Keras with its
JAX backend are what people write. Everything is jitted; compiling is not timed.
"""

import json
import os
import sys
from collections.abc import Callable
from typing import Any

THREADS = int(sys.argv[1])
if hasattr(os, "sched_setaffinity"):  # XLA makes one thread per processor it may use
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:THREADS])
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["KERAS_BACKEND"] = "jax"

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
from warm import warm_seconds  # noqa: E402

Compiled = Callable[[], Any]
Apply = Callable[[Any, Any], Any]  # parameters, x -> outputs
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def scan(layer: str, steps: int, batch: int, inputs: int, hidden: int) -> tuple:
    del steps
    rows = GATES[layer] * hidden
    keys = jax.random.split(jax.random.key(0), 3)
    weights = (
        jax.random.uniform(keys[0], (inputs, rows), minval=-0.1, maxval=0.1),
        jax.random.uniform(keys[1], (hidden, rows), minval=-0.1, maxval=0.1),
        jax.random.uniform(keys[2], (rows,), minval=-0.1, maxval=0.1),
    )

    def lstm(state: Any, a: Any) -> Any:
        h, c = state
        i, f, g, o = jnp.split(a[0] + h @ a[1], 4, axis=-1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    def gru(state: Any, a: Any) -> Any:
        (h,) = state
        xr, xz, xn = jnp.split(a[0], 3, axis=-1)
        hr, hz, hn = jnp.split(h @ a[1], 3, axis=-1)
        z = jax.nn.sigmoid(xz + hz)
        n = jnp.tanh(xn + jax.nn.sigmoid(xr + hr) * hn)
        h = (1 - z) * n + z * h
        return (h,), h

    def rnn(state: Any, a: Any) -> Any:
        h = jnp.tanh(a[0] + state[0] @ a[1])
        return (h,), h

    step = {"LSTM": lstm, "GRU": gru, "RNN": rnn}[layer]

    def apply(weights: Any, x: Any) -> Any:
        w_ih, w_hh, bias = weights
        state = tuple(jnp.zeros((batch, hidden)) for _ in range(1 + (layer == "LSTM")))
        return jax.lax.scan(lambda s, a: step(s, (a, w_hh)), state, x @ w_ih + bias)[1]

    return apply, weights


def flax(layer: str, steps: int, batch: int, inputs: int, hidden: int) -> tuple:
    from flax import linen

    cell = {
        "LSTM": linen.OptimizedLSTMCell,
        "GRU": linen.GRUCell,
        "RNN": linen.SimpleCell,
    }[layer](hidden)
    module = linen.RNN(cell, time_major=True)
    weights = module.init(jax.random.key(0), jnp.zeros((steps, batch, inputs)))
    return module.apply, weights


def keras(layer: str, steps: int, batch: int, inputs: int, hidden: int) -> tuple:
    import keras

    name = {"LSTM": "LSTM", "GRU": "GRU", "RNN": "SimpleRNN"}[layer]
    module = getattr(keras.layers, name)(hidden, return_sequences=True)
    module.build((batch, steps, inputs))
    weights = [variable.value for variable in module.trainable_variables]
    others = [variable.value for variable in module.non_trainable_variables]

    def apply(weights: Any, x: Any) -> Any:
        return module.stateless_call(weights, others, x)[0]

    return apply, weights


BUILDERS = {"scan": scan, "flax": flax, "keras": keras}


def prepare(names: list[str], layer: str, shape: list[int]) -> dict[str, Compiled]:
    """Compiled calls by candidate and kind."""
    steps, batch, inputs, hidden = shape
    found: dict[str, Compiled] = {}
    for name in names:
        apply, weights = BUILDERS[name](layer, *shape)
        # Keras puts the batch first, as its users do.
        first = (batch, steps) if name == "keras" else (steps, batch)
        x = jax.random.normal(jax.random.key(1), (*first, inputs))
        upstream = jax.random.normal(jax.random.key(2), (*first, hidden))
        found[f"{name} forward"] = compiled(apply, weights, x)
        found[f"{name} training"] = compiled(
            with_gradients(apply, x_too=inputs > 1), weights, x, upstream
        )
    return found


def with_gradients(apply: Apply, x_too: bool) -> Callable[..., Any]:
    """Outputs and the gradients of weights and, unless it is data, of x."""

    def run(weights: Any, x: Any, upstream: Any) -> Any:
        if x_too:
            outputs, back = jax.vjp(apply, weights, x)
        else:
            outputs, back = jax.vjp(lambda w: apply(w, x), weights)
        return outputs, back(upstream)

    return run


def compiled(function: Callable[..., Any], *arguments: Any) -> Compiled:
    ready = jax.jit(function).lower(*arguments).compile()
    return lambda: jax.block_until_ready(ready(*arguments))


def main() -> None:
    runs: dict[str, Compiled] = {}
    for line in sys.stdin:
        request = json.loads(line)
        answer: Any = True
        if "prepare" in request:
            runs = prepare(request["prepare"], request["layer"], request["shape"])
        else:
            answer = warm_seconds(runs[request["run"]])
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
