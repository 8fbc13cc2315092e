"""Scores, sampling and beam search against counts by hand."""

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.models.toy import TABLE, Markov
from throughtime.data import evaluation_streams
from throughtime.errors import InvalidShape, InvalidType, InvalidValue
from throughtime.models import (
    LanguageModelProtocol,
    NGramLM,
    beam_search,
    evaluate,
    generate,
    log_prob,
    next_distribution,
)
from throughtime.models.constraint import starts_with
from throughtime.models.sampling import (
    Decoding,
    apply_temperature,
    keep_top_k,
    keep_top_p,
    keep_typical,
    sample,
    stream,
)

MODEL = Markov(TABLE)
START = torch.tensor([0])
# P(next) depends on the last two tokens, so the state matters.
TRIGRAM = NGramLM(3, vocabulary_size=3).fit(
    torch.tensor([0, 1, 2, 0, 0, 1, 1, 0, 2, 2, 1, 0, 0, 2, 0, 0, 1, 2, 2, 2])
)


def test_toy_meets_the_protocol():
    assert isinstance(MODEL, LanguageModelProtocol)


def test_chain_rule():
    tokens = torch.tensor([[1, 2], [0, 2]])
    want = [math.log(0.6 * 0.5), math.log(0.3 * 0.6)]
    assert log_prob(MODEL, tokens, start=0).tolist() == pytest.approx(want, abs=1e-12)
    longer = log_prob(MODEL, tokens, start=torch.tensor([2, 1]))
    want = [math.log(0.25 * 0.5), math.log(0.25 * 0.6)]
    assert longer.tolist() == pytest.approx(want, abs=1e-12)
    for length in (1, 2, 3):
        every = torch.tensor(list(itertools.product(range(3), repeat=length))).t()
        total = log_prob(MODEL, every, start=1).exp().sum().item()
        assert total == pytest.approx(1, abs=1e-12)
    with pytest.raises(InvalidShape, match="start is empty"):
        log_prob(MODEL, tokens, start=torch.tensor([]))
    with pytest.raises(InvalidShape, match=r"start must be tokens \(n,\)"):
        log_prob(MODEL, tokens, start=tokens)
    with pytest.raises(InvalidValue, match=r"start must lie in \[0, 3\)"):
        log_prob(MODEL, tokens, start=3)
    with pytest.raises(InvalidShape, match=r"tokens must be \(N, B\)"):
        log_prob(MODEL, tokens[0], start=0)


def test_next_distribution():
    got = next_distribution(MODEL, torch.tensor([0, 2])).tolist()
    assert got == pytest.approx(TABLE[2], abs=1e-12)


@pytest.mark.parametrize(("streams", "chunk"), [(1, 256), (3, 2), (4, 1)])
def test_evaluation_is_the_sum_over_pairs(streams, chunk):
    tokens = torch.tensor([0, 1, 1, 2, 0, 2, 2, 1, 0])
    score = evaluate(MODEL, *evaluation_streams(tokens, streams), chunk=chunk)
    pairs = zip(tokens[:-1].tolist(), tokens[1:].tolist(), strict=True)
    nats = -sum(math.log(TABLE[a][b]) for a, b in pairs)
    assert score.nats == pytest.approx(nats, abs=1e-12)
    assert score.tokens == 8
    assert score.perplexity == pytest.approx(math.exp(nats / 8), rel=1e-12)


def test_evaluation_errors():
    tokens = torch.tensor([[0], [1], [2]])
    for error, options, says in (
        (InvalidValue, {"chunk": 0}, "chunk must be greater than zero"),
        (InvalidShape, {"targets": tokens[:2]}, "inputs, targets and mask must all"),
        (InvalidValue, {"targets": tokens + 1}, r"targets must lie in \[0, 3\)"),
        (InvalidShape, {"mask": torch.ones(3, 2, dtype=torch.bool)}, r"and \(3, 2\)"),
        (InvalidType, {"mask": tokens}, "mask should be of torch.bool"),
        (InvalidValue, {"mask": tokens > 2}, "no target counts"),
    ):
        with pytest.raises(error, match=says):
            evaluate(MODEL, **{"inputs": tokens, "targets": tokens, **options})


