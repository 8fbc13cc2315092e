"""One update of the loop: what clipping, Ω and averaging do to it."""

import pytest
import torch
from torch import nn

import throughtime as tt
from tests.training.small import config, data, make, run_all, same_weights, steps_of
from throughtime.errors import InvalidValue
from throughtime.losses import cross_entropy
from throughtime.training import (
    BPTT,
    NTASGD,
    HessianFree,
    Position,
    Problem,
    RunFolder,
    TruncatedBPTT,
    ValidationInfo,
    WindowProblem,
    omega_probes,
    train,
    windows,
)
from throughtime.training.update import backward, clip


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(6, 8)
        self.rnn = tt.RNN(8, 8)
        self.read = nn.Linear(8, 6)

    def forward(self, tokens, state=None):
        h, state = self.rnn(self.embedding(tokens), state)
        return self.read(h), state


def gradients(parameters):
    return [p.grad.clone() for p in parameters]


def with_gradients(*sizes):
    parameters = [nn.Parameter(torch.zeros(2)) for _ in sizes]
    for parameter, size in zip(parameters, sizes, strict=True):
        parameter.grad = torch.tensor([0.0, size])
    return parameters


def test_joint_and_per_tensor():
    """Truth: min(1, θ/‖g‖) g, of all together and of each."""
    parameters = with_gradients(3.0, 4.0)
    assert clip(parameters, config(max_norm=1.0), [], 5.0)
    assert [float(g.norm()) for g in gradients(parameters)] == pytest.approx([0.6, 0.8])
    parameters = with_gradients(3.0, 0.5)
    assert clip(parameters, config(max_norm=1.0, per_tensor=True), [], 3.04)
    assert [float(g.norm()) for g in gradients(parameters)] == pytest.approx([1.0, 0.5])


def test_a_percentile_of_all_norms_so_far():
    norms = [1.0, 2.0, 9.0]
    parameters = with_gradients(5.0)
    settings = config(clip_percentile=50.0)
    assert clip(parameters, settings, norms, 5.0)
    assert norms == [1.0, 2.0, 5.0, 9.0]
    assert float(parameters[0].grad.norm()) == pytest.approx(3.5)  # of 2 and 5
    assert not clip(with_gradients(0.5), settings, norms, 0.5)
    # The smaller of both thresholds holds.
    parameters = with_gradients(5.0)
    assert clip(parameters, config(clip_percentile=50.0, max_norm=1.0), norms, 5.0)
    assert float(parameters[0].grad.norm()) == pytest.approx(1.0)


def test_value_and_norm_together():
    """Elements first: (0, 3) becomes (0, 2), whose norm is 2."""
    parameters = with_gradients(3.0)
    assert clip(parameters, config(max_value=2.0, max_norm=1.0), [], 3.0)
    assert parameters[0].grad.tolist() == [0.0, 1.0]


def test_the_percentile_survives_a_resume(tmp_path):
    settings = config(clip_percentile=30.0, checkpoint_every=3)
    whole = make()
    run_all(whole, settings)
    unclipped = make()
    run_all(unclipped, config())
    assert not same_weights(whole, unclipped)
    run = RunFolder.create(tmp_path / "r", {}, make())
    records = train(make(), data(), settings, run=run)
    for _ in range(5):
        next(records)
    records.close()
    again = make()
    run_all(again, settings, run=run, resume=True)
    assert same_weights(again, whole)


def test_omega_is_added_to_the_gradient():
    torch.manual_seed(0)
    model, (inputs, targets) = Model(), data(steps=7)
    problem = Problem(model, model, cross_entropy, inputs, targets)
    found = backward(problem, BPTT(), Position(), None, omega=0.5)
    got = gradients(model.parameters())
    model.zero_grad()
    with omega_probes(model) as probes:
        loss = cross_entropy(model(inputs)[0], targets)
        loss.backward()
    plain = gradients(model.parameters())
    assert probes.add_gradient(0.5) > 0
    want = gradients(model.parameters())
    assert found.loss == pytest.approx(loss.item())
    assert all(map(torch.equal, got, want))
    assert not all(map(torch.equal, plain, want))


def test_omega_changes_a_training_but_not_its_reported_loss():
    torch.manual_seed(0)
    plain = Model()
    kept = Model()
    kept.load_state_dict(plain.state_dict())
    first = steps_of(run_all(plain, config()))[0]
    second = steps_of(run_all(kept, config(omega=0.1)))[0]
    assert not same_weights(plain, kept)
    assert second.loss == first.loss
    assert second.grad_norm != first.grad_norm


