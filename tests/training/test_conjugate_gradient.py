"""Conjugate gradients against a direct solver, in float64."""

import math

import pytest
import torch

from throughtime.errors import InvalidType, InvalidValue
from throughtime.training.conjugate_gradient import conjugate_gradient


def system(size=30):
    random = torch.Generator().manual_seed(0)
    root = torch.randn(size, size, generator=random, dtype=torch.float64)
    A = root @ root.T / size + 0.5 * torch.eye(size)
    return A, torch.randn(size, generator=random, dtype=torch.float64)


def value(A, b, x):
    return float(x @ A @ x / 2 - b @ x)


class TestSolution:
    @pytest.mark.parametrize("start", [None, 3.0])
    @pytest.mark.parametrize("preconditioned", [False, True])
    def test_is_that_of_a_direct_solver(self, start, preconditioned):
        A, b = system()
        found = conjugate_gradient(
            lambda v: A @ v,
            b,
            start=None if start is None else start * torch.ones_like(b),
            preconditioner=A.diagonal() if preconditioned else None,
            max_iterations=200,
            tolerance=0,
        )
        torch.testing.assert_close(
            found.x, torch.linalg.solve(A, b), rtol=1e-10, atol=1e-10
        )
        assert found.curvature

    def test_takes_as_many_iterations_as_there_are_eigenvalues(self):
        A = torch.diag(torch.tensor([1.0, 1, 1, 4, 4, 9])).double()
        b = torch.arange(1.0, 7).double()
        found = conjugate_gradient(lambda v: A @ v, b, tolerance=0)
        assert found.iterations == 3
        torch.testing.assert_close(found.x, b / A.diagonal(), rtol=1e-12, atol=0)

    def test_a_perfect_preconditioner_needs_one_iteration(self):
        diagonal = torch.arange(1.0, 20).double()
        b = torch.ones(19).double()
        found = conjugate_gradient(lambda v: diagonal * v, b, preconditioner=diagonal)
        assert found.iterations == 1

    def test_values_are_those_of_the_quadratic(self):
        A, b = system()
        found = conjugate_gradient(lambda v: A @ v, b, max_iterations=12, tolerance=0)
        assert found.values[0] == 0
        for i, x in found.iterates:
            assert found.values[i] == pytest.approx(value(A, b, x), rel=1e-12)
        assert all(b < a for a, b in zip(found.values, found.values[1:], strict=False))

    def test_keeps_iterates_further_and_further_apart(self):
        A, b = system(60)
        found = conjugate_gradient(lambda v: A @ v, b, max_iterations=20, tolerance=0)
        assert [i for i, _ in found.iterates] == [1, 2, 3, 4, 6, 8, 11, 15, 20]

    def test_nothing_to_solve(self):
        found = conjugate_gradient(lambda v: v, torch.zeros(3))
        assert (found.iterations, found.x.tolist()) == (0, [0.0, 0.0, 0.0])


class TestStopping:
    def test_follows_the_rule(self):
        A, b = system(60)
        eps = 5e-3
        every = conjugate_gradient(lambda v: A @ v, b, max_iterations=60, tolerance=0)
        phi = every.values

        def stops(i):
            k = max(10, math.ceil(0.1 * i))
            return i > k and phi[i] < 0 and (phi[i] - phi[i - k]) / phi[i] < k * eps

        expected = next(i for i in range(len(phi)) if stops(i))
        found = conjugate_gradient(lambda v: A @ v, b, tolerance=eps)
        assert found.iterations == expected
        assert 10 < expected < every.iterations

    def test_says_where_a_matrix_is_not_positive(self):
        A = torch.diag(torch.tensor([1.0, -1.0])).double()
        found = conjugate_gradient(lambda v: A @ v, torch.tensor([1.0, 2.0]).double())
        assert not found.curvature

    def test_stops_at_what_is_no_number(self):
        found = conjugate_gradient(lambda v: v * math.nan, torch.ones(2))
        assert found.curvature
        assert found.x.tolist() == [0.0, 0.0]


class TestBadInput:
    @pytest.mark.parametrize(
        "options", [{"max_iterations": 0}, {"tolerance": -1}, {"spacing": 1}]
    )
    def test_out_of_range(self, options):
        with pytest.raises(InvalidValue, match=next(iter(options))):
            conjugate_gradient(lambda v: v, torch.ones(2), **options)

    def test_no_number(self):
        with pytest.raises(InvalidType, match="tolerance"):
            conjugate_gradient(lambda v: v, torch.ones(2), tolerance="x")