def test_temperature_closed_form():
    p = torch.tensor([0.7, 0.2, 0.1], dtype=torch.float64)
    for t in (0.25, 1.0, 3.0):
        want = p ** (1 / t) / (p ** (1 / t)).sum()
        torch.testing.assert_close(apply_temperature(p.log(), t).exp(), want)
    # So small that log p / t overflows: all mass on the likeliest.
    single = p.float().log()
    assert apply_temperature(single, 1e-300).exp().tolist() == [1, 0, 0]
    assert apply_temperature(single, 1e300).exp().tolist() == pytest.approx([1 / 3] * 3)
    with pytest.raises(InvalidValue, match="temperature should be a number in range"):
        apply_temperature(p.log(), 0)


@given(st.lists(st.floats(0.01, 1), min_size=2, max_size=8), st.floats(0.01, 1))
def test_top_p_is_the_smallest_set(weights, p):
    probs = torch.tensor(weights, dtype=torch.float64)
    probs = probs / probs.sum()
    kept = keep_top_p(probs.log(), p).exp()
    chosen = kept > 0
    mass = probs[chosen].sum().item()
    assert mass >= p - 1e-12
    # Without its least likely member the set would miss p.
    assert p == 1 or mass - probs[chosen].min().item() < p + 1e-12
    # Neighbouring numbers can have one logarithm, which is what is compared.
    assert not (~chosen).any() or probs[chosen].min() >= probs[~chosen].max() - 1e-15
    torch.testing.assert_close(kept[chosen], probs[chosen] / mass)


def test_top_p_of_many_tokens_in_single_precision():
    """The size of the set, against sorted sums in float64; 1 keeps every token."""
    generator = torch.Generator().manual_seed(0)
    log_probs = torch.log_softmax(3 * torch.randn(10_000, generator=generator), -1)
    ranked = log_probs.double().exp().sort(descending=True).values
    for p in (0.5, 0.99, 0.9999):
        kept = int((keep_top_p(log_probs, p) > -torch.inf).sum())
        assert kept == int((ranked.cumsum(0) < p).sum()) + 1
    assert (keep_top_p(log_probs, 1.0) > -torch.inf).all()
    # The second token has mass e^-100, lost in a sum with 1.
    assert (keep_top_p(torch.tensor([0.0, -100.0]), 1.0) > -torch.inf).all()


def test_top_k_and_ties():
    flat = torch.full((4,), 0.25, dtype=torch.float64).log()
    assert keep_top_k(flat, 2).exp().tolist() == [0.5, 0.5, 0, 0]
    assert keep_top_k(flat, 9).exp().tolist() == pytest.approx([0.25] * 4)
    assert keep_top_p(flat, 0.01).exp().tolist() == [1, 0, 0, 0]


@pytest.mark.parametrize(
    ("options", "table"),
    [
        ({}, TABLE),
        (
            {"temperature": 0.5},  # p^2, renormalised
            [[p * p / sum(q * q for q in row) for p in row] for row in TABLE],
        ),
        ({"top_k": 2}, [[0, 2 / 3, 1 / 3], [2 / 3, 1 / 3, 0], [0.25, 0, 0.75]]),
        ({"top_p": 0.79}, [[0, 2 / 3, 1 / 3], TABLE[1], [0.25, 0, 0.75]]),
        ({"banned": [1]}, [[0.25, 0, 0.75], None, [0.25, 0, 0.75]]),
    ],
)
def test_frequencies_of_draws(options, table):
    """20,000 draws, each share within 4 standard errors of its probability."""
    generator = torch.Generator().manual_seed(0)
    decoding = Decoding(**options)
    tokens = sample(
        MODEL, START, 10, count=2_000, decoding=decoding, generator=generator
    )
    before = torch.cat([START.expand(1, 2_000), tokens[:-1]])
    for a in before.unique().tolist():
        after = tokens[before == a]
        for b in range(3):
            p, n = table[a][b], len(after)
            share = (after == b).double().mean().item()
            assert abs(share - p) <= 4 * math.sqrt(p * (1 - p) / n)


