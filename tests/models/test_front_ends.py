"""What reads a batch."""

import pytest
import torch
from torch import nn

from throughtime.data.examples import Examples
from throughtime.errors import InvalidShape, InvalidType, InvalidValue
from throughtime.models.front_ends import (
    ImageFrontEnd,
    TokenFrontEnd,
    VectorFrontEnd,
    present_steps,
)


@pytest.fixture(autouse=True)
def double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def front_ends():
    generator = torch.Generator().manual_seed(0)
    lengths = [4, 0, 2]

    def rows(draw):
        return [draw(n) for n in lengths]

    yield (
        TokenFrontEnd(7, 3),
        rows(lambda n: torch.randint(7, (n,), generator=generator)),
    )
    yield (
        VectorFrontEnd(2, [1.0, 2.0], [3.0, 0.0]),
        rows(lambda n: torch.randn(n, 2, generator=generator)),
    )
    yield (
        ImageFrontEnd(1, 16, 8, 5),
        rows(
            lambda n: torch.randint(
                256, (n, 1, 16, 8), generator=generator, dtype=torch.uint8
            )
        ),
    )


@pytest.mark.parametrize(
    ("front_end", "rows"), list(front_ends()), ids=lambda x: type(x).__name__
)
def test_each_example_is_read_as_if_alone(front_end, rows):
    front_end = front_end.double().eval()
    present = [torch.arange(len(row)) != 1 for row in rows]
    examples = Examples({"inputs": rows, "inputs_present": present})
    together = front_end(examples.batch(range(3)))
    assert together.shape == (4, 3, front_end.output_size)
    assert together.isfinite().all()
    for i, row in enumerate(rows):
        alone = front_end(examples.batch([i]))[:, 0]
        torch.testing.assert_close(together[: len(row), i], alone, atol=1e-14, rtol=0)
        assert together[len(row) :, i].eq(0).all()
        if len(row) > 1:
            assert together[1, i].eq(0).all()
            assert together[0, i].ne(0).any()


def test_present_steps_are_those_within_the_length_with_an_input():
    batch = {
        "inputs": torch.zeros(3, 2),
        "inputs_lengths": torch.tensor([3, 1]),
        "inputs_present": torch.tensor([[True, True], [False, True], [True, True]]),
    }
    assert present_steps(batch).tolist() == [
        [True, True],
        [False, False],
        [True, False],
    ]


def test_tokens_are_rows_of_the_table():
    front_end = TokenFrontEnd(5, 3)
    tokens = torch.tensor([[4, 1], [2, 2]])
    batch = {"inputs": tokens, "inputs_lengths": torch.tensor([2, 2])}
    assert front_end(batch).equal(front_end.embedding.weight[tokens])


def test_word_dropout_shows_the_unknown_word_in_training_only():
    front_end = TokenFrontEnd(5, 3, word_dropout=1.0, unknown=2)
    batch = {"inputs": torch.tensor([[4], [1]]), "inputs_lengths": torch.tensor([2])}
    assert front_end(batch)[:, 0].equal(front_end.embedding.weight[[2, 2]])
    assert front_end.eval()(batch)[:, 0].equal(front_end.embedding.weight[[4, 1]])
    front_end = TokenFrontEnd(5, 3, word_dropout=0.25, unknown=2)
    batch = {
        "inputs": torch.zeros(100, 100, dtype=torch.long),
        "inputs_lengths": torch.full((100,), 100),
    }
    torch.manual_seed(0)
    same = (front_end(batch) == front_end.embedding.weight[2]).all(-1)
    # 10,000 draws: a standard deviation of 0.0043.
    assert abs(same.double().mean() - 0.25) < 0.02


def test_dropout_of_embedded_elements():
    batch = {"inputs": torch.tensor([[4], [1]]), "inputs_lengths": torch.tensor([2])}
    front_end = TokenFrontEnd(5, 3, 1.0)
    assert front_end(batch).eq(0).all()
    assert front_end.eval()(batch).ne(0).all()


