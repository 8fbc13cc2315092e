"""The bias that keeps an LSTM's forget gate open at the start."""

import torch
from torch import Tensor

from throughtime.checks import number
from throughtime.errors import InvalidShape


def forget_bias(bias: Tensor, value: float) -> Tensor:
    """Set the forget gate's part of an LSTM bias (4H,) to ``value``, in place.

    The gates are stacked as i f g o, so these are the entries H to 2H. A positive value
    (often 1) opens the gate at the start, so that early training remembers (Gers et
    al., 2000; Jozefowicz et al., 2015). torch's layers add two biases, ``bias_ih`` and
    ``bias_hh``: set one of them to ``value`` and the other to 0.

    Returns:
        ``bias`` itself.

    Raises:
        InvalidType: ``value`` is no number.
        InvalidShape: ``bias`` is not a vector of four gates.

    >>> forget_bias(torch.zeros(8), 1.0)
    tensor([0., 0., 1., 1., 0., 0., 0., 0.])
    """
    value = number("value", value)
    if bias.dim() != 1 or bias.size(0) % 4:
        raise InvalidShape(
            "bias must be a vector (4H,) of the gates i f g o, "
            f"got shape {tuple(bias.shape)}"
        )
    with torch.no_grad():
        bias.chunk(4)[1].fill_(value)
    return bias
