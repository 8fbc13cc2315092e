"""Initialisers: each draws a new weight matrix, by name or as a function.

All of them take ``generator`` (default: torch's global one), ``dtype`` (default:
torch's default type) and ``device``. The random numbers are drawn on that device and in
that type; eigenvalues and factorisations are then computed in float64 on the CPU, so
that a promised property holds up to rounding in ``dtype``.

``spectrum`` reports what a drawn matrix will do to a state over many steps.

>>> import torch
>>> generator = torch.Generator().manual_seed(0)
>>> weight_hh = initialise("orthogonal", (3, 3), generator=generator)
>>> torch.allclose(weight_hh.T @ weight_hh, torch.eye(3), atol=1e-6)
True
"""

from throughtime.init.by_name import INITIALISERS as INITIALISERS
from throughtime.init.by_name import initialise as initialise
from throughtime.init.by_name import initialise_gates as initialise_gates
from throughtime.init.echo_state import spectral_radius as spectral_radius
from throughtime.init.gate_bias import forget_bias as forget_bias
from throughtime.init.independent import normal as normal
from throughtime.init.independent import uniform as uniform
from throughtime.init.independent import xavier_normal as xavier_normal
from throughtime.init.independent import xavier_uniform as xavier_uniform
from throughtime.init.isometric import identity as identity
from throughtime.init.isometric import orthogonal as orthogonal
from throughtime.init.positive_definite import np_rnn as np_rnn
from throughtime.init.positive_definite import np_rnn_input as np_rnn_input
from throughtime.spectrum import Spectrum as Spectrum
from throughtime.spectrum import spectrum as spectrum
