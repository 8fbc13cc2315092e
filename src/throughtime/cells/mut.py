r"""The three best units of a search over ten thousand (Jozefowicz et al., 2015).

    MUT1  z_t = σ(W_xz x_t + b_z)
          r_t = σ(W_xr x_t + W_hr h_{t-1} + b_r)
          n_t = tanh(W_hh (r_t ⊙ h_{t-1}) + tanh(W_xh x_t) + b_h)
    MUT2  z_t = σ(W_xz x_t + W_hz h_{t-1} + b_z)
          r_t = σ(W_xr x_t + W_hr h_{t-1} + b_r)
          n_t = tanh(W_hh (r_t ⊙ h_{t-1}) + W_xh x_t + b_h)
    MUT3  z_t = σ(W_xz x_t + W_hz tanh(h_{t-1}) + b_z)
          r_t and n_t as in MUT2
    all   h_t = z_t ⊙ n_t + (1 - z_t) ⊙ h_{t-1}

"An empirical exploration of recurrent network architectures", ICML 2015. The paper
writes tanh(x_t) in MUT1 and x_t in r_t of MUT2, which need I = H; W_xh and W_xr stand
there, so that any I will do, and MUT2 becomes a GRU with the reset before the product.
"""

from typing import Any

import torch

from throughtime.cells.declare import cell
from throughtime.cells.parts import Inner, Parts


@cell(
    gates=(3, 1),
    inner=(1,),
    name="mut1",
    equation="h_t = z_t ⊙ n_t + (1 - z_t) ⊙ h_{t-1}, z_t of x_t alone",
    source="Jozefowicz et al., 2015",
)
def MUT1(a_x: Parts, a_h: Parts, state: Any, inner: Inner) -> Any:
    """z_t sees x_t alone, the candidate tanh(W_xh x_t); gate order z, r, n.

    Shapes: weight_ih (3H, I), weight_hh (H, H) of r, weight_mh (H, H), biases likewise.

    >>> MUT1(3, 4).step(torch.ones(2, 3)).h.shape
    torch.Size([2, 4])
    """
    z = torch.sigmoid(a_x[0])
    r = torch.sigmoid(a_x[1] + a_h[0])
    (seen,) = inner(r * state.h)
    n = torch.tanh(seen + torch.tanh(a_x[2]))
    return {"h": z * n + (1 - z) * state.h}, {"update": z, "reset": r, "candidate": n}


@cell(
    gates=(3, 2),
    inner=(1,),
    name="mut2",
    equation="h_t = z_t ⊙ n_t + (1 - z_t) ⊙ h_{t-1}, n_t from r_t ⊙ h_{t-1}",
    source="Jozefowicz et al., 2015",
)
def MUT2(a_x: Parts, a_h: Parts, state: Any, inner: Inner) -> Any:
    """With W_xr x_t in the place of x_t a GRU; gate order z, r, n.

    Shapes: weight_ih (3H, I), weight_hh (2H, H) of z and r, weight_mh (H, H), biases
    likewise.

    >>> MUT2(3, 4).step(torch.ones(2, 3)).h.shape
    torch.Size([2, 4])
    """
    z = torch.sigmoid(a_x[0] + a_h[0])
    r = torch.sigmoid(a_x[1] + a_h[1])
    (seen,) = inner(r * state.h)
    n = torch.tanh(a_x[2] + seen)
    return {"h": z * n + (1 - z) * state.h}, {"update": z, "reset": r, "candidate": n}


@cell(
    gates=(3, 1),
    inner=(1, 1),
    name="mut3",
    equation="h_t = z_t ⊙ n_t + (1 - z_t) ⊙ h_{t-1}, z_t from tanh(h_{t-1})",
    source="Jozefowicz et al., 2015",
)
def MUT3(a_x: Parts, a_h: Parts, state: Any, inner: Inner) -> Any:
    """z_t sees tanh(h_{t-1}); gate order z, r, n.

    Shapes: weight_ih (3H, I), weight_hh (H, H) of r, weight_mh (2H, H) of z and n,
    biases likewise.

    >>> MUT3(3, 4).step(torch.ones(2, 3)).h.shape
    torch.Size([2, 4])
    """
    (seen_by_z,) = inner(torch.tanh(state.h))
    z = torch.sigmoid(a_x[0] + seen_by_z)
    r = torch.sigmoid(a_x[1] + a_h[0])
    (seen,) = inner(r * state.h)
    n = torch.tanh(a_x[2] + seen)
    return {"h": z * n + (1 - z) * state.h}, {"update": z, "reset": r, "candidate": n}
