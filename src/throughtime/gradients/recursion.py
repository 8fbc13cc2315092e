r"""The recursion behind every gradient through time, and its closed form.

    a_t = b_t + c_t a_{t-1}
        = b_t + Σ_{i=1}^{t-1} (c_t c_{t-1} … c_{i+1}) b_i + (c_t … c_1) a_0

With a_t = ∂h_t/∂w, b_t = ∂f/∂w and c_t = ∂f/∂h_{t-1} it is forward accumulation: the
gradient of a state is that of its own step plus what the steps before hand on (Zhang,
Lipton, Li and Smola, "Dive into Deep Learning", chapter on backpropagation through
time). Where the c_t are matrices they do not commute, and the latest stands on the
left. Without a_0, that is a_0 = 0, the last summand is not there: right for an initial
state that does not depend on w.
"""

import torch
from torch import Tensor

from throughtime.errors import InvalidShape, InvalidType


def recursion(b: Tensor, c: Tensor, start: Tensor | None = None) -> Tensor:
    """a_1 .. a_T, one after the other.

    Args:
        b: b_1 .. b_T, (T, ...); (T, n) or (T, n, m) where c_t is a matrix.
        c: c_1 .. c_T: numbers (T,), or matrices (T, n, n).
        start: a_0, the shape of one b_t; default: 0.

    Returns:
        a_1 .. a_T, the shape of ``b``.

    Raises:
        InvalidType: an argument is no tensor of floating point.
        InvalidShape: the shapes do not fit.

    >>> recursion(torch.tensor([1.0, 1.0, 1.0]), torch.tensor([0.0, 2.0, 3.0]))
    tensor([ 1.,  3., 10.])
    """
    a = _checked(b, c, start)
    found = []
    for b_t, c_t in zip(b, c, strict=True):
        a = b_t + _times(c_t, a)
        found.append(a)
    return torch.stack(found)


def closed_form_terms(b: Tensor, c: Tensor, start: Tensor | None = None) -> Tensor:
    """The summands of a_T: what each step contributes.

    Args:
        b: as in ``recursion``.
        c: as in ``recursion``.
        start: as in ``recursion``.

    Returns:
        (T + 1, ...): entry i is (c_T … c_{i+1}) b_i, entry 0 is (c_T … c_1) a_0. Their
        sum is a_T, and entry i is the contribution of lag T - i.

    Raises:
        InvalidType: an argument is no tensor of floating point.
        InvalidShape: the shapes do not fit.

    >>> closed_form_terms(torch.tensor([1.0, 1.0, 1.0]), torch.tensor([0.0, 2.0, 3.0]))
    tensor([0., 6., 3., 1.])
    """
    a = _checked(b, c, start)
    terms = [b[-1]]
    product = c[-1]
    for i in range(len(b) - 1, 0, -1):
        terms.append(_times(product, b[i - 1]))
        product = product @ c[i - 1] if c.dim() == 3 else product * c[i - 1]
    terms.append(_times(product, a))
    return torch.stack(terms[::-1])


def closed_form(b: Tensor, c: Tensor, start: Tensor | None = None) -> Tensor:
    """a_1 .. a_T by the closed form, every a_t for itself; equals ``recursion``.

    Args:
        b: as in ``recursion``.
        c: as in ``recursion``.
        start: as in ``recursion``.

    Returns:
        a_1 .. a_T, the shape of ``b``.

    Raises:
        InvalidType: an argument is no tensor of floating point.
        InvalidShape: the shapes do not fit.

    >>> closed_form(torch.tensor([1.0, 1.0, 1.0]), torch.tensor([0.0, 2.0, 3.0]))
    tensor([ 1.,  3., 10.])
    """
    _checked(b, c, start)
    steps = range(1, len(b) + 1)
    return torch.stack([closed_form_terms(b[:t], c[:t], start).sum(0) for t in steps])


def _times(c: Tensor, a: Tensor) -> Tensor:
    return c @ a if c.dim() == 2 else c * a


def _checked(b: Tensor, c: Tensor, start: Tensor | None) -> Tensor:
    """a_0, if all arguments fit."""
    for name, value in (("b", b), ("c", c), ("start", start)):
        if value is not None and not (
            isinstance(value, Tensor) and value.is_floating_point()
        ):
            got = value.dtype if isinstance(value, Tensor) else type(value).__name__
            raise InvalidType(
                f"{name} should be a tensor of floating point, got: {got}"
            )
    if b.dim() == 0 or len(b) == 0:
        raise InvalidShape(
            f"b must have one entry per step, (T, ...), T >= 1, got {tuple(b.shape)}"
        )
    size = b.shape[1] if b.dim() in (2, 3) else None
    allowed = [(len(b),)] + ([(len(b), size, size)] if size is not None else [])
    if tuple(c.shape) not in allowed:
        raise InvalidShape(
            f"c must have shape {' or '.join(map(str, allowed))} for b of shape "
            f"{tuple(b.shape)}, got {tuple(c.shape)}: one number or one square matrix "
            "per step"
        )
    if start is None:
        return torch.zeros_like(b[0])
    if start.shape != b.shape[1:]:
        raise InvalidShape(
            f"start must have the shape of one b_t, {tuple(b.shape[1:])}, got "
            f"{tuple(start.shape)}"
        )
    return start
