"""Truths: matrices whose powers are known in closed form, and numpy."""

import math

import numpy as np
import pytest
import torch

from throughtime import init
from throughtime.errors import InvalidShape, InvalidType, InvalidValue
from throughtime.spectrum import spectrum

DOUBLE = torch.float64
GOLDEN = (1 + math.sqrt(5)) / 2


def matrix(*rows: list[float]) -> torch.Tensor:
    return torch.tensor(rows, dtype=DOUBLE)


def random_matrix(size: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(size, size, generator=generator, dtype=DOUBLE)


def test_fibonacci_matrix() -> None:
    """[[1, 1], [1, 0]] has eigenvalues φ and -1/φ; tenth powers 122.9919 and 0.0081."""
    report = spectrum(matrix([1, 1], [1, 0]))
    expected = torch.tensor([GOLDEN, -1 / GOLDEN], dtype=torch.complex128)
    torch.testing.assert_close(report.eigenvalues, expected, rtol=1e-14, atol=1e-14)
    tenth = report.of_power(10).eigenvalues.real.tolist()
    assert tenth == pytest.approx([GOLDEN**10, GOLDEN**-10], rel=1e-12)
    assert [round(value, 4) for value in tenth] == [122.9919, 0.0081]


def test_radius_below_one_does_not_bound_finite_powers() -> None:
    """[[a, b], [0, a]]^k = [[a^k, k a^(k-1) b], [0, a^k]]: radius 0.9, yet norm 193.7.

    The norm of [[p, q], [0, p]] is (|q| + √(q² + 4 p²)) / 2.
    """
    tenth = spectrum(matrix([0.9, 50.0], [0.0, 0.9]), 10)
    p, q = 0.9**10, 10 * 0.9**9 * 50.0
    norm = (q + math.hypot(q, 2 * p)) / 2
    assert tenth.spectral_radius == pytest.approx(p, rel=1e-12)
    assert tenth.spectral_norm == pytest.approx(norm, rel=1e-12)
    assert round(tenth.spectral_norm, 1) == 193.7
    # Both singular values multiply to |det| = p².
    assert tenth.condition_number == pytest.approx((norm / p) ** 2, rel=1e-9)


@pytest.mark.parametrize("power", [1, 3, 7])
def test_general_matrix_agrees_with_numpy(power: int) -> None:
    w = random_matrix(8)
    report = spectrum(w, power)
    powered = np.linalg.matrix_power(w.numpy(), power)
    moduli = np.sort(np.abs(np.linalg.eigvals(powered)))[::-1]
    np.testing.assert_allclose(report.eigenvalues.abs().numpy(), moduli, rtol=1e-8)
    values = np.linalg.svd(powered, compute_uv=False)
    np.testing.assert_allclose(report.singular_values.numpy(), values, rtol=1e-8)
    assert report.condition_number == pytest.approx(np.linalg.cond(powered), rel=1e-6)


@pytest.mark.parametrize("power", [1, 50])
def test_orthogonal_matrix_keeps_every_length(power: int) -> None:
    q = init.orthogonal((12, 12), generator=torch.Generator().manual_seed(1))
    report = spectrum(q.double(), power)
    ones = torch.ones(12, dtype=DOUBLE)
    # The matrix was rounded to float32 once: 1e-6 per step.
    bound = {"rtol": 0.0, "atol": 1e-6 * power}
    torch.testing.assert_close(report.eigenvalues.abs(), ones, **bound)
    torch.testing.assert_close(report.singular_values, ones, **bound)


def test_symmetric_matrix_has_equal_moduli_and_singular_values() -> None:
    w = init.np_rnn(20, generator=torch.Generator().manual_seed(0), dtype=DOUBLE)
    report = spectrum(w, 4)
    torch.testing.assert_close(
        report.eigenvalues.abs(), report.singular_values, rtol=1e-10, atol=1e-13
    )
    assert report.spectral_radius == pytest.approx(1, abs=1e-12)


def test_sorted_by_modulus() -> None:
    report = spectrum(torch.diag(matrix([0.1, -3.0, 2.0])[0]))
    assert report.eigenvalues.real.tolist() == [-3.0, 2.0, 0.1]
    assert report.singular_values.tolist() == [3.0, 2.0, 0.1]


def test_spectral_radius_is_the_limit_of_the_norms() -> None:
    """Gelfand: ‖W^k‖^(1/k) -> max|λ|; the two are 55 times apart at k = 1."""
    w = matrix([0.9, 50.0], [0.0, 0.9])
    rate = spectrum(w, 4096).spectral_norm ** (1 / 4096)
    assert rate == pytest.approx(0.9, rel=4e-3)
    assert spectrum(w).spectral_norm > 50


def test_singular_matrix_has_infinite_condition() -> None:
    assert spectrum(matrix([1, 2], [2, 4])).condition_number == math.inf
    assert spectrum(torch.zeros(3, 3)).condition_number == math.inf


def test_of_power_starts_from_the_matrix_itself() -> None:
    w = random_matrix(4)
    again = spectrum(w, 5).of_power(2)
    assert again.power == 2
    assert torch.equal(again.singular_values, spectrum(w, 2).singular_values)


def test_result_is_out_of_the_matrix_reach() -> None:
    w = matrix([2.0, 0.0], [0.0, 1.0])
    report = spectrum(w)
    w.zero_()
    assert report.of_power(2).spectral_norm == 4.0


def test_parameters_and_other_types_are_accepted() -> None:
    weight = torch.nn.Linear(3, 3).weight
    assert not spectrum(weight).singular_values.requires_grad
    assert spectrum(torch.tensor([[1, 1], [1, 0]])).singular_values.dtype == DOUBLE


def test_text() -> None:
    """A quarter turn and doubling: eigenvalues ±2i, whose squares are both -4."""
    turn = spectrum(matrix([0.0, -2.0], [2.0, 0.0]))
    first, *_, eigenvalues, singular_values = str(turn).splitlines()
    assert first == "W (2 x 2)"
    assert eigenvalues == "eigenvalues       0+2i, 0-2i"
    assert singular_values == "singular values   2, 2"
    assert str(turn.of_power(2)).splitlines() == [
        "W^2 (2 x 2)",
        "spectral radius   4  (rate in the end)",
        "spectral norm     4  (most it can stretch)",
        "condition number  1",
        "eigenvalues       -4, -4",
        "singular values   4, 4",
    ]


def test_text_shortens_long_lists() -> None:
    assert "1, 1, 1, 1, 1, 1, ... and 4 more" in str(spectrum(torch.eye(10)))


def test_table_has_one_line_per_power() -> None:
    lines = spectrum(matrix([0.9, 50.0], [0.0, 0.9])).table(powers=(1, 10)).splitlines()
    assert lines[2].split()[:3] == ["10", "0.348678", "193.711"]
    assert len(lines) == 3


@pytest.mark.parametrize("shape", [(12, 3), (3,), (2, 3, 3), (0, 0)])
def test_not_square(shape: tuple[int, ...]) -> None:
    with pytest.raises(InvalidShape, match=r"gate by gate.*chunk\(G\)"):
        spectrum(torch.zeros(shape))


@pytest.mark.parametrize("value", [[[1.0]], torch.ones(2, 2, dtype=torch.complex64)])
def test_not_a_real_tensor(value: object) -> None:
    with pytest.raises(InvalidType, match="real torch.Tensor"):
        spectrum(value)  # pyright: ignore[reportArgumentType]


def test_not_finite() -> None:
    with pytest.raises(InvalidValue, match="NaN or infinite"):
        spectrum(matrix([math.nan, 0], [0, 1]))


def test_overflow() -> None:
    with pytest.raises(InvalidValue, match="power of 2000 overflows"):
        spectrum(2 * torch.eye(2), 2000)


@pytest.mark.parametrize(("power", "error"), [(0, InvalidValue), (1.5, InvalidType)])
def test_bad_power(power: int, error: type[Exception]) -> None:
    with pytest.raises(error, match="power"):
        spectrum(torch.eye(2), power)
