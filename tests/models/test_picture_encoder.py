"""Pictures to vectors."""

import pytest
import torch

from throughtime.errors import InvalidShape, InvalidType, InvalidValue
from throughtime.models.picture_encoder import PictureEncoder


def batch_of(count=3, shape=(3, 20, 12), missing=()):
    generator = torch.Generator().manual_seed(0)
    pictures = torch.randint(0, 256, (1, count, *shape), generator=generator)
    lengths = torch.ones(count, dtype=torch.long)
    lengths[list(missing)] = 0
    return {"inputs": pictures.to(torch.uint8), "inputs_lengths": lengths}


def encoder_of(**options):
    torch.manual_seed(0)
    encoder = PictureEncoder(3, 20, 12, 5, **options).double()
    encoder(batch_of(8))  # so that the running means are not 0
    return encoder.eval()


@pytest.mark.parametrize("grid", [False, True])
def test_company_changes_nothing(grid):
    encoder, batch = encoder_of(grid=grid), batch_of(missing=[1])
    together = encoder(batch)
    assert together.shape == (15 if grid else 1, 3, 5)  # 20 x 12 -> 10 x 6 -> 5 x 3
    assert not together[:, 1].any()
    for b in (0, 2):
        alone = {name: part[..., [b], :, :, :] for name, part in batch.items() if b < 0}
        alone["inputs"] = batch["inputs"][:, [b]]
        alone["inputs_lengths"] = batch["inputs_lengths"][[b]]
        want = encoder(alone)[:, 0]
        assert want.any()
        torch.testing.assert_close(together[:, b], want, atol=1e-12, rtol=0)


def test_the_vector_is_the_mean_of_the_parts():
    grid, mean, batch = encoder_of(grid=True), encoder_of(), batch_of()
    torch.testing.assert_close(mean(batch)[0], grid(batch).mean(0), atol=1e-12, rtol=0)


def test_parts_are_in_rows_from_the_top_left():
    """What changes in the bottom right corner changes the last part alone."""
    torch.manual_seed(0)
    encoder = PictureEncoder(1, 32, 32, 4, grid=True).double().eval()
    batch = batch_of(1, (1, 32, 32))
    before = encoder(batch)
    batch["inputs"][..., -1, -1] += 100
    changed = (encoder(batch) != before).any(-1).any(-1)
    assert changed.tolist() == [False] * 15 + [True]


def test_whole_numbers_become_minus_one_to_one():
    encoder, batch = encoder_of(), batch_of()
    floats = batch | {"inputs": batch["inputs"].double() / 127.5 - 1}
    torch.testing.assert_close(encoder(batch), encoder(floats), atol=1e-12, rtol=0)


def test_mirrored_in_training_only():
    encoder, batch = encoder_of(flip=True), batch_of(1)
    mirrored = batch | {"inputs": batch["inputs"].flip(-1)}
    assert torch.equal(encoder(batch), encoder(batch))
    for layer in encoder.layers:  # so that training differs by the mirror alone
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.track_running_stats = False
            layer.running_mean = layer.running_var = None
    plain, flipped = encoder(batch), encoder(mirrored)
    encoder.train()
    drawn = [encoder(batch) for _ in range(20)]
    seen = [
        (torch.allclose(d, plain, atol=1e-12), torch.allclose(d, flipped, atol=1e-12))
        for d in drawn
    ]
    assert set(seen) == {(True, False), (False, True)}


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("grid", [False, True])
def test_no_picture_at_all(training, grid):
    encoder = encoder_of(grid=grid).train(training)
    empty = {
        "inputs": torch.zeros(0, 2, 3, 20, 12),
        "inputs_lengths": torch.zeros(2, dtype=torch.long),
    }
    assert encoder(empty).shape == (15 if grid else 1, 2, 5)
    assert not encoder(empty).any()


@pytest.mark.parametrize(("height", "width"), [(4, 4), (3, 50), (1, 1)])
def test_small_pictures(height, width):
    encoder = PictureEncoder(1, height, width, 5).eval()
    assert encoder(batch_of(2, (1, height, width))).shape == (1, 2, 5)


def test_what_cannot_be():
    encoder = encoder_of()
    with pytest.raises(InvalidShape, match=r"\(1, B, 3, 20, 12\), one picture each"):
        encoder(batch_of(1, (3, 12, 20)))
    with pytest.raises(InvalidShape, match="one picture each, got \\(2, 1,"):
        encoder(batch_of(1) | {"inputs": torch.zeros(2, 1, 3, 20, 12)})
    with pytest.raises(InvalidValue, match="features must be greater than zero"):
        PictureEncoder(3, 20, 12, 0)
    with pytest.raises(InvalidType, match="grid should be of type bool"):
        PictureEncoder(3, 20, 12, 5, grid=1)