def validator(losses):
    """Losses to report, one after the other, and the weights they were asked for."""
    seen, left = [], iter(losses)

    def validate(model):
        seen.append([p.detach().clone() for p in model.parameters()])
        return next(left)

    return validate, seen


def test_nt_asgd_validates_and_keeps_the_average(tmp_path):
    """Losses 1, 2, 3 stall, patience 1: epoch 4 validates the mean of its iterates."""
    settings = config(
        optimizer="nt-asgd", optimizer_options={"patience": 1}, epochs=4, tau=20
    )
    model = make()
    run = RunFolder.create(tmp_path / "r", {}, model)
    validate, seen = validator([1.0, 2.0, 3.0, 0.5])
    iterates = []
    for record in train(model, data(), settings, run=run, validate=validate):
        if not isinstance(record, ValidationInfo):
            iterates.append([p.detach().clone() for p in model.parameters()])
    # Two windows an epoch; the average begins with the weights at the trigger.
    means = [torch.stack(part).mean(0) for part in zip(*iterates[5:8], strict=True)]
    for got, want in zip(seen[3], means, strict=True):
        assert torch.allclose(got, want, atol=1e-6)
    best = make()
    run.load_weights(best)
    assert all(map(torch.equal, best.parameters(), seen[3]))
    assert all(map(torch.equal, model.parameters(), seen[3]))  # the best, at the end


def test_nt_asgd_needs_validation():
    with pytest.raises(InvalidValue, match="nt-asgd follows the validation loss"):
        run_all(make(), config(optimizer="nt-asgd"))


def test_nt_asgd_by_name():
    from throughtime.training import build_optimizer

    weight = nn.Parameter(torch.zeros(1))
    optimizer = build_optimizer("nt-asgd", [weight], 0.1, {"patience": 3})
    assert isinstance(optimizer, NTASGD)
    with pytest.raises(InvalidValue, match="known are .*patience"):
        build_optimizer("nt-asgd", [weight], 0.1, {"trigger": 3})


HESSIAN_FREE = {
    "optimizer": "hessian-free",
    "learning_rate": None,
    "optimizer_options": {"damping": 1.0, "max_iterations": 10},
    "epochs": 1,
    "tau": 10,
}


def test_hessian_free_in_the_loop_is_the_optimiser_by_itself():
    """Truth: its own steps on the windows, one after the other."""
    inputs, targets = data()
    model, alone = make(), make()
    records = steps_of(run_all(model, config(**HESSIAN_FREE)))
    optimizer = HessianFree(alone.parameters(), damping=1.0, max_iterations=10)
    state = None
    for window, record in zip(windows(TruncatedBPTT(10), 40), records, strict=True):
        task = WindowProblem(alone, inputs, targets, state, window, cross_entropy)
        assert optimizer.step(task) == pytest.approx(record.loss, rel=1e-5)
        assert optimizer.last.gradient_norm == pytest.approx(record.grad_norm, rel=1e-4)
        state = task.carried
    for a, b in zip(model.parameters(), alone.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-4)


def test_hessian_free_learns_a_language_model_faster_per_update():
    torch.manual_seed(0)
    options = tt.models.LanguageModelConfig(cell="elman", hidden_size=12)
    models = [tt.models.LanguageModel(6, options) for _ in range(2)]
    models[1].load_state_dict(models[0].state_dict())
    structural = {"optimizer_options": {"structural_damping": 0.1}}
    first = run_all(models[0], config(**HESSIAN_FREE | structural))
    second = run_all(models[1], config(tau=10, epochs=1, optimizer="adam"))
    assert steps_of(first)[-1].loss < steps_of(second)[-1].loss


def test_hessian_free_resumes_with_the_same_bits(tmp_path):
    settings = config(**HESSIAN_FREE, checkpoint_every=2)
    whole = make()
    run_all(whole, settings)
    run = RunFolder.create(tmp_path / "r", {}, make())
    records = train(make(), data(), settings, run=run)
    for _ in range(3):
        next(records)
    records.close()
    again = make()
    run_all(again, settings, run=run, resume=True)
    assert same_weights(again, whole)


def test_hessian_free_needs_a_model_without_dropout():
    with pytest.raises(InvalidValue, match="not deterministic.*switch dropout off"):
        run_all(make(0.5), config(**HESSIAN_FREE))
