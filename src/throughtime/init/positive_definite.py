"""The two matrices of the np-RNN, whose recurrent one is positive definite."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from throughtime.checks import positive_int
from throughtime.init.drawing import Device, empty, for_algebra, matrix_shape


def np_rnn(
    size: int,
    *,
    generator: torch.Generator | None = None,
    dtype: torch.dtype | None = None,
    device: Device = None,
) -> Tensor:
    """W = (A + I) / λ_max(A + I), A = RᵀR / N, R ~ N(0, 1)^{N x N}, N = ``size``.

    The normalised positive definite matrix of Talathi and Vartak (arXiv 1511.03771):
    symmetric, largest eigenvalue 1, all others in (0, 1). For large N the eigenvalues
    fill [0.2, 1] with mean 0.4 (Marchenko-Pastur law).

    Raises:
        InvalidType: ``size`` is no int, or ``dtype`` is not floating.
        InvalidValue: ``size`` is not positive.

    >>> eigenvalues = torch.linalg.eigvalsh(np_rnn(50, dtype=torch.float64))
    >>> round(float(eigenvalues.max()), 12)
    1.0
    """
    size = positive_int("size", size)
    drawn = empty((size, size), dtype, device).normal_(generator=generator)
    r = for_algebra(drawn)
    a = r.T @ r / size + torch.eye(size, dtype=r.dtype)
    return (a / torch.linalg.eigvalsh(a)[-1]).to(drawn)


def np_rnn_input(
    shape: Sequence[int],
    *,
    generator: torch.Generator | None = None,
    dtype: torch.dtype | None = None,
    device: Device = None,
) -> Tensor:
    """W ~ N(0, (g / √H)²), g = √2 exp(1.2 / (max(H, 6) - 2.4)), H = rows of W (H, I).

    The input matrix of the np-RNN. g is the random-walk gain for ReLU (Sussillo and
    Abbott, arXiv 1412.6558), which keeps the mean log length of a signal constant.

    The literature is not of one mind about the divisor: the random-walk paper divides
    g by √N, while code in circulation divides by N. Nor is it about N, the input or the
    hidden size. Here: √N, as in the paper, with N = H, because the hidden size is the
    one that np-RNN experiments report it for.

    Raises:
        InvalidType: a length is no int, or ``dtype`` is not floating.
        InvalidShape: ``shape`` has not two lengths.
        InvalidValue: a length is not positive.

    >>> np_rnn_input((100, 2)).shape
    torch.Size([100, 2])
    """
    matrix = empty(matrix_shape(shape), dtype, device)
    hidden_size = matrix.size(0)
    gain = math.sqrt(2) * math.exp(1.2 / (max(hidden_size, 6) - 2.4))
    return matrix.normal_(0.0, gain / math.sqrt(hidden_size), generator=generator)
