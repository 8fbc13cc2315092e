"""Truths: closed forms, torch.nn.init, and numpy on the same random numbers."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from throughtime import init
from throughtime.errors import InvalidShape, InvalidType, InvalidValue

DOUBLE = torch.float64
# A usable call of every initialiser by name, on a square shape.
OPTIONS: dict[str, dict[str, float]] = {
    "uniform": {"bound": 0.3},
    "normal": {"std": 0.2},
    "xavier_uniform": {"gain": 2.0},
    "xavier_normal": {"gain": 2.0},
    "orthogonal": {"gain": 1.5},
    "identity": {"scale": 0.5},
    "np_rnn": {},
    "np_rnn_input": {},
    "spectral_radius": {"radius": 0.9, "connectivity": 0.5},
}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def draw(name: str, seed: int = 0, **place: Any) -> torch.Tensor:
    return init.initialise(
        name, (12, 12), generator=seeded(seed), **OPTIONS[name], **place
    )


def test_the_table_of_this_file_is_complete() -> None:
    assert OPTIONS.keys() == init.INITIALISERS.keys()


# ---- what holds for all of them


@pytest.mark.parametrize("name", OPTIONS)
def test_same_seed_same_matrix(name: str) -> None:
    assert torch.equal(draw(name, seed=3), draw(name, seed=3))
    if name != "identity":
        assert not torch.equal(draw(name, seed=3), draw(name, seed=4))


@pytest.mark.parametrize("name", OPTIONS)
def test_global_generator_is_left_alone_and_used_only_without_another(
    name: str,
) -> None:
    before = torch.get_rng_state()
    draw(name)
    assert torch.equal(torch.get_rng_state(), before)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        drawn = init.initialise(name, (12, 12), **OPTIONS[name])
    assert torch.equal(drawn, draw(name, seed=5))


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_type_and_layout(name: str, dtype: torch.dtype) -> None:
    drawn = draw(name, dtype=dtype)
    assert drawn.dtype == dtype
    assert drawn.shape == (12, 12)
    assert drawn.is_contiguous()
    assert not drawn.requires_grad


@pytest.mark.parametrize("name", OPTIONS)
def test_by_name_is_the_function(name: str) -> None:
    size = 12 if name in ("np_rnn", "spectral_radius") else (12, 12)
    direct = init.INITIALISERS[name](size, generator=seeded(), **OPTIONS[name])
    assert torch.equal(direct, draw(name))


# ---- one by one


def test_uniform_is_uniform() -> None:
    """Kolmogorov-Smirnov against the distribution function of U(-b, b)."""
    drawn = init.uniform((100, 50), 0.3, generator=seeded(), dtype=DOUBLE)
    result = stats.kstest(drawn.flatten().numpy(), stats.uniform(-0.3, 0.6).cdf)
    assert result.pvalue > 1e-3


def test_normal_is_normal() -> None:
    drawn = init.normal((100, 50), 0.2, generator=seeded(), dtype=DOUBLE)
    result = stats.kstest(drawn.flatten().numpy(), stats.norm(0, 0.2).cdf)
    assert result.pvalue > 1e-3


@pytest.mark.parametrize("shape", [(5, 5), (30, 4), (4, 30)])
@pytest.mark.parametrize("kind", ["xavier_uniform", "xavier_normal"])
def test_xavier_equals_torch(kind: str, shape: tuple[int, int]) -> None:
    ours = init.initialise(kind, shape, generator=seeded(), dtype=DOUBLE, gain=1.7)
    theirs = torch.empty(shape, dtype=DOUBLE)
    getattr(torch.nn.init, f"{kind}_")(theirs, gain=1.7, generator=seeded())
    torch.testing.assert_close(ours, theirs, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("shape", [(20, 20), (20, 7), (7, 20), (1, 1)])
@pytest.mark.parametrize("gain", [1.0, 0.3, -2.0])
def test_orthogonal(shape: tuple[int, int], gain: float) -> None:
    w = init.orthogonal(shape, gain=gain, generator=seeded(), dtype=DOUBLE)
    short = min(shape)
    gram = w.T @ w if shape[0] >= shape[1] else w @ w.T
    expected = gain**2 * torch.eye(short, dtype=DOUBLE)
    torch.testing.assert_close(gram, expected, rtol=0, atol=1e-12)


def test_orthogonal_matrices_are_equally_likely() -> None:
    """Haar measure on O(2): E trace = 0, E trace² = 1, half of them are reflections.

    QR alone, without the signs, is far from all three. The mean of 4,000 draws has
    standard deviations 1/63, √2/63 or less; 5 of the larger one are allowed.
    """
    generator = seeded()
    draws = torch.stack(
        [
            init.orthogonal((2, 2), generator=generator, dtype=DOUBLE)
            for _ in range(4000)
        ]
    )
    trace = draws.diagonal(dim1=1, dim2=2).sum(1)
    allowed = 5 * math.sqrt(2 / 4000)
    assert abs(trace.mean()) < allowed
    assert abs(trace.square().mean() - 1) < allowed
    assert abs(torch.linalg.det(draws).mean()) < allowed


@pytest.mark.parametrize("shape", [(3, 3), (2, 4), (4, 2)])
def test_identity(shape: tuple[int, int]) -> None:
    expected = 0.5 * torch.eye(*shape, dtype=DOUBLE)
    assert torch.equal(init.identity(shape, scale=0.5, dtype=DOUBLE), expected)


def test_np_rnn_equals_its_formula_in_numpy() -> None:
    size = 30
    r = torch.randn(size, size, generator=seeded(), dtype=DOUBLE).numpy()
    a = r.T @ r / size + np.eye(size)
    expected = a / np.linalg.eigvals(a).real.max()
    ours = init.np_rnn(size, generator=seeded(), dtype=DOUBLE)
    np.testing.assert_allclose(ours.numpy(), expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("size", [1, 2, 50, 400])
def test_np_rnn_is_positive_definite_with_largest_eigenvalue_one(size: int) -> None:
    w = init.np_rnn(size, generator=seeded(), dtype=DOUBLE)
    torch.testing.assert_close(w, w.T, rtol=0, atol=1e-15)
    eigenvalues = torch.linalg.eigvalsh(w)
    assert float(eigenvalues[-1]) == pytest.approx(1, abs=1e-13)
    assert eigenvalues[0] > 0


def test_np_rnn_has_the_limiting_spectrum() -> None:
    """Marchenko-Pastur: eigenvalues of RᵀR/N fill [0, 4] with mean 1, so those of W
    fill [1/5, 1] with mean 2/5; at N = 400 the edges are about 0.01 away from there."""
    w = init.np_rnn(400, generator=seeded(), dtype=DOUBLE)
    eigenvalues = torch.linalg.eigvalsh(w)
    assert float(eigenvalues[0]) == pytest.approx(0.2, abs=0.01)
    assert float(eigenvalues.mean()) == pytest.approx(0.4, abs=0.02)


@pytest.mark.parametrize(
    ("hidden_size", "gain"),
    [
        (3, math.sqrt(2) * math.exp(1 / 3)),  # 1.2 / (6 - 2.4): 6 is the least N
        (6, math.sqrt(2) * math.exp(1 / 3)),
        (12, math.sqrt(2) * math.exp(1 / 8)),  # 1.2 / 9.6
    ],
)
def test_np_rnn_input_has_the_random_walk_gain(hidden_size: int, gain: float) -> None:
    shape = (hidden_size, 500)
    drawn = init.np_rnn_input(shape, generator=seeded(), dtype=DOUBLE)
    standard = torch.randn(shape, generator=seeded(), dtype=DOUBLE)
    expected = standard * gain / math.sqrt(hidden_size)
    torch.testing.assert_close(drawn, expected, rtol=1e-13, atol=0)


@pytest.mark.parametrize("size", [1, 5, 100])
@pytest.mark.parametrize("radius", [0.5, 1.0, 1.25])
@pytest.mark.parametrize("connectivity", [1.0, 0.3])
def test_spectral_radius_is_exact(
    size: int, radius: float, connectivity: float
) -> None:
    if size == 1 and connectivity < 1:
        connectivity = 1.0  # a 1 x 1 matrix has one weight or none
    w = init.spectral_radius(
        size, radius, connectivity=connectivity, generator=seeded(), dtype=DOUBLE
    )
    found = np.abs(np.linalg.eigvals(w.numpy())).max()
    assert found == pytest.approx(radius, rel=1e-12)
    assert int(w.count_nonzero()) == round(connectivity * size * size)


def test_spectral_radius_raises_for_a_nilpotent_draw() -> None:
    """One weight in a 2 x 2 matrix: on the diagonal it is the eigenvalue, else all
    eigenvalues are 0. Both happen among 20 seeds."""
    drawn, refused = [], []
    for seed in range(20):
        try:
            w = init.spectral_radius(
                2, 0.9, connectivity=0.25, generator=seeded(seed), dtype=DOUBLE
            )
            drawn.append(float(w.diagonal().abs().sum()))
        except InvalidValue as error:
            refused.append(str(error))
    assert drawn == pytest.approx([0.9] * len(drawn), rel=1e-15)
    assert all("eigenvalues are all zero" in text for text in refused)
    assert len(drawn) > 0
    assert len(refused) > 0


def test_spectral_radius_raises_if_no_weight_is_left() -> None:
    with pytest.raises(InvalidValue, match="raise connectivity or size"):
        init.spectral_radius(3, 0.9, connectivity=0.01)


def test_forget_bias_sets_the_second_gate_only_and_in_place() -> None:
    bias = torch.nn.Parameter(torch.arange(12.0))
    assert init.forget_bias(bias, 1.0) is bias
    assert bias.tolist() == [0, 1, 2, 1, 1, 1, 6, 7, 8, 9, 10, 11]


def test_forget_bias_is_the_gate_that_torch_calls_forget() -> None:
    """With all else zero, torch's cell keeps sigmoid(value) of c."""
    cell = torch.nn.LSTMCell(1, 3, dtype=DOUBLE)
    for parameter in cell.parameters():
        torch.nn.init.zeros_(parameter)
    init.forget_bias(cell.bias_ih, 2.0)
    zeros, ones = torch.zeros(1, 3, dtype=DOUBLE), torch.ones(1, 3, dtype=DOUBLE)
    _, c = cell(zeros[:, :1], (zeros, ones))
    expected = ones / (1 + math.exp(-2.0))
    torch.testing.assert_close(c, expected, rtol=1e-15, atol=0)


