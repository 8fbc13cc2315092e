"""Memory that is kept between calls: never handed out while someone still has it."""

import gc

import pytest
import torch

from throughtime.kernels import memory

LIKE = torch.zeros(1)
LARGE = (1024, 1024)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_shape_type_and_alignment(dtype):
    for shape in ((3, 4), LARGE, (7, 100_001)):
        tensor = memory.empty(shape, torch.zeros(1, dtype=dtype))
        assert tensor.shape == shape
        assert tensor.dtype == dtype
        assert tensor.is_contiguous()
        if tensor.nbytes >= memory.SMALL:
            assert tensor.data_ptr() % 64 == 0


def test_memory_comes_back_only_when_no_view_is_left():
    first = memory.empty(LARGE, LIKE).fill_(1.0)
    address, view = first.data_ptr(), first[5:].t()
    del first
    gc.collect()
    second = memory.empty(LARGE, LIKE).fill_(2.0)
    assert second.data_ptr() != address
    assert bool((view == 1).all())
    del view
    gc.collect()
    third = memory.empty(LARGE, LIKE)
    assert third.data_ptr() == address
    assert bool((second == 2).all())


def test_memory_that_autograd_saved_is_in_use():
    weight = torch.ones(LARGE, requires_grad=True)
    product = weight * memory.empty(LARGE, LIKE).fill_(3.0)
    gc.collect()
    memory.empty(LARGE, LIKE).fill_(9.0)
    product.sum().backward()
    assert weight.grad is not None
    assert bool((weight.grad == 3).all())


def test_what_is_kept_is_bounded(monkeypatch):
    monkeypatch.setattr(memory, "LIMIT", 3 * 4 * 1024 * 1024)
    tensors = [memory.empty(LARGE, LIKE) for _ in range(8)]
    del tensors
    gc.collect()
    memory.empty((2048, 2048), LIKE)
    assert memory.kept() <= memory.LIMIT + 4 * 2048 * 2048 + 64
