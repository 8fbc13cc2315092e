"""Initialisers by name, for one matrix or for each gate of a stacked one."""

from collections.abc import Callable, Sequence
from inspect import Parameter, signature

import torch
from torch import Tensor

from throughtime.checks import positive_int
from throughtime.errors import InvalidShape, InvalidValue, unknown_name
from throughtime.init.drawing import Device, matrix_shape
from throughtime.init.echo_state import spectral_radius
from throughtime.init.independent import (
    normal,
    uniform,
    xavier_normal,
    xavier_uniform,
)
from throughtime.init.isometric import identity, orthogonal
from throughtime.init.positive_definite import np_rnn, np_rnn_input

INITIALISERS: dict[str, Callable[..., Tensor]] = {
    function.__name__: function
    for function in (
        uniform,
        normal,
        xavier_uniform,
        xavier_normal,
        orthogonal,
        identity,
        np_rnn,
        np_rnn_input,
        spectral_radius,
    )
}
# These speak of eigenvalues, which only a square matrix has: they take one size.
_SQUARE = ("np_rnn", "spectral_radius")
_COMMON = ("generator", "dtype", "device")


def initialise(
    name: str,
    shape: Sequence[int],
    *,
    generator: torch.Generator | None = None,
    dtype: torch.dtype | None = None,
    device: Device = None,
    **options: float,
) -> Tensor:
    """A matrix of ``shape`` drawn by the initialiser called ``name``.

    Args:
        name: a key of ``INITIALISERS``.
        shape: (rows, columns).
        generator: where the randomness comes from; default: torch's global one.
        dtype: type of the matrix; default: torch's default type.
        device: where it lives.
        **options: what the initialiser takes besides, such as ``gain``.

    Raises:
        InvalidValue: unknown name or option, a required option missing, or a value out
            of its range.
        InvalidShape: an initialiser of square matrices is given another shape.

    >>> initialise("identity", (2, 2), scale=2.0)
    tensor([[2., 0.],
            [0., 2.]])
    """
    if name not in INITIALISERS:
        raise unknown_name("initialiser", name, INITIALISERS)
    function = INITIALISERS[name]
    _, *parameters = signature(function).parameters.values()
    known = {p.name: p.default for p in parameters if p.name not in _COMMON}
    for option in options:
        if option not in known:
            raise unknown_name(f"option of {name}", option, known or ["none"])
    for option, default in known.items():
        if default is Parameter.empty and option not in options:
            raise InvalidValue(f"initialiser {name!r} needs the option {option}")
    place = {"generator": generator, "dtype": dtype, "device": device}
    if name not in _SQUARE:
        return function(shape, **options, **place)
    rows, columns = matrix_shape(shape)
    if rows != columns:
        raise InvalidShape(
            f"initialiser {name!r} draws square matrices, got shape {tuple(shape)}; "
            "for a stacked gate matrix (G*H, H) use initialise_gates"
        )
    return function(rows, **options, **place)


def initialise_gates(
    name: str,
    gates: int,
    hidden_size: int,
    *,
    generator: torch.Generator | None = None,
    dtype: torch.dtype | None = None,
    device: Device = None,
    **options: float,
) -> Tensor:
    """A stacked recurrent matrix (G*H, H): each gate's square block drawn on its own.

    Drawing (G*H, H) at once would scale by the wrong number of rows, and give the
    blocks none of the promised properties.

    Raises:
        InvalidType: a size is no int.
        InvalidValue: a size is not positive, or as for ``initialise``.

    >>> initialise_gates("identity", 4, 2).shape
    torch.Size([8, 2])
    """
    gates = positive_int("gates", gates)
    shape = (positive_int("hidden_size", hidden_size),) * 2
    blocks = [
        initialise(
            name, shape, generator=generator, dtype=dtype, device=device, **options
        )
        for _ in range(gates)
    ]
    return torch.cat(blocks)
