"""Beam search for many inputs against ``beam_search`` one by one, and all answers."""

import itertools

import pytest
import torch

from tests.models.encoder_decoder_cases import (
    CASES,
    END,
    TARGETS,
    batch_of,
    one_of,
    small,
)
from throughtime.errors import InvalidValue
from throughtime.models.beam import beam_search
from throughtime.models.encoder_decoder_search import Conditioned
from throughtime.models.protocol import LanguageModelProtocol

LONGEST = torch.tensor([6, 1, 4, 6, 3])


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("beam_size", [1, 4])
def test_as_one_by_one(case, beam_size):
    model, batch = small(3, **CASES[case]), batch_of([4, 1, 0, 3, 2])
    options = {"beam_size": beam_size, "length_penalty": 0.7, "banned": [2]}
    found = model.search(batch, longest=LONGEST, penalty="gnmt", **options)
    for b in range(5):
        with torch.no_grad():
            encoded = model.encode(one_of(batch, b))
        want = beam_search(
            Conditioned(model, encoded),
            torch.tensor([END]),
            int(LONGEST[b]),
            end_index=END,
            penalty="gnmt",
            **options,
        )
        for got, one in zip(found[b], want, strict=True):
            # Without a memory, texts of the same pairs of tokens are equally likely.
            if model.config.cell != "none":
                assert got.tokens.tolist() == one.tokens.tolist()
            assert got.score == pytest.approx(one.score, rel=1e-12)
            assert got.log_prob == pytest.approx(one.log_prob, rel=1e-12)


def test_exhaustive():
    """A beam as wide as there are texts ranks them all, as ``batch_loss`` does."""
    model, batch = small(5, bidirectional=True), batch_of([3, 2])
    found = model.search(batch, longest=3, beam_size=TARGETS**3)
    for b in range(2):
        values = {}
        for text in itertools.product(range(TARGETS), repeat=3):
            # Nothing comes behind an end.
            cut = text[: text.index(END) + 1] if END in text else text
            targets = torch.tensor(cut)[:, None]
            one = one_of(batch, b)
            one |= {"targets": targets, "targets_lengths": torch.tensor([len(cut)])}
            values[cut] = -model.batch_loss(one)[0].item()
        ranked = sorted(values, key=lambda text: -values[text])
        got = [tuple(h.tokens.tolist()) for h in found[b]]
        assert got == ranked
        assert found[b][0].log_prob == pytest.approx(values[ranked[0]], rel=1e-12)


def test_language_model_protocol():
    model, batch = small(), batch_of([3])
    decoder = Conditioned(model, model.encode(batch))
    assert isinstance(decoder, LanguageModelProtocol)
    tokens = torch.tensor([[END], [2], [1]])
    together, _ = decoder.next_log_probs(tokens, decoder.initial_state(1))
    state = decoder.initial_state(1)
    for t in range(3):
        single, state = decoder.next_log_probs(tokens[t : t + 1], state)
        torch.testing.assert_close(single[0], together[t], rtol=1e-12, atol=1e-12)
    with pytest.raises(InvalidValue, match="batch_size must be 1"):
        decoder.initial_state(2)


def test_bad_arguments():
    model, batch = small(), batch_of([2, 3])
    with pytest.raises(InvalidValue, match="longest must be at least 1"):
        model.search(batch, longest=torch.tensor([2, 0]))
    with pytest.raises(InvalidValue, match="unknown penalty"):
        model.search(batch, longest=2, penalty="none")
    with pytest.raises(InvalidValue, match="beam_size"):
        model.search(batch, longest=2, beam_size=0)
    with pytest.raises(InvalidValue, match="banned"):
        model.search(batch, longest=2, banned=[TARGETS])
    with torch.no_grad():
        model.output_bias.fill_(torch.nan)
    with pytest.raises(InvalidValue, match="gives NaN"):
        model.search(batch, longest=2)