def test_vectors_are_standardised():
    """The truth: numpy's formula on the numbers themselves."""
    x = torch.randn(50, 1, 3, generator=torch.Generator().manual_seed(0)) * 4 + 3
    x[..., 2] = 7
    std, mean = torch.std_mean(x[:, 0], 0, correction=0)
    batch = {"inputs": x, "inputs_lengths": torch.tensor([50])}
    y = VectorFrontEnd(3, mean, std)(batch)
    torch.testing.assert_close(y[:, 0, :2].mean(0), torch.zeros(2), atol=1e-14, rtol=0)
    torch.testing.assert_close(
        y[:, 0, :2].std(0, correction=0), torch.ones(2), atol=1e-14, rtol=0
    )
    assert y[..., 2].abs().max() < 1e-14


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.float32])
def test_numbers_take_the_type_of_the_module(dtype):
    x = torch.tensor([[[3, 200]]], dtype=torch.uint8).to(dtype)
    batch = {"inputs": x, "inputs_lengths": torch.tensor([1])}
    front_end = VectorFrontEnd(2, [100.0, 100.0], [1.0, 1.0])
    assert front_end(batch).tolist() == [[[-97.0, 100.0]]]
    assert front_end.float()(batch).dtype == torch.float32


def test_nan_of_a_step_without_input_goes_nowhere():
    x = torch.tensor([[[1.0]], [[float("nan")]], [[2.0]]])
    batch = {
        "inputs": x,
        "inputs_lengths": torch.tensor([3]),
        "inputs_present": torch.tensor([[True], [False], [True]]),
    }
    assert VectorFrontEnd(1)(batch).flatten().tolist() == [1.0, 0.0, 2.0]


def test_pictures_are_scaled_and_only_those_that_are_there_are_computed():
    """The truth: the layers on the one picture, by hand."""
    front_end = ImageFrontEnd(3, 20, 12, 6)
    pictures = torch.randint(256, (3, 2, 3, 20, 12), dtype=torch.uint8)
    batch = {"inputs": pictures, "inputs_lengths": torch.tensor([1, 3])}
    seen = []
    front_end.layers[0].register_forward_hook(lambda m, i, o: seen.append(len(o)))
    y = front_end(batch)
    want = front_end.layers(pictures[2, 1:2].double() / 255)[0]
    torch.testing.assert_close(y[2, 1], want, atol=1e-14, rtol=0)
    assert seen[0] == 4
    batch["inputs"] = pictures.double() / 255
    torch.testing.assert_close(front_end(batch), y, atol=1e-14, rtol=0)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 9), (16, 8), (64, 64)])
def test_pictures_of_any_size_and_none_at_all(height, width):
    front_end = ImageFrontEnd(1, height, width, 4)
    batch = {
        "inputs": torch.zeros(2, 1, 1, height, width),
        "inputs_lengths": torch.tensor([0]),
    }
    assert front_end(batch).shape == (2, 1, 4)
    batch["inputs_lengths"] = torch.tensor([2])
    front_end(batch).sum().backward()
    assert all(p.grad is not None for p in front_end.parameters())


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: TokenFrontEnd(0, 3), InvalidValue, "vocabulary_size"),
        (lambda: TokenFrontEnd(3, 2.5), InvalidType, "embedding_size"),
        (lambda: TokenFrontEnd(3, 3, word_dropout=0.1), InvalidValue, "unknown"),
        (lambda: TokenFrontEnd(3, 3, unknown=3), InvalidValue, "below 3, got 3"),
        (lambda: VectorFrontEnd(2, [1.0]), InvalidShape, "mean must have 2 entries"),
        (lambda: VectorFrontEnd(1, std=[-1.0]), InvalidValue, "std"),
        (lambda: VectorFrontEnd(1, mean=[float("nan")]), InvalidValue, "finite"),
        (lambda: ImageFrontEnd(1, 0, 3, 3), InvalidValue, "height"),
    ],
)
def test_what_cannot_be_built(make, error, says):
    with pytest.raises(error, match=says):
        make()


@pytest.mark.parametrize(
    ("front_end", "says"),
    [
        (VectorFrontEnd(2), r"\(T, B, 2\), got \(1, 1, 3\)"),
        (ImageFrontEnd(1, 2, 2, 2), r"\(T, B, 1, 2, 2\), got \(1, 1, 3\)"),
    ],
)
def test_inputs_of_another_shape(front_end: nn.Module, says):
    batch = {"inputs": torch.zeros(1, 1, 3), "inputs_lengths": torch.tensor([1])}
    with pytest.raises(InvalidShape, match=says):
        front_end(batch)