def test_same_seed_same_text():
    texts = [
        generate(MODEL, START, 50, generator=torch.Generator().manual_seed(s)).tolist()
        for s in (1, 1, 2)
    ]
    assert texts[0] == texts[1] != texts[2]
    generator = torch.Generator().manual_seed(1)
    (batch,) = sample(MODEL, START, 50, count=1, generator=generator).t().tolist()
    assert batch == texts[0]


def test_greedy_is_the_argmax_and_the_limit_of_temperature():
    assert generate(MODEL, START, 4, method="greedy").tolist() == [1, 0, 1, 0]
    assert generate(MODEL, START, 4, temperature=0).tolist() == [1, 0, 1, 0]
    assert generate(MODEL, START, 4, top_k=1).tolist() == [1, 0, 1, 0]
    assert generate(MODEL, START, 2, method="greedy", banned=[1]).tolist() == [2, 2]
    tied = Markov([[0.2, 0.4, 0.4], [0.3, 0.3, 0.4], [0.4, 0.2, 0.4]])
    assert generate(tied, START, 3, method="greedy").tolist() == [1, 2, 0]


def test_impossible_continuations():
    certain = Markov([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    (only,) = beam_search(certain, START, 2, beam_size=9)
    assert (only.tokens.tolist(), only.log_prob) == ([1, 0], 0.0)
    for options in ({}, {"method": "greedy"}):
        with pytest.raises(InvalidValue, match="no probability, or NaN, to every"):
            generate(certain, START, 2, banned=[1], **options)
    broken = Markov([[math.nan] * 3] * 3)
    with pytest.raises(InvalidValue, match="no probability, or NaN, to every"):
        generate(broken, START, 2)
    with pytest.raises(InvalidValue, match="the model gives NaN"):
        beam_search(broken, START, 2, beam_size=2)


def test_errors():
    with pytest.raises(InvalidValue, match="unknown method 'best': known are sample"):
        generate(MODEL, START, 1, method="best")
    with pytest.raises(InvalidShape, match="prompt must be tokens"):
        generate(MODEL, torch.zeros(0, dtype=torch.long), 1)
    with pytest.raises(InvalidValue, match="every token is banned"):
        generate(MODEL, START, 1, banned=[0, 1, 2])
    for method in ("sample", "greedy"):
        with pytest.raises(InvalidValue, match="top_p should be a number in range"):
            generate(MODEL, START, 1, method=method, top_p=1.5)
        with pytest.raises(InvalidValue, match="top_k must be greater than zero"):
            generate(MODEL, START, 1, method=method, top_k=0)
    for outside in (3, -1):
        with pytest.raises(InvalidValue, match=r"banned must hold tokens in \[0, 3\)"):
            generate(MODEL, START, 1, banned=[outside])
        with pytest.raises(InvalidValue, match=r"end_index must be a token in \[0, 3"):
            beam_search(MODEL, START, 1, end_index=outside)
        with pytest.raises(InvalidValue, match=r"prompt must lie in \[0, 3\)"):
            generate(MODEL, torch.tensor([outside]), 1)
    with pytest.raises(InvalidType, match="prompt should be a Tensor of integers"):
        beam_search(MODEL, torch.tensor([0.5]), 1)
    with pytest.raises(InvalidValue, match="temperature should be a number in range"):
        generate(MODEL, START, 1, temperature=-1.0)
    with pytest.raises(InvalidValue, match="beam_size must be greater than zero"):
        beam_search(MODEL, START, 1, beam_size=0)


def test_typical_is_the_smallest_set_around_the_entropy():
    """Tokens in the order of |-log p - H| until they have the mass, one by one."""
    p = torch.tensor([0.4, 0.25, 0.2, 0.1, 0.05], dtype=torch.float64)
    entropy = -(p * p.log()).sum()
    by_distance = sorted(range(5), key=lambda i: abs(float(-p[i].log() - entropy)))
    assert by_distance == [1, 2, 0, 3, 4]  # H = 1.415, so 0.243 would be typical
    for mass in (0.01, 0.24, 0.3, 0.5, 0.86, 0.96):
        kept = keep_typical(p.log(), mass).exp()
        want, total = [], 0.0
        for i in by_distance:
            if total >= mass:
                break
            want.append(i)
            total += float(p[i])
        assert torch.nonzero(kept).flatten().tolist() == sorted(want)
        torch.testing.assert_close(kept[want], p[want] / p[want].sum())
    torch.testing.assert_close(keep_typical(p.log(), 1.0).exp(), p)
    some = torch.tensor([0.5, 0.0, 0.5], dtype=torch.float64).log()
    assert keep_typical(some, 0.6).exp().tolist() == pytest.approx([0.5, 0, 0.5])
    rows = torch.stack([p.log(), p.flip(0).log()])
    both = keep_typical(rows, 0.3)
    torch.testing.assert_close(both[0], keep_typical(rows[0], 0.3))
    torch.testing.assert_close(both[1], keep_typical(rows[1], 0.3))


def test_stream_is_generate_one_by_one():
    def seeded():
        return torch.Generator().manual_seed(3)

    options = {"temperature": 0.8, "top_k": 2, "typical": 0.9}
    whole = generate(TRIGRAM, START, 30, generator=seeded(), **options)
    tokens = stream(TRIGRAM, START, Decoding(**options), generator=seeded())
    assert [next(tokens) for _ in range(30)] == whole.tolist()
    assert torch.is_grad_enabled()  # also while the stream is open
    end = int(whole[5])
    first = whole.tolist().index(end)
    for ended in (
        generate(TRIGRAM, START, 30, generator=seeded(), end_index=end, **options),
        torch.tensor(
            list(
                stream(
                    TRIGRAM,
                    START,
                    Decoding(**options),
                    end_index=end,
                    generator=seeded(),
                )
            )
        ),
    ):
        assert ended.tolist() == whole[: first + 1].tolist()


def test_streams_check_their_arguments_at_once():
    with pytest.raises(InvalidShape, match="prompt must be tokens"):
        stream(MODEL, START[:0])
    with pytest.raises(InvalidValue, match="end_index must be a token"):
        stream(MODEL, START, end_index=3)
    with pytest.raises(InvalidValue, match="length must be greater than zero"):
        stream(MODEL, START, length=0)
    with pytest.raises(InvalidValue, match="typical should be a number in range"):
        Decoding(typical=0)


def test_forced_beginning():
    rule = starts_with([2, 2, 1])
    text = generate(MODEL, START, 6, constraint=rule, method="greedy")
    assert text.tolist() == [2, 2, 1, 0, 1, 0]
    # Whatever the model thinks of them, and truncation with it.
    text = generate(MODEL, START, 3, constraint=rule, top_k=1)
    assert text.tolist() == [2, 2, 1]
    found = beam_search(MODEL, START, 4, beam_size=9, constraint=rule)
    want = [math.log(0.3 * 0.6 * 0.2 * p) for p in (0.5, 0.25, 0.25)]
    assert [h.tokens.tolist() for h in found] == [[2, 2, 1, i] for i in range(3)]
    assert [h.log_prob for h in found] == pytest.approx(want, abs=1e-12)
    certain = Markov([[0.0, 1.0, 0.0]] * 3)
    with pytest.raises(InvalidValue, match="no probability, or NaN, to every"):
        generate(certain, START, 2, constraint=rule)
    with pytest.raises(InvalidValue, match="any token that is allowed"):
        beam_search(certain, START, 2, constraint=rule)
