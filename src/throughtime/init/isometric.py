"""Initialisers that stretch all directions alike: all singular values are equal."""

from collections.abc import Sequence

import torch
from torch import Tensor

from throughtime.checks import number
from throughtime.init.drawing import Device, empty, for_algebra, matrix_shape


def orthogonal(
    shape: Sequence[int],
    *,
    gain: float = 1.0,
    generator: torch.Generator | None = None,
    dtype: torch.dtype | None = None,
    device: Device = None,
) -> Tensor:
    """W = gain Q with QᵀQ = I, or QQᵀ = I if there are more columns than rows.

    All singular values equal ``gain``: with gain 1 a square W changes the length of no
    state. Q comes from the QR factorisation of a normal matrix with R's diagonal made
    positive, which draws every orthogonal matrix with the same density (Saxe et al.,
    2013, arXiv 1312.6120; Mezzadri, 2007).

    Raises:
        InvalidType: a length or ``gain`` is no number, or ``dtype`` is not floating.
        InvalidShape: ``shape`` has not two lengths.
        InvalidValue: a length is not positive, or ``gain`` is not finite.

    >>> q = orthogonal((5, 3), dtype=torch.float64)
    >>> torch.allclose(q.T @ q, torch.eye(3, dtype=torch.float64))
    True
    """
    gain = number("gain", gain)
    drawn = empty(matrix_shape(shape), dtype, device).normal_(generator=generator)
    wide = drawn.size(0) < drawn.size(1)
    q, r = torch.linalg.qr(for_algebra(drawn.T if wide else drawn))
    q = gain * q * r.diagonal().sign()
    return (q.T if wide else q).to(drawn).contiguous()


def identity(
    shape: Sequence[int],
    *,
    scale: float = 1.0,
    generator: torch.Generator | None = None,
    dtype: torch.dtype | None = None,
    device: Device = None,
) -> Tensor:
    """W = scale I, the start of the IRNN (Le, Jaitly and Hinton, arXiv 1504.00941).

    ``shape`` need not be square: the rest is zero. Nothing is drawn; ``generator`` is
    taken so that all initialisers are called alike.

    Raises:
        InvalidType: a length or ``scale`` is no number, or ``dtype`` is not floating.
        InvalidShape: ``shape`` has not two lengths.
        InvalidValue: a length is not positive, or ``scale`` is not finite.

    >>> identity((2, 2), scale=0.5)
    tensor([[0.5000, 0.0000],
            [0.0000, 0.5000]])
    """
    scale = number("scale", scale)
    matrix = empty(matrix_shape(shape), dtype, device).zero_()
    matrix.diagonal().fill_(scale)
    return matrix
