"""Captioners: one at a time, step by step, and by brute force."""

import itertools

import pytest
import torch

from throughtime.data.examples import Examples
from throughtime.errors import InvalidShape, InvalidType, InvalidValue
from throughtime.models.beam import beam_search
from throughtime.models.captioner import Captioner, CaptionerConfig
from throughtime.models.front_ends import VectorFrontEnd
from throughtime.models.picture_encoder import PictureEncoder
from throughtime.models.protocol import LanguageModelProtocol
from throughtime.models.sampling import Decoding
from throughtime.training import TrainingConfig, train

END = 2
KINDS = [
    {"cell": "lstm"},
    {"cell": "gru", "num_layers": 2, "feed": False},
    {"cell": "elman", "attention": True},
    {"cell": "none"},
    {"cell": "slstm", "learned_initial_state": True},
]


def model_of(size=4, **options):
    torch.manual_seed(0)
    config = CaptionerConfig(**{"hidden_size": 6, "embedding_size": 3, **options})
    if config.attention:
        front_end = PictureEncoder(1, 8, 8, 4, grid=True)
    else:
        front_end = VectorFrontEnd(size)
    return Captioner(front_end, 5, end_index=END, config=config).double().eval()


def examples(model, targets=((0, 1, END), (END,), (3, END), (1, 1, 4, END))):
    generator = torch.Generator().manual_seed(1)
    picture = isinstance(model.front_end, PictureEncoder)
    shape = (1, 8, 8) if picture else (model.front_end.output_size,)
    inputs = [
        torch.randn(n, *shape, generator=generator, dtype=torch.double)
        for n in (1, 1, 0, 1)
    ]
    return Examples({"targets": [torch.tensor(t) for t in targets], "inputs": inputs})


@pytest.mark.parametrize("options", KINDS, ids=str)
def test_batches_change_nothing(options):
    """Neither padding nor company: against every example by itself."""
    model = model_of(**options)
    data = examples(model)
    together = data.batch(range(4))
    logits, total = model(together), 0.0
    for b in range(4):
        alone = data.batch([b])
        want = model(alone)[:, 0]
        torch.testing.assert_close(logits[: len(want), b], want, atol=1e-12, rtol=0)
        total += model.batch_loss(alone)[0]
    loss, count = model.batch_loss(together)
    assert count == 3 + 1 + 2 + 4
    torch.testing.assert_close(loss, total, atol=1e-12, rtol=0)


@pytest.mark.parametrize("options", KINDS, ids=str)
def test_step_by_step(options):
    """What is trained at once is what is written token by token."""
    model = model_of(**options)
    batch = examples(model).batch([3])
    want = model(batch).log_softmax(-1)
    given = model.given(batch)
    assert isinstance(given, LanguageModelProtocol)
    state, read = given.initial_state(1), torch.tensor([[END]])
    for step, target in enumerate(batch["targets"]):
        got, state = given.next_log_probs(read, state)
        torch.testing.assert_close(got[0], want[step], atol=1e-12, rtol=0)
        read = target[None]


@pytest.mark.parametrize("options", KINDS, ids=str)
def test_everything_learns(options):
    model = model_of(**options).train()
    loss, _ = model.batch_loss(examples(model).batch(range(4)))
    loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        # m of an sLSTM changes no result, only the size of the numbers on the way.
        assert parameter.grad.any() or "initial_m" in name, name


def test_masked_targets_do_not_count():
    model = model_of()
    batch = examples(model).batch([0])
    log_probs = model(batch).log_softmax(-1)[:, 0]
    batch["targets_mask"] = torch.tensor([[True], [False], [True]])
    loss, count = model.batch_loss(batch)
    want = -(log_probs[0, 0] + log_probs[2, END])
    assert count == 2
    torch.testing.assert_close(loss, want, atol=1e-12, rtol=0)


@pytest.mark.parametrize("options", KINDS, ids=str)
def test_beam_against_all_captions(options):
    """The truth: log P of each of the texts of up to 3 tokens, teacher forced."""
    model = model_of(**options)
    batch = examples(model).batch([0])
    scores = {}
    for length in (1, 2, 3):
        for text in itertools.product(range(5), repeat=length):
            ended = text[-1] == END
            if END in text[:-1] or (length < 3 and not ended):
                continue
            batch["targets"] = torch.tensor(text)[:, None]
            batch["targets_lengths"] = torch.tensor([length])
            scores[text] = -model.batch_loss(batch)[0].item()
    start = torch.tensor([END])
    found = beam_search(model.given(batch), start, 3, beam_size=200, end_index=END)
    assert {tuple(h.tokens.tolist()) for h in found} == set(scores)
    for hypothesis in found:
        want = scores[tuple(hypothesis.tokens.tolist())]
        assert hypothesis.log_prob == pytest.approx(want, abs=1e-12)
    best = list(max(scores, key=lambda text: scores[text]))
    best = best[:-1] if best[-1] == END else best
    assert model.caption(batch, length=3, beam_size=200) == [best]


