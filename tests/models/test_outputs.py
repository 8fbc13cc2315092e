"""Output layers: probabilities that add up, and losses that are theirs."""

import itertools
import math

import pytest
import torch
from torch import nn

from throughtime.errors import InvalidShape, InvalidType, InvalidValue
from throughtime.losses import cross_entropy
from throughtime.models import LanguageModel, LanguageModelConfig
from throughtime.models.fixed_window import FixedWindowConfig, FixedWindowLM
from throughtime.models.output import OUTPUTS, build_output, check_output
from throughtime.models.output_adaptive import AdaptiveOutput, default_cutoffs
from throughtime.models.output_base import Words
from throughtime.models.output_class import ClassOutput
from throughtime.models.output_sampled import SampledOutput, inclusion

V, H = 11, 8
COUNTS = torch.tensor([3, 0, 40, 7, 7, 1, 100, 2, 0, 12, 5])
OPTIONS = {
    "full": {},
    "adaptive": {"cutoffs": [3, 7], "div_value": 2.0},
    "sampled": {"samples": 4},
    "class": {"classes": 4},
}
OWN = ["adaptive", "class"]


def output(name, counts=COUNTS):
    torch.manual_seed(0)
    made = build_output(name, V, H, OPTIONS[name], counts, init_range=1.0)
    for parameter in made.parameters():
        nn.init.normal_(parameter)
    return made.double().eval()


def words():
    generator = torch.Generator().manual_seed(1)
    weight = torch.randn(V, H, generator=generator, dtype=torch.double)
    bias = torch.randn(V, generator=generator, dtype=torch.double)
    return Words(weight.requires_grad_(), bias.requires_grad_())


def batch(dtype=torch.double):
    generator = torch.Generator().manual_seed(2)
    h = torch.randn(4, 3, H, generator=generator, dtype=dtype)
    targets = torch.randint(V, (4, 3), generator=generator)
    return h.requires_grad_(), targets


@pytest.mark.parametrize("name", OUTPUTS)
@pytest.mark.parametrize(("dtype", "apart"), [("float", 1e-6), ("double", 1e-12)])
def test_probabilities_add_up(name, dtype, apart):
    dtype = getattr(torch, dtype)
    own = Words(*(part.detach().to(dtype) for part in words()))
    h = batch(dtype)[0].detach()
    log_p = output(name).to(dtype).log_probs(h, own).detach()
    assert log_p.dtype == dtype
    assert log_p.shape == (4, 3, V)
    assert float((log_p.double().exp().sum(-1) - 1).abs().max()) < apart


