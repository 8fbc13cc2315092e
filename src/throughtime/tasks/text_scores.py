"""How close texts come to those that people wrote: BLEU, chrF and exact matches.

BLEU: Papineni et al., 2002, https://aclanthology.org/P02-1040. chrF: Popović, 2015,
https://aclanthology.org/W15-3049. Both by sacrebleu (Post, arXiv 1804.08771).
"""

from collections.abc import Sequence
from typing import Any

from throughtime.errors import DataError, InvalidValue, unknown_name

# BLEU counts runs of up to so many words, and is 0 where there are none.
FEWEST_WORDS = 4
TOKENISERS = ("13a", "none", "char", "intl", "zh")


def bleu_name(tokenise: str) -> str:
    """What BLEU is called, so that it says how texts were cut into words.

    >>> bleu_name("none"), bleu_name("13a")
    ('BLEU (as tokenised)', 'BLEU (13a)')
    """
    return f"BLEU ({'as tokenised' if tokenise == 'none' else tokenise})"


def text_scores(
    answers: Sequence[str],
    references: Sequence[Sequence[str]],
    *,
    tokenise: str = "13a",
    lowercase: bool = False,
) -> dict[str, float]:
    """BLEU and chrF of a whole set, and the share of exact answers, in percent.

    BLEU is left out where no reference has four words, as in transliteration: it would
    be 0 whatever the answers are.

    Args:
        answers: one text each.
        references: for each answer the texts that are right, one at least.
        tokenise: how BLEU cuts texts into words; ``none``: at spaces alone.
        lowercase: compare small letters.

    Raises:
        DataError: there are no answers.
        InvalidValue: an unknown way to tokenise, or numbers of answers and references
            that differ.

    >>> scores = text_scores(["so good it is"], [["so good it is", "very good"]])
    >>> scores["BLEU (13a)"], scores["exact %"]
    (100.00000000000004, 100.0)
    """
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF

    if tokenise not in TOKENISERS:
        raise unknown_name("way to tokenise", tokenise, TOKENISERS)
    if len(answers) != len(references):
        raise InvalidValue(
            f"answers and references should be as many, got {len(answers)} and "
            f"{len(references)}"
        )
    if not answers:
        raise DataError("there are no answers to compare; give some")
    most = max(len(right) for right in references)
    # sacrebleu takes one list for each number of a reference, and None where one has
    # no more.
    streams: Any = [
        [right[i] if i < len(right) else None for right in references]
        for i in range(most)
    ]
    bleu = BLEU(tokenize=tokenise, lowercase=lowercase, force=True)
    chrf = CHRF(lowercase=lowercase)
    fold = str.lower if lowercase else str
    exact = sum(
        fold(answer) in map(fold, right)
        for answer, right in zip(answers, references, strict=True)
    )
    scores = {
        "chrF": chrf.corpus_score(answers, streams).score,
        "exact %": 100 * exact / len(answers),
    }
    longest = max(len(text.split()) for right in references for text in right)
    if longest < FEWEST_WORDS and tokenise != "char":
        return scores
    return {bleu_name(tokenise): bleu.corpus_score(answers, streams).score, **scores}
