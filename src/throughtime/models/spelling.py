"""Words spelled token by token: beam search up to the white space behind a word."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from throughtime.errors import InvalidValue
from throughtime.models.protocol import LanguageModelProtocol


@dataclass
class SpelledWords:
    """What a search found, given what was read.

    Attributes:
        words: P(lead, word, and white space or the boundary behind it).
        lead: P(the text goes on with the lead).
        given: P(the text goes on with the lead and the letters given).
    """

    words: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    lead: float = 0.0
    given: float = 0.0

    def reached(self, count: int) -> float:
        """Probability of the word number ``count``; 0 if there are fewer."""
        ranked = sorted(self.words.values(), reverse=True)
        return ranked[count - 1] if len(ranked) >= count else 0.0


def spell_words(
    model: LanguageModelProtocol,
    prompt: Tensor,
    texts: Sequence[str],
    decode: Callable[[Sequence[int]], str],
    *,
    lead: str,
    letters: str,
    count: int,
    beam_size: int,
    longest: int,
) -> SpelledWords:
    """The words that may follow a prompt.

    Kept are the ``beam_size`` likeliest spellings of each length, until none of them
    is as likely as the last of ``count`` words.

    Args:
        model: any language model.
        prompt: tokens (n, 1).
        texts: the text of each token; "" for those that no word may hold.
        decode: the text of several tokens, which may be less than those of each: a
            character can be made of several.
        lead: white space that must come first.
        letters: how the word must begin.
        count: words wanted.
        beam_size: spellings kept.
        longest: most tokens of a spelling.

    Raises:
        InvalidValue: the model gives NaN.
    """
    found = SpelledWords(lead=0.0 if lead else 1.0)
    tokens = _Tokens(texts, lead, letters)
    log_probs, state = model.next_log_probs(prompt, model.initial_state(1))
    spellings: list[list[int]] = [[]]
    totals = torch.zeros(1, dtype=torch.float64)
    for _ in range(longest):
        sums = totals[:, None] + checked(log_probs[-1]).cpu()
        for row, spelling in zip(sums, spellings, strict=True):
            kept = tokens.follow(decode(spelling), row.exp(), found)
            row[~kept] = -torch.inf
        best = sums.flatten().argsort(descending=True, stable=True)[:beam_size]
        totals = sums.flatten()[best]
        # No longer word can be as likely as these.
        going = (totals > -torch.inf) & (totals.exp() > found.reached(count))
        best, totals = best[going], totals[going]
        if not len(best):
            break
        beams, last = best // sums.size(1), best % sums.size(1)
        spellings = [
            [*spellings[beam], token]
            for beam, token in zip(beams.tolist(), last.tolist(), strict=True)
        ]
        state = model.select_state(state, beams)
        log_probs, state = model.next_log_probs(last[None].to(prompt.device), state)
    if not letters:
        found.given = found.lead
    return found


class _Tokens:
    """What each token does to a spelling: continue it, end its word, or not fit."""

    def __init__(self, texts: Sequence[str], lead: str, letters: str) -> None:
        self.texts, self.lead, self.required = texts, lead, lead + letters
        self.given = bool(letters)
        space = [text[:1].isspace() for text in texts]
        split = [
            len(text.split(maxsplit=1)) > 1 or text[-1:].isspace() for text in texts
        ]
        self.begins_with_space = torch.tensor(space)
        self.inside = torch.tensor(
            [
                bool(t) and not s and not i
                for t, s, i in zip(texts, space, split, strict=True)
            ]
        )
        # Rare: a word, white space, and more.
        self.holding_space = [
            i
            for i, (s, held) in enumerate(zip(space, split, strict=True))
            if held and not s
        ]

    def follow(self, written: str, p: Tensor, found: SpelledWords) -> Tensor:
        """Which tokens continue a spelling, (V,); adds words that end to ``found``."""
        if len(written) < len(self.required):
            return self._required(written, p.tolist(), found)
        word = written[len(self.lead) :]
        if word:
            found.words[word] += float(p[self.begins_with_space].sum())
        for i in self.holding_space:
            self._split(written + self.texts[i], float(p[i]), found)
        return self.inside.clone()

    def _required(
        self, written: str, p: Sequence[float], found: SpelledWords
    ) -> Tensor:
        rest = self.required[len(written) :]
        lead = self.lead[len(written) :]
        kept = torch.zeros(len(p), dtype=torch.bool)
        for i, text in enumerate(self.texts):
            if lead and text.startswith(lead):
                found.lead += p[i]
            if text.startswith(rest):
                if self.given:
                    found.given += p[i]
                kept[i] = self._split(written + text, p[i], found)
            elif text and rest.startswith(text):
                kept[i] = True
        return kept

    def _split(self, written: str, p: float, found: SpelledWords) -> bool:
        """Whether a word goes on; if it ended, it is found."""
        tail = written[len(self.lead) :]
        if not tail or tail[0].isspace():
            return not tail
        word = tail.split(maxsplit=1)[0]
        if word != tail:
            found.words[word] += p
        return word == tail


def checked(log_probs: Tensor) -> Tensor:
    """log P in float64.

    Raises:
        InvalidValue: NaN.
    """
    if log_probs.isnan().any():
        raise InvalidValue("the model gives NaN; check that its training converged")
    return log_probs.double()
