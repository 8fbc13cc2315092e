"""A small recurrent network in plain torch, and the truths that formulas meet.

Columns: h_t = φ(W_hx x_t + W_hh h_{t-1}), o_t = W_qh h_t, L = (1/T) Σ ‖o_t - y_t‖².
Steps are counted from 1 as in the equations: ``at(h, 0)`` is h_0.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from throughtime.cells import Activation
from throughtime.gradients import ScalarNetwork, scalar_network

T, SIZE = 6, 3
ACTIVATIONS = ("identity", "tanh", "sigmoid")
TOLERANCE = 1e-8  # of what is right
VISIBLE = 1e-2  # least error of what is wrong


def error(found: Tensor, truth: Tensor) -> float:
    """The largest difference of two tensors of one shape."""
    assert found.shape == truth.shape
    return float((found - truth).detach().abs().max())


def central_differences(value: Callable[[Tensor], Tensor], at: Tensor) -> Tensor:
    """∂ value(p) / ∂p, (*value, *p), from differences of values alone."""
    step = 1e-5
    columns = []
    for k in range(at.numel()):
        shift = torch.zeros(at.numel(), dtype=at.dtype)
        shift[k] = step
        shift = shift.view_as(at)
        columns.append((value(at + shift) - value(at - shift)) / (2 * step))
    found = torch.stack(columns, -1)
    return found.view((*found.shape[:-1], *at.shape))


@dataclass
class Net:
    phi: Activation
    weights: dict[str, Tensor]
    x: Tensor
    y: Tensor
    start: Tensor

    def run(self, weights: dict[str, Tensor] | None = None) -> tuple[Tensor, ...]:
        """z_1..z_T, h_0..h_T and o_1..o_T."""
        w = self.weights | (weights or {})
        z, h = [], [self.start]
        for x_t in self.x:
            z.append(w["hx"] @ x_t + w["hh"] @ h[-1])
            h.append(self.phi(z[-1]))
        hidden = torch.stack(h)
        return torch.stack(z), hidden, hidden[1:] @ w["qh"].T

    def loss(self, weights: dict[str, Tensor] | None = None) -> Tensor:
        outputs = self.run(weights)[2]
        return ((outputs - self.y) ** 2).sum() / len(self.x)

    def truths(self, name: str) -> tuple[Tensor, Tensor]:
        """∂L/∂W by autograd and by central differences."""
        w = self.weights[name].clone().requires_grad_()
        (gradient,) = torch.autograd.grad(self.loss({name: w}), w)
        return gradient, central_differences(
            lambda p: self.loss({name: p}), self.weights[name]
        )

    # ---- the pieces of the equations, by their own formulas

    @property
    def slopes(self) -> Tensor:
        """φ'(z_t), (T, H)."""
        return self.phi.derivative(self.run()[0])

    @property
    def d_outputs(self) -> Tensor:
        """∂L/∂o_t, (T, Q)."""
        return 2 * (self.run()[2] - self.y) / len(self.x)

    def jacobian(self, m: int) -> Tensor:
        """∂h_m/∂h_{m-1} = diag(φ'(z_m)) W_hh."""
        return torch.diag(self.slopes[m - 1]) @ self.weights["hh"]

    def product(self, j: int, k: int) -> Tensor:
        """∂h_j/∂h_k, the later step on the left."""
        found = torch.eye(SIZE, dtype=torch.float64)
        for m in range(k + 1, j + 1):
            found = self.jacobian(m) @ found
        return found

    def delta(self, j: int, k: int) -> Tensor:
        """∂L_j/∂z_k, the loss of step j seen at the pre-activation of step k."""
        at_output = self.weights["qh"].T @ self.d_outputs[j - 1]
        return self.slopes[k - 1] * (self.product(j, k).T @ at_output)

    def term(self, j: int, k: int, name: str = "hh") -> Tensor:
        """∂L_j/∂h_j ∂h_j/∂h_k ∂⁺h_k/∂W, for W_hh or W_hx."""
        met = self.run()[1][k - 1] if name == "hh" else self.x[k - 1]
        return torch.outer(self.delta(j, k), met)


def small_net(activation: str, inputs: int = 2) -> Net:
    generator = torch.Generator().manual_seed(11)

    def draw(*shape: int, scale: float = 1.0) -> Tensor:
        return scale * torch.randn(*shape, generator=generator, dtype=torch.float64)

    # Such that neither the state saturates nor the gradient of the first step is lost.
    hx, hh = {"tanh": (0.4, 1.1), "sigmoid": (0.7, 4.0)}.get(activation, (1.0, 0.7))
    weights = {"hx": draw(SIZE, inputs, scale=hx), "hh": draw(SIZE, SIZE, scale=hh)}
    weights["qh"] = draw(2, SIZE)
    return Net(Activation(activation), weights, draw(T, inputs), draw(T, 2), draw(SIZE))


# ---- the scalar network, T = 7

SEVEN = 7
X = [0.9, -0.4, 0.3, 1.1, -0.8, 0.5, 0.2]
V = [0.1, 0.4, -0.3, 0.8, 0.2, -0.6, 0.5]
NUMBERS = {"input_weight": 0.7, "recurrent_weight": 0.8, "output_weight": -0.9}


def scalar(activation: str, **options) -> ScalarNetwork:
    options = {"initial": 0.6, "targets": V} | options
    return scalar_network(X, **NUMBERS, activation=activation, **options)