def test_initialise_gates_treats_each_block_on_its_own() -> None:
    w = init.initialise_gates("orthogonal", 4, 6, generator=seeded(), dtype=DOUBLE)
    assert w.shape == (24, 6)
    eye = torch.eye(6, dtype=DOUBLE)
    for block in w.chunk(4):
        torch.testing.assert_close(block.T @ block, eye, rtol=0, atol=1e-12)
    assert not torch.equal(w[:6], w[6:12])


# ---- bad input


@pytest.mark.parametrize(
    ("name", "shape", "options", "error", "text"),
    [
        ("ortogonal", (3, 3), {}, InvalidValue, "known are uniform, normal"),
        ("orthogonal", (3, 3), {"scale": 1.0}, InvalidValue, "known are gain"),
        ("np_rnn", (3, 3), {"gain": 1.0}, InvalidValue, "known are none"),
        ("uniform", (3, 3), {}, InvalidValue, "needs the option bound"),
        ("np_rnn", (12, 3), {}, InvalidShape, "use initialise_gates"),
        ("orthogonal", (3,), {}, InvalidShape, "rows, columns"),
        ("orthogonal", 3, {}, InvalidShape, "rows, columns"),
        ("uniform", 3, {"bound": 1.0}, InvalidType, "tuple of int"),
        ("uniform", (3, 0), {"bound": 1.0}, InvalidValue, "greater than zero"),
        ("uniform", (3, 1.5), {"bound": 1.0}, InvalidType, "type int"),
        ("uniform", (3, 3), {"bound": -1.0}, InvalidValue, "bound"),
        ("normal", (3, 3), {"std": math.nan}, InvalidValue, "std"),
        ("orthogonal", (3, 3), {"gain": "tanh"}, InvalidType, "gain"),
        ("spectral_radius", (3, 3), {"radius": -1.0}, InvalidValue, "radius"),
    ],
)
def test_bad_input_is_named(
    name: str, shape: Any, options: dict[str, Any], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        init.initialise(name, shape, **options)


@pytest.mark.parametrize("connectivity", [0.0, 1.5])
def test_connectivity_is_a_share(connectivity: float) -> None:
    with pytest.raises(InvalidValue, match="connectivity"):
        init.spectral_radius(3, 0.9, connectivity=connectivity)


def test_integer_type_is_refused() -> None:
    with pytest.raises(InvalidType, match="floating point"):
        init.uniform((3, 3), 1.0, dtype=torch.int64)


@pytest.mark.parametrize("shape", [(7,), (2, 4)])
def test_forget_bias_refuses_what_is_no_lstm_bias(shape: tuple[int, ...]) -> None:
    with pytest.raises(InvalidShape, match="gates i f g o"):
        init.forget_bias(torch.zeros(shape), 1.0)
