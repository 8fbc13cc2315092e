"""a_t = b_t + c_t a_{t-1} against its definition; exactness has it as a gradient."""

import pytest
import torch

from throughtime.errors import InvalidShape, InvalidType
from throughtime.gradients import closed_form, closed_form_terms, recursion


def draw(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("shape", [(5,), (5, 3), (5, 3, 2)])
@pytest.mark.parametrize("started", [False, True])
def test_numbers(shape, started):
    b, c = draw(*shape), draw(5, seed=1)
    start = draw(*shape[1:], seed=2) if started else None
    a, found = torch.zeros(shape[1:]).double() if start is None else start, []
    for t in range(5):
        a = b[t] + c[t] * a
        found.append(a)
    torch.testing.assert_close(recursion(b, c, start), torch.stack(found))
    torch.testing.assert_close(closed_form(b, c, start), torch.stack(found))


def test_order_of_matrices():
    """Three steps written out: the latest matrix stands on the left."""
    b, c, start = draw(3, 2), draw(3, 2, 2, seed=1), draw(2, seed=2)
    terms = torch.stack(
        [c[2] @ c[1] @ c[0] @ start, c[2] @ c[1] @ b[0], c[2] @ b[1], b[2]]
    )
    torch.testing.assert_close(closed_form_terms(b, c, start), terms)
    torch.testing.assert_close(recursion(b, c, start)[-1], terms.sum(0))
    swapped = b[2] + c[2] @ b[1] + c[1] @ c[2] @ b[0] + c[0] @ c[1] @ c[2] @ start
    assert float((swapped - terms.sum(0)).abs().max()) > 0.01


@pytest.mark.parametrize("call", [recursion, closed_form, closed_form_terms])
def test_bad_arguments(call):
    b, c = torch.ones(3, 2), torch.ones(3)
    with pytest.raises(InvalidType, match="c should be a tensor of floating point"):
        call(b, [1.0, 2.0, 3.0])
    with pytest.raises(InvalidType, match="got: torch.int64"):
        call(b.long(), c)
    with pytest.raises(InvalidShape, match=r"\(3,\) or \(3, 2, 2\)"):
        call(b, torch.ones(3, 2))
    with pytest.raises(InvalidShape, match="T >= 1"):
        call(torch.ones(0), torch.ones(0))
    with pytest.raises(InvalidShape, match="start must have the shape of one b_t"):
        call(b, c, torch.ones(3))