@pytest.mark.parametrize("options", KINDS, ids=str)
def test_captions_of_a_batch_are_those_of_each(options):
    model = model_of(**options)
    data = examples(model)
    for extra in ({}, {"beam_size": 3}, {"banned": [END]}):
        together = model.caption(data.batch(range(4)), length=6, **extra)
        alone = [model.caption(data.batch([b]), length=6, **extra)[0] for b in range(4)]
        assert together == alone
        assert all(END not in tokens for tokens in together)
    assert [len(tokens) for tokens in together] == [6] * 4  # END was banned


def test_greedy_is_a_beam_of_one():
    model = model_of()
    batch = examples(model).batch([0, 3])
    hypotheses = [
        beam_search(one, torch.tensor([END]), 8, beam_size=1, end_index=END)[0]
        for one in model.given(batch).each()
    ]
    want = [[t for t in h.tokens.tolist() if t != END] for h in hypotheses]
    assert model.caption(batch, length=8) == want


def test_draws_follow_the_distribution():
    """The share of first tokens among 4,000 draws, within 4 standard deviations."""
    model = model_of()
    batch = {
        "inputs": torch.ones(1, 4000, 4).double(),
        "inputs_lengths": torch.ones(4000, dtype=torch.long),
    }
    drawn = model.caption(
        batch,
        length=1,
        decoding=Decoding(),
        banned=[0],
        generator=torch.Generator().manual_seed(0),
    )
    given = model.given(
        {
            name: part[..., :1, :] if part.dim() == 3 else part[:1]
            for name, part in batch.items()
        }
    )
    log_probs, _ = given.next_log_probs(torch.tensor([[END]]), given.initial_state(1))
    p = log_probs[0, 0].exp()
    p[0] = 0
    p = p / p.sum()
    for token in range(5):
        wanted = [] if token == END else [token]
        share = sum(tokens == wanted for tokens in drawn) / 4000
        spread = (p[token] * (1 - p[token]) / 4000).sqrt()
        assert abs(share - p[token]) <= 4 * spread


def test_without_a_memory_only_the_last_token_is_seen():
    model = model_of(cell="none")
    data = examples(model, ((0, 1, END),) * 4)
    other = examples(model, ((3, 1, END),) * 4)
    a, b = model(data.batch([0])), model(other.batch([0]))
    assert torch.equal(a[2], b[2])
    assert not torch.equal(a[1], b[1])


def test_the_vector_matters():
    for options in KINDS:
        model = model_of(**options)
        batch = examples(model).batch([0])
        other = batch | {"inputs": batch["inputs"].flip(-1)}
        assert not torch.allclose(model(batch)[0], model(other)[0])


def test_it_learns_a_caption_of_each_vector():
    model = model_of(cell="gru", hidden_size=16).float().train()
    data = examples(model)
    data = Examples(
        {
            "targets": data.sequences["targets"],
            "inputs": [part.float() for part in data.sequences["inputs"]],
        }
    )
    optimizer = torch.optim.Adam(model.parameters(), 0.03)
    batch = data.batch(range(4))
    for _ in range(60):
        optimizer.zero_grad()
        loss, count = model.batch_loss(batch)
        (loss / count).backward()
        optimizer.step()
    assert model.eval().caption(batch) == [[0, 1], [], [3], [1, 1, 4]]


def test_no_input_at_all():
    model = model_of()
    batch = examples(model).batch([2])
    assert len(batch["inputs"]) == 0
    assert model(batch).isfinite().all()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"bidirectional": True}, "reads the caption that is to be written"),
        ({"cell": "none", "feed": False}, "cell 'none' has none"),
    ],
)
def test_what_does_not_go_together(options, says):
    with pytest.raises(InvalidValue, match=says):
        CaptionerConfig(**options)


def test_what_cannot_be():
    with pytest.raises(InvalidType, match="feed should be of type bool"):
        CaptionerConfig(feed=1)
    with pytest.raises(InvalidValue, match=r"end_index must be a token in \[0, 5\)"):
        Captioner(VectorFrontEnd(2), 5, end_index=5)
    model = model_of()
    batch = examples(model).batch([0, 1])
    with pytest.raises(InvalidValue, match="leave one of them out"):
        model.caption(batch, beam_size=2, decoding=Decoding())
    with pytest.raises(InvalidShape, match="2 inputs are given, and 3 sequences"):
        model.given(batch).initial_state(3)
    with pytest.raises(InvalidValue, match="unknown option of the network 'feeed'"):
        CaptionerConfig.from_dict({"feeed": True})
    config = CaptionerConfig(cell="gru", feed=False)
    assert CaptionerConfig.from_dict(config.to_dict()) == config


@pytest.mark.parametrize("truncation", ["full", "chunked"])
def test_the_loop_of_training_takes_it(truncation):
    """The loss that training reports first is that of the fresh model."""
    model = model_of().train()
    data = examples(model)
    with torch.no_grad():
        loss, count = model.batch_loss(data.batch(range(4)))
    options = {} if truncation == "full" else {"truncation": truncation, "tau": 2}
    config = TrainingConfig(batch_size=4, epochs=2, **options)
    first, last = train(model, data, config)
    assert first.loss == pytest.approx(loss.item() / count, rel=1e-12)
    assert last.loss < first.loss
