"""The recurrent matrix of echo state networks: sparse, with a given spectral radius."""

import torch
from torch import Tensor

from throughtime.checks import number, positive_int
from throughtime.errors import InvalidValue
from throughtime.init.drawing import Device, empty, for_algebra


def spectral_radius(
    size: int,
    radius: float,
    *,
    connectivity: float = 1.0,
    generator: torch.Generator | None = None,
    dtype: torch.dtype | None = None,
    device: Device = None,
) -> Tensor:
    """W = radius R / max|λ(R)|: a sparse normal R rescaled to the wanted radius.

    The recurrent matrix of echo state networks (Jaeger, 2001).

    Args:
        size: rows and columns of W.
        radius: the largest absolute eigenvalue that W shall have.
        connectivity: share of non-zero weights in (0, 1], rounded to whole weights;
            which ones is drawn at random.
        generator: where the randomness comes from.
        dtype: type of W.
        device: where W lives.

    Raises:
        InvalidType: ``size`` is no int, a number is none, or ``dtype`` not floating.
        InvalidValue: a number is out of its range; or all eigenvalues of the drawn R
            are zero, which happens when so few weights remain that no chain of
            connections returns to its start.

    >>> from throughtime.spectrum import spectrum
    >>> weight = spectral_radius(20, 0.9, connectivity=0.5, dtype=torch.float64)
    >>> round(spectrum(weight).spectral_radius, 12)
    0.9
    """
    size = positive_int("size", size)
    radius = number("radius", radius, minimum=0)
    connectivity = number(
        "connectivity", connectivity, minimum=0, maximum=1, exclude_minimum=True
    )
    drawn = empty((size, size), dtype, device).normal_(generator=generator)
    order = torch.randperm(size * size, generator=generator, device=device)
    drawn.view(-1)[order[round(connectivity * size * size) :]] = 0.0
    r = for_algebra(drawn)
    found = torch.linalg.eigvals(r).abs().max()
    if found == 0:
        raise InvalidValue(
            f"connectivity={connectivity:g} left a {size} x {size} matrix whose "
            "eigenvalues are all zero, which cannot be scaled to "
            f"radius={radius:g}; raise connectivity or size, or try another seed"
        )
    return (r * (radius / found)).to(drawn)