@pytest.mark.parametrize("name", OUTPUTS)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("masked", [False, True])
def test_the_loss_is_that_of_the_probabilities(name, reduction, masked):
    """In value and all gradients; a masked row may hold anything."""
    layer, own, (h, targets) = output(name), words(), batch()
    mask = torch.arange(12).reshape(4, 3) % 5 != 1 if masked else None
    parameters = [*layer.parameters()]
    if layer.reads_words:
        parameters += own
    want = cross_entropy(
        layer.log_probs(h, own), targets, mask=mask, reduction=reduction
    )
    if mask is not None:
        targets = targets.masked_fill(~mask, -5)
        bad = h.detach().masked_fill(~mask.unsqueeze(-1), math.nan)
        rows = bad.requires_grad_()
    else:
        rows = h
    loss = layer.loss(rows, targets, own, mask=mask, reduction=reduction)
    torch.testing.assert_close(loss, want, rtol=1e-12, atol=1e-14)
    weights = torch.linspace(0.5, 2, 12).reshape(4, 3) if reduction == "none" else 1.0
    found = torch.autograd.grad((loss * weights).sum(), [rows, *parameters])
    truth = torch.autograd.grad((want * weights).sum(), [h, *parameters])
    for a, b in zip(found, truth, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("name", OUTPUTS)
def test_nothing_to_count(name):
    layer, own, (h, targets) = output(name).train(), words(), batch()
    nothing = torch.zeros(4, 3, dtype=torch.bool)
    for reduction, want in (("mean", 0.0), ("sum", 0.0), ("none", [[0.0] * 3] * 4)):
        loss = layer.loss(h, targets, own, mask=nothing, reduction=reduction)
        assert loss.tolist() == want


def test_adaptive_is_that_of_torch():
    ours = output("adaptive")
    order = ours.rank.argsort()
    theirs = nn.AdaptiveLogSoftmaxWithLoss(
        H, V, [3, 7], div_value=2.0, head_bias=True, dtype=torch.double
    )
    with torch.no_grad():
        theirs.head.weight.copy_(ours.head_weight)
        theirs.head.bias.copy_(ours.head_bias)
        for i, (into, out) in enumerate(theirs.tail):
            into.weight.copy_(ours.projections[i])
            out.weight.copy_(ours.tail_weights[i])
    h, targets = batch()
    want = theirs.log_prob(h.flatten(0, 1)).view(4, 3, V)
    found = ours.log_probs(h, None)
    torch.testing.assert_close(found[..., order], want, rtol=1e-12, atol=1e-13)
    loss = theirs(h.flatten(0, 1), ours.rank[targets].flatten()).loss
    torch.testing.assert_close(ours.loss(h, targets, None), loss, rtol=1e-12, atol=0)
    assert COUNTS[order].tolist() == sorted(COUNTS.tolist(), reverse=True)


def test_default_cutoffs_fit():
    """Ascending, below V, a last group of at least half of all words."""
    for size in (2, 3, 10, 100, 10_000, 33_278, 267_735):
        cutoffs = default_cutoffs(size)
        assert cutoffs == sorted(set(cutoffs))
        assert cutoffs[0] > 0
        assert cutoffs[-1] <= size // 2
    narrow = AdaptiveOutput(10_000, 4, torch.ones(10_000))
    assert [w.size(1) for w in narrow.tail_weights] == [1]


def test_classes_by_the_formula():
    """P(w | h) = P(class | h) P(w | class, h), written out."""
    layer, (h, _) = output("class"), batch()
    classes = (h @ layer.class_weight.T + layer.class_bias).softmax(-1)
    log_p = layer.log_probs(h, None)
    starts = layer.starts.tolist()
    assert len(starts) == 5
    for c, (start, stop) in enumerate(itertools.pairwise(starts)):
        inside = slice(start, stop)
        z = h @ layer.word_weight[inside].T + layer.word_bias[inside]
        want = classes[..., c : c + 1] * z.softmax(-1)
        found = log_p[..., layer.members[inside]].exp()
        torch.testing.assert_close(found, want, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("counts", [COUNTS, torch.ones(V), torch.eye(V)[4]])
def test_every_word_is_in_one_class_and_none_is_empty(counts):
    for classes in (1, 2, 5, V):
        layer = ClassOutput(V, H, counts, classes=classes)
        assert sorted(layer.members.tolist()) == list(range(V))
        assert layer.starts.tolist()[0] == 0
        assert layer.starts.tolist()[-1] == V
        assert int(layer.starts.diff().min()) >= 1


def test_a_class_ends_with_the_word_that_fills_its_share():
    """Under a law of Zipf; the share is of what the classes before left over."""
    counts = 1e6 / torch.arange(1, 5001, dtype=torch.double)
    layer = ClassOutput(5000, 2, counts, classes=20)
    left = counts.sum()
    for c, part in enumerate(counts.split(layer.starts.diff().tolist())):
        share = left / (20 - c)
        assert part.sum() - part[-1] < share <= part.sum() * (1 + 1e-12)
        left = left - part.sum()
    assert layer.starts.diff().tolist()[:3] == [1, 1, 2]


# ---- sampled


def test_the_sampled_sum_is_unbiased():
    """Over all draws of the words, weighted with their probabilities, E[Ẑ] = Z."""
    size = 6
    layer = SampledOutput(size, H, COUNTS[:size], samples=3).double().train()
    p = layer.log_inclusion.exp()
    own = Words(*(part.detach()[:size] for part in words()))
    h = batch()[0].detach()[:1, :1]
    target = torch.tensor([[2]])
    total = 0.0
    for draw in itertools.product([False, True], repeat=size):
        drawn = torch.tensor(draw)
        chance = torch.where(drawn, p, 1 - p).prod()
        layer.draw = drawn.clone  # pyright: ignore[reportAttributeAccessIssue]
        loss = layer.loss(h, target, own)
        z = (h[0, 0] @ own.weight[2]) + own.bias[2]
        total += float(chance * (loss + z).exp())
    want = (h[0, 0] @ own.weight.T + own.bias).exp().sum()
    assert total == pytest.approx(float(want), rel=1e-12)


@pytest.mark.parametrize("proposal", ["log_uniform", "unigram"])
def test_all_words_sampled_is_the_full_loss(proposal):
    layer = SampledOutput(V, H, COUNTS, samples=V, proposal=proposal).double().train()
    own, (h, targets) = words(), batch()
    mask = targets != 3
    found, want = (
        torch.autograd.grad(
            which.loss(h, targets, own, mask=mask), [h, own.weight, own.bias]
        )
        for which in (layer, output("full"))
    )
    for a, b in zip(found, want, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-14)


def test_sampled_training_looks_at_a_sample_only():
    """Words neither drawn nor targets get no gradient; evaluation sees all."""
    layer, own, (h, targets) = output("sampled").train(), words(), batch()
    layer.draw = lambda: torch.arange(V) == 1
    loss = layer.loss(h, targets, own)
    (gradient,) = torch.autograd.grad(loss, own.weight)
    touched = {*targets.flatten().tolist(), 1}
    assert {i for i in range(V) if gradient[i].any()} == touched
    want = output("full").loss(h, targets, own)
    torch.testing.assert_close(layer.eval().loss(h, targets, own), want)


def test_inclusion_adds_up_and_is_proportional():
    share = 1 / torch.arange(1, 101, dtype=torch.double)
    for samples in (1, 7, 50, 99):
        p = inclusion(share, samples)
        assert float(p.sum()) == pytest.approx(samples, rel=1e-12)
        assert 0 < float(p.min()) <= float(p.max()) <= 1
        free = p < 1
        ratio = (p / share)[free]
        torch.testing.assert_close(ratio, ratio[:1].expand_as(ratio))
    assert inclusion(share, 100).tolist() == [1.0] * 100


def test_draws_follow_the_inclusion_probabilities():
    """Truth: a mean of 4,000 draws, within 5 standard deviations."""
    torch.manual_seed(3)
    layer = output("sampled")
    p = layer.log_inclusion.exp()
    mean = torch.stack([layer.draw() for _ in range(4000)]).double().mean(0)
    assert bool(((mean - p).abs() <= 5 * (p * (1 - p) / 4000).sqrt() + 1e-12).all())


# ---- in models


def models(name, counts=COUNTS):
    torch.manual_seed(0)
    chosen = {"hidden_size": H, "output": name, "output_options": OPTIONS[name]}
    yield LanguageModel(V, LanguageModelConfig(**chosen), counts=counts)
    yield FixedWindowLM(V, FixedWindowConfig(**chosen), counts=counts)


@pytest.mark.parametrize("name", OUTPUTS)
def test_models_and_their_losses(name):
    for model in models(name):
        model.double().eval()
        tokens = torch.randint(V, (6, 2), dtype=torch.int32)
        x, y = tokens[:-1], tokens[1:]
        log_p, _ = model.next_log_probs(x, None)
        want = -log_p.gather(-1, y.long().unsqueeze(-1)).squeeze(-1)
        h, _ = model.features(x)
        found = model.features_loss(h, y, reduction="none")
        torch.testing.assert_close(found, want, rtol=1e-12, atol=1e-14)
        logits, _ = model(x)
        torch.testing.assert_close(logits.log_softmax(-1), log_p)


@pytest.mark.parametrize("name", OUTPUTS)
def test_a_state_dict_restores_everything(name):
    """Also the order of the words, in a model built from no counts worth the name."""
    x = torch.randint(V, (5, 2))
    for old, new in zip(models(name), models(name, torch.ones(V)), strict=True):
        new.load_state_dict(old.state_dict())
        for a, b in zip(old(x)[0], new(x)[0], strict=True):
            assert torch.equal(a, b)
        assert all(
            torch.equal(a, b) for a, b in zip(old.buffers(), new.buffers(), strict=True)
        )


def test_the_full_output_adds_nothing_to_a_state_dict():
    model, _ = models("full", None)
    names = ["embedding_weight", "output_weight", "output_bias"]
    recurrent = [f"recurrent.{p}_l0" for p in ("weight_ih", "weight_hh")]
    recurrent += [f"recurrent.{p}_l0" for p in ("bias_ih", "bias_hh")]
    assert list(model.state_dict()) == [*names, *recurrent]


def test_tied_and_sampled():
    config = LanguageModelConfig(
        hidden_size=H, tied=True, output="sampled", output_options={"samples": 3}
    )
    model = LanguageModel(V, config, counts=COUNTS).train()
    x = torch.randint(V, (5, 2))
    h, _ = model.features(x)
    model.features_loss(h, x).backward()
    gradient = model.embedding_weight.grad
    assert gradient.any()
    assert not gradient.is_sparse


@pytest.mark.parametrize(
    ("error", "name", "counts", "options", "says"),
    [
        (InvalidValue, "adaptive", None, {}, "output 'adaptive' needs counts="),
        (InvalidValue, "sampled", None, {}, "output 'sampled' needs counts="),
        (InvalidValue, "class", None, {}, "torch.bincount"),
        (InvalidType, "class", [1] * V, {}, "counts should be a Tensor, got list"),
        (InvalidShape, "class", torch.ones(3), {}, r"counts must have shape \(11,\)"),
        (InvalidValue, "class", torch.zeros(V), {}, "not all zero"),
        (InvalidValue, "class", -torch.ones(V), {}, "not negative"),
        (InvalidValue, "class", torch.ones(V) / 0, {}, "finite"),
        (InvalidValue, "class", COUNTS, {"classes": 12}, r"classes should be in \[1"),
        (InvalidType, "class", COUNTS, {"classes": 1.5}, "classes should be of type"),
        (InvalidValue, "sampled", COUNTS, {"samples": 0}, "samples must be greater"),
        (InvalidValue, "sampled", COUNTS, {"proposal": "x"}, "unknown proposal 'x'"),
        (InvalidValue, "adaptive", COUNTS, {"cutoffs": [4, 4]}, "cutoffs should be as"),
        (InvalidValue, "adaptive", COUNTS, {"cutoffs": [11]}, r"in \(0, 11\)"),
        (InvalidValue, "adaptive", COUNTS, {"cutoffs": []}, "at least one, got"),
        (InvalidType, "adaptive", COUNTS, {"cutoffs": 4}, "cutoffs should be a list"),
        (InvalidValue, "adaptive", COUNTS, {"cutoffs": [2, 4]}, "have no features"),
        (InvalidValue, "adaptive", COUNTS, {"div_value": 0.5}, "div_value should be"),
        (InvalidValue, "adaptive", torch.ones(1), {}, "cutoffs should be ascending"),
    ],
)
def test_bad_input(error, name, counts, options, says):
    size = 1 if isinstance(counts, torch.Tensor) and len(counts) == 1 else V
    with pytest.raises(error, match=says):
        build_output(name, size, H, options, counts, init_range=0.1)


@pytest.mark.parametrize("config", [LanguageModelConfig, FixedWindowConfig])
def test_bad_config(config):
    for options, says in (
        ({"output": "huge"}, "unknown output 'huge': known are full, adaptive"),
        (
            {"output": "class", "output_options": {"samples": 3}},
            "unknown option of the output 'class' 'samples': known are classes",
        ),
        ({"output": "adaptive", "tied": True}, "weights of another shape"),
        ({"output": "class", "tied": True}, "tied=true shares the embedding"),
    ):
        with pytest.raises(InvalidValue, match=says):
            config(**options)
    with pytest.raises(InvalidType, match="output_options should be a mapping"):
        config(output_options=[1])
    check_output("sampled", {"samples": 3}, tied=True)


@pytest.mark.parametrize("name", OUTPUTS)
def test_bad_targets(name):
    layer, own, (h, targets) = output(name).train(), words(), batch()
    with pytest.raises(InvalidValue, match=r"targets must lie in \[0, 11\)"):
        layer.loss(h, targets + 11, own)
    with pytest.raises(InvalidShape, match="targets must have shape"):
        layer.loss(h, targets[:2], own)
    with pytest.raises(InvalidType, match="targets should be of dtype long"):
        layer.loss(h, targets.double(), own)
    with pytest.raises(InvalidValue, match="unknown reduction 'max'"):
        layer.loss(h, targets, own, reduction="max")
