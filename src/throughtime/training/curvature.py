r"""Gauss-Newton products through time.

    G v = Jᵀ H_L J v

J is the derivative of all outputs by all parameters, H_L the second derivative of the
loss by the outputs. Neither matrix is ever built: each product of one is one pass over
time (Schraudolph, "Fast curvature matrix-vector products for second-order gradient
descent", 2002).

    Jᵀ u    the ordinary backward pass
    H_L w   the loss alone, differentiated twice
    J v     the R-operator. z(u) = Jᵀ u is linear in u, so that d(zᵀ v)/du = J v: the
            backward pass of the backward pass. The graph of z is made once per batch.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from throughtime.errors import InvalidShape, InvalidType, InvalidValue
from throughtime.layers.tangent import linear_in_gradients
from throughtime.training.conjugate_gradient import dot


def flatten(tensors: Sequence[Tensor]) -> Tensor:
    """All numbers one after the other.

    >>> flatten([torch.zeros(1, 2), torch.ones(1)])
    tensor([0., 0., 1.])
    """
    return torch.cat([t.reshape(-1) for t in tensors])


def unflatten(vector: Tensor, like: Sequence[Tensor]) -> list[Tensor]:
    """The inverse of ``flatten``, in the shapes of ``like``.

    Raises:
        InvalidShape: another number of entries.
    """
    sizes = [t.numel() for t in like]
    if vector.shape != (sum(sizes),):
        raise InvalidShape(
            f"a vector over these parameters must have shape ({sum(sizes)},), got "
            f"{tuple(vector.shape)}; use curvature.flatten"
        )
    pairs = zip(vector.split(sizes), like, strict=True)
    return [part.view(t.shape) for part, t in pairs]


class GaussNewton:
    """v -> (Jᵀ H_L J + w J_hᵀ J_h) v for one batch; vectors are flat, (n,).

    J_h is the derivative of hidden states, and w >= 0 the weight of their term, which
    structural damping adds.

    Args:
        outputs: what the model computed from the parameters, any shape, with its graph.
        loss: the loss of outputs, one number, convex in them.
        parameters: those to differentiate by.
        hidden: hidden states with their graph, if they have a term.
        hidden_weight: w.

    Raises:
        InvalidType: outputs are no tensor with a graph, or the parameters differ in
            type or device.
        InvalidValue: the loss does not depend on the outputs.

    >>> weight = torch.tensor([1.0, 2.0], requires_grad=True)
    >>> x = torch.tensor([[1.0, 0.0], [0.0, 3.0]])
    >>> G = GaussNewton(x @ weight, lambda y: (y**2).sum(), [weight])
    >>> G(torch.ones(2))
    tensor([ 2., 18.])
    """

    def __init__(
        self,
        outputs: Tensor,
        loss: Callable[[Tensor], Tensor],
        parameters: Sequence[Tensor],
        *,
        hidden: Sequence[Tensor] = (),
        hidden_weight: float = 0.0,
    ) -> None:
        check_outputs(outputs)
        check_alike(parameters)
        self._parameters = list(parameters)
        self._weight = hidden_weight
        self._points = [outputs, *(h for h in hidden if h.requires_grad)]
        with torch.enable_grad():
            self._leaf = outputs.detach().requires_grad_()
            value = check_loss(loss(self._leaf))
            (self._slope,) = torch.autograd.grad(value, self._leaf, create_graph=True)
            self._u = [torch.zeros_like(p, requires_grad=True) for p in self._points]
            with linear_in_gradients():
                z = torch.autograd.grad(
                    self._points,
                    self._parameters,
                    self._u,
                    create_graph=True,
                    allow_unused=True,
                )
        # What the outputs do not depend on has no part in J.
        parts: list[Tensor | None] = list(z)
        self._z = [(i, part) for i, part in enumerate(parts) if part is not None]
        if not self._z:
            raise no_graph()

    def __call__(self, vector: Tensor) -> Tensor:
        """G v."""
        outputs, *hidden = self.tangents(vector)
        weighted = [self.loss_hessian(outputs), *(self._weight * h for h in hidden)]
        return self.transposed(weighted)

    def tangents(self, vector: Tensor) -> list[Tensor]:
        """J v: of the outputs, then of each hidden state."""
        parts = unflatten(vector, self._parameters)
        return list(
            torch.autograd.grad(
                [z for _, z in self._z],
                self._u,
                [parts[i] for i, _ in self._z],
                retain_graph=True,
                allow_unused=True,
                materialize_grads=True,
            )
        )

    def loss_hessian(self, tangent: Tensor) -> Tensor:
        """H_L w."""
        if not self._slope.requires_grad:  # a linear loss has no curvature
            return torch.zeros_like(tangent)
        found = torch.autograd.grad(
            self._slope,
            self._leaf,
            tangent,
            retain_graph=True,
            allow_unused=True,
            materialize_grads=True,
        )
        return found[0]

    def transposed(self, cotangents: Sequence[Tensor]) -> Tensor:
        """Jᵀ u: the gradient of Σ u·outputs, hidden states after the outputs."""
        count = len(cotangents)
        return flatten(
            torch.autograd.grad(
                self._points[:count],
                self._parameters,
                list(cotangents),
                retain_graph=True,
                allow_unused=True,
                materialize_grads=True,
            )
        )

    def energy(self, vector: Tensor) -> float:
        """vᵀ Jᵀ H_L J v, without the term of the hidden states."""
        outputs = self.tangents(vector)[0]
        return dot(outputs, self.loss_hessian(outputs))


def check_outputs(outputs: object, *, graph: bool = True) -> None:
    """Raise unless these are outputs, with a graph if that is wanted.

    Raises:
        InvalidType: they are not.
    """
    if not isinstance(outputs, Tensor):
        raise InvalidType(
            f"outputs should be of type Tensor, got: {type(outputs).__name__}; the "
            "closure should return (outputs, loss), loss a function of the outputs"
        )
    if graph and not outputs.requires_grad:
        raise no_graph()


def no_graph() -> InvalidType:
    """The error for outputs that do not depend on the parameters."""
    return InvalidType(
        "outputs do not depend on the parameters: they have no graph to them; compute "
        "them inside the closure, without no_grad and detach"
    )


def check_alike(parameters: Sequence[Tensor]) -> None:
    """Raise unless all parameters have one type and live on one device.

    Raises:
        InvalidType: they do not.
    """
    kinds = {(str(p.dtype), str(p.device)) for p in parameters}
    if len(kinds) > 1:
        found = ", ".join(" on ".join(kind) for kind in sorted(kinds))
        raise InvalidType(
            f"parameters should be of one dtype on one device, got: {found}; convert "
            "the model: model.to(device, dtype)"
        )


def check_loss(value: object) -> Tensor:
    """A loss with a graph.

    Raises:
        InvalidValue: it is not one number, or does not depend on the outputs.
    """
    if not isinstance(value, Tensor) or value.numel() != 1:
        got = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        raise InvalidValue(
            f"loss(outputs) should be a tensor of one number, got {got}; use "
            "reduction='mean' or 'sum'"
        )
    if not value.requires_grad:
        raise InvalidValue(
            "the loss does not depend on the outputs it is given; compute it from the "
            "argument of the function alone"
        )
    return value
