"""Training on separate sequences: batches, gradients, truncation, resuming."""

import pytest
import torch
from torch import nn

import throughtime as tt
from tests.training.summing import Sums, some
from throughtime.data.examples import Examples
from throughtime.errors import InvalidShape, InvalidType, InvalidValue
from throughtime.training import BatchOrder, RunFolder, TrainingConfig, train


def settings(**options):
    return TrainingConfig(
        **{"batch_size": 4, "epochs": 3, "learning_rate": 0.01, **options}
    )


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def test_every_example_is_once_in_an_epoch():
    lengths = torch.randint(0, 50, (301,))
    order = BatchOrder(lengths, 7, seed=3)
    for epoch in range(3):
        batches = order.epoch(epoch)
        assert len(batches) == len(order)
        assert torch.cat(batches).sort().values.tolist() == list(range(301))
        assert max(len(batch) for batch in batches) == 7
    first = [b.tolist() for b in order.epoch(0)]
    assert first == [b.tolist() for b in order.epoch(0)]
    assert first != [b.tolist() for b in order.epoch(1)]


def test_batches_hold_similar_lengths():
    lengths = torch.arange(320)[torch.randperm(320)]
    spread = [
        int(lengths[b].max() - lengths[b].min())
        for b in BatchOrder(lengths, 10).epoch(0)
    ]
    assert max(spread) == 9  # one pool, sorted


def test_padding_is_zero_in_all_dimensions():
    ragged = [torch.ones(2, 3), torch.ones(1, 5)]
    batch = Examples({"inputs": ragged}).batch([0, 1])
    assert batch["inputs"].shape == (2, 2, 5)
    assert batch["inputs"].sum() == 11
    assert batch["inputs_lengths"].tolist() == [2, 1]


def test_parts_of_different_numbers_are_refused():
    with pytest.raises(InvalidShape, match=r"'inputs': 2, 'labels': 3"):
        Examples({"inputs": [torch.ones(1)] * 2}, {"labels": torch.zeros(3)})
    with pytest.raises(InvalidValue, match="at least one name"):
        Examples({})


def test_one_update_is_the_mean_gradient_of_its_batches():
    """Truth: autograd of the mean over the examples of both batches."""
    examples, model = some(8), Sums()
    before = weights(model)
    config = settings(
        optimizer="sgd", learning_rate=1.0, max_norm=None, epochs=1, accumulate=2
    )
    (info,) = train(model, examples, config)
    assert info.tokens == 8
    again = Sums()
    loss = sum(again.batch_loss(examples.batch([i]))[0] for i in range(8)) / 8
    loss.backward()
    gradient = torch.cat([p.grad.flatten() for p in again.parameters()])
    assert info.loss == pytest.approx(loss.item(), rel=1e-12)
    assert info.grad_norm == pytest.approx(gradient.norm().item(), rel=1e-10)
    torch.testing.assert_close(
        before - weights(model), gradient, rtol=1e-10, atol=1e-12
    )


def test_reduction_sum():
    examples = some(4)
    config = settings(optimizer="sgd", epochs=1, max_norm=None)
    mean, total = (
        next(iter(train(Sums(), examples, tt_config)))
        for tt_config in (
            config,
            TrainingConfig.from_dict({**config.to_dict(), "loss_reduction": "sum"}),
        )
    )
    assert total.loss == pytest.approx(mean.loss, rel=1e-12)
    assert total.grad_norm == pytest.approx(4 * mean.grad_norm, rel=1e-10)


def test_it_learns_and_keeps_the_best_weights():
    examples, held_out, model = some(200), some(50, seed=1), Sums()

    def validate(model):
        with torch.no_grad():
            loss, count = model.batch_loss(held_out.batch(range(50)))
        return loss.item() / count

    before = validate(model)
    records = list(train(model, examples, settings(epochs=20), validate=validate))
    assert validate(model) < 0.05 * before
    assert validate(model) == min(r.loss for r in records if hasattr(r, "best"))


@pytest.mark.parametrize(
    "truncation",
    [{}, {"truncation": "chunked", "tau": 3}, {"truncation": "random", "tau": 3}],
    ids=lambda options: options.get("truncation", "full"),
)
def test_a_resumed_training_ends_with_the_same_bits(tmp_path, truncation):
    config = settings(checkpoint_every=2, **truncation)
    whole = Sums()
    torch.manual_seed(5)
    list(train(whole, some(), config))
    model = Sums()
    run = RunFolder.create(tmp_path / "run", {}, model)
    torch.manual_seed(5)
    for number, _ in enumerate(train(model, some(), config, run=run)):
        if number == 7:  # in the middle of the second epoch
            break
    other = Sums()
    list(train(other, some(), config, run=run, resume=True))
    assert torch.equal(weights(other), weights(whole))


def _gradient(model, examples, **options):
    list(train(model, examples, settings(max_norm=None, epochs=1, **options)))
    return torch.cat([p.grad.flatten() for p in model.parameters()])


def test_tau_1_leaves_the_gradient_of_one_step():
    """Truth: with every border cut, W_hh sees each state as a constant."""
    examples = some(4, longest=5)
    options = {"optimizer": "sgd", "learning_rate": 1e-12}
    found = _gradient(
        Sums(), examples, **options, truncation="chunked", tau=1, batch_size=4
    )
    model = Sums()
    batch = examples.batch(range(4))
    gain = torch.zeros(batch["inputs"].shape[:2], dtype=torch.float64)
    inner = model.recurrent.forward
    model.recurrent.forward = lambda x, **more: inner(x, **more, carry_gain=gain)
    loss, count = model.batch_loss(batch)
    (loss / count).backward()
    expected = torch.cat([p.grad.flatten() for p in model.parameters()])
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)
    full = _gradient(Sums(), examples, **options, batch_size=4)
    assert (found - full).norm() > 0.01 * full.norm()


def test_truncation_of_bidirectional_stacks_runs():
    model = Sums(bidirectional=True, num_layers=2)
    list(train(model, some(), settings(truncation="random", tau=3, epochs=1)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"truncation": "sliding"}, "is for streams"),
        ({"truncation": "adaptive"}, "is for streams"),
        ({"stride": 3}, "stride=3 is for streams"),
        ({"memory": "1MB"}, "memory='1MB' is for streams"),
        ({"omega": 0.1}, r"omega=0.1 is for streams"),
        ({"optimizer": "hessian-free"}, "optimizer='hessian-free' is for streams"),
    ],
)
def test_options_of_streams_are_refused(options, message):
    with pytest.raises(InvalidValue, match=message):
        list(train(Sums(), some(), settings(**options)))


def test_what_cannot_be_trained_is_refused():
    with pytest.raises(InvalidType, match="Linear has none"):
        list(train(nn.Linear(1, 1), some(), settings()))
    with pytest.raises(InvalidValue, match="leave it out"):
        list(train(Sums(), some(), settings(), loss=tt.losses.mse))
    with pytest.raises(InvalidValue, match="at least one example"):
        list(train(Sums(), some().select([]), settings()))
