"""Dynamic evaluation against a plain loop over windows with torch's own softmax."""

import pytest
import torch
from torch.nn import functional as F

from tests.models.toy import TABLE, Markov
from throughtime.errors import InvalidShape, InvalidType, InvalidValue, TrainingError
from throughtime.models import LanguageModel, LanguageModelConfig
from throughtime.models.dynamic import dynamic_evaluation, gradient_statistics
from throughtime.models.scoring import token_log_probs

GENERATOR = torch.Generator().manual_seed(0)
TEXT = torch.randint(5, (43,), generator=GENERATOR)


def network(**options):
    torch.manual_seed(0)
    config = LanguageModelConfig(**{"hidden_size": 4, "cell": "elman", **options})
    return LanguageModel(5, config).double()


def plain_loop(model, text, tau, rate, decay, statistics=None, epsilon=2e-5):
    """One window after the other: predict, then move every weight."""
    model.eval()
    start = [p.detach().clone() for p in model.parameters()]
    if statistics is not None:
        r = [statistics[name] for name, _ in model.named_parameters()]
        mean = sum(float(x.mean()) for x in r) / len(r)
    state, found = None, []
    for first in range(0, len(text) - 1, tau):
        inputs = text[first : first + tau][: len(text) - 1 - first]
        targets = text[first + 1 : first + 1 + tau]
        logits, state = model(inputs[:, None], state)
        state = tuple(type(s)(*(x.detach() for x in s)) for s in state)
        losses = F.cross_entropy(logits[:, 0], targets, reduction="none")
        found.append(-losses.detach())
        model.zero_grad()
        losses.mean().backward()
        with torch.no_grad():
            for i, p in enumerate(model.parameters()):
                if statistics is None:
                    p += -rate * p.grad + decay * (start[i] - p)
                else:
                    back = (decay * r[i] / mean).clamp(max=1)
                    p += -rate * p.grad / (r[i] + epsilon) + back * (start[i] - p)
    return torch.cat(found)


@pytest.mark.parametrize("options", [{}, {"tied": True, "cell": "lstm"}])
@pytest.mark.parametrize(("tau", "decay"), [(1, 0.0), (5, 0.1), (60, 0.0)])
def test_plain_rule(options, tau, decay):
    got = dynamic_evaluation(
        network(**options), TEXT, learning_rate=0.5, tau=tau, decay=decay
    )
    want = plain_loop(network(**options), TEXT, tau, 0.5, decay)
    torch.testing.assert_close(got, want, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("decay", [0.0, 0.02, 0.9])
def test_rule_with_statistics(decay):
    model = network()
    r = gradient_statistics(model, TEXT, tau=5, batch_size=3)
    got = dynamic_evaluation(
        model, TEXT, learning_rate=0.01, tau=5, decay=decay, statistics=r
    )
    want = plain_loop(network(), TEXT, 5, 0.01, decay, r)
    torch.testing.assert_close(got, want, rtol=1e-10, atol=1e-12)


def test_statistics_are_root_mean_squares():
    """Two windows of one stream, gradients by backward."""
    model = network()
    got = gradient_statistics(model, TEXT[:11], tau=6, batch_size=1)
    state, squares = None, 0.0
    for first, last in ((0, 6), (6, 10)):
        logits, state = model(TEXT[first:last, None], state)
        state = tuple(type(s)(*(x.detach() for x in s)) for s in state)
        model.zero_grad()
        F.cross_entropy(logits[:, 0], TEXT[first + 1 : last + 1]).backward()
        grad = model.recurrent.weight_hh_l0.grad
        squares = squares + grad**2
    torch.testing.assert_close(got["recurrent.weight_hh_l0"], (squares / 2).sqrt())


def test_clipping_scales_the_whole_gradient():
    """With the threshold far below the norm, every step has the same length."""
    model = network()
    got = dynamic_evaluation(model, TEXT[:3], learning_rate=1.0, tau=1, max_norm=1e-3)
    logits, state = model.eval()(TEXT[:1, None])
    F.cross_entropy(logits[:, 0], TEXT[1:2]).backward()
    norm = torch.stack([p.grad.norm() for p in model.parameters()]).norm()
    with torch.no_grad():
        for p in model.parameters():
            p -= 1e-3 * p.grad / norm
        second = model(TEXT[1:2, None], state)[0][:, 0].log_softmax(-1)[0, TEXT[2]]
    assert float(got[1]) == pytest.approx(float(second), abs=1e-9)


def test_model_is_left_as_it_was():
    model = network(dropout=0.5).train()
    model.recurrent.eval()
    weights = {name: p.clone() for name, p in model.state_dict().items()}
    dynamic_evaluation(model, TEXT, learning_rate=1.0)
    assert model.training
    assert not model.recurrent.training
    assert all(p.grad is None for p in model.parameters())
    for name, p in model.state_dict().items():
        assert torch.equal(p, weights[name])
    with pytest.raises(TrainingError, match="the weights diverged on the way"):
        dynamic_evaluation(network(cell="gru"), TEXT, learning_rate=1e308)
    with torch.no_grad():  # of no matter
        still = dynamic_evaluation(model, TEXT, learning_rate=0.0)
    torch.testing.assert_close(still, token_log_probs(model.eval(), TEXT))
    assert len(dynamic_evaluation(model, TEXT[:1], learning_rate=1.0)) == 0


def test_later_tokens_change_nothing_earlier():
    changed = TEXT.clone()
    changed[32] = (changed[32] + 1) % 5
    options = {"learning_rate": 0.5, "tau": 4}
    before = dynamic_evaluation(network(), TEXT, **options)
    after = dynamic_evaluation(network(), changed, **options)
    assert torch.equal(before[:31], after[:31])
    assert before[31] != after[31]


def test_it_learns_a_text_that_repeats():
    text = torch.tensor([0, 3, 1, 4] * 30)
    found = dynamic_evaluation(network(), text, learning_rate=2.0, tau=4)
    assert found[-8:].mean() > found[:8].mean() + 0.5


def test_errors():
    model = network()
    with pytest.raises(InvalidType, match="a network that can learn, got Markov"):
        dynamic_evaluation(Markov(TABLE), TEXT, learning_rate=1.0)
    for options, says in (
        ({"learning_rate": -1}, "learning_rate should be a number"),
        ({"tau": 0}, "tau must be greater than zero"),
        ({"decay": 2}, r"decay should be a number in range \[0, 1\]"),
        ({"max_norm": 0}, "max_norm should be a number"),
        ({"epsilon": 0}, "epsilon should be a number"),
        ({"statistics": {}}, "statistics lack the parameter 'embedding_weight'"),
    ):
        with pytest.raises(InvalidValue, match=says):
            dynamic_evaluation(model, TEXT, **{"learning_rate": 1.0, **options})
    r = gradient_statistics(network(hidden_size=3), TEXT, batch_size=2)
    with pytest.raises(InvalidShape, match="statistics of 'embedding_weight' must be"):
        dynamic_evaluation(model, TEXT, learning_rate=1.0, statistics=r)
    with pytest.raises(InvalidShape, match="at least 2 for each of 30 streams"):
        gradient_statistics(model, TEXT, batch_size=30)
