"""BLEU against several texts, and single texts that do for everything."""

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import islice

# Of how many typical texts the best is looked for, and on how many inputs.
CANDIDATES = 20
INPUTS = 200
ORDER = 4


def bleu_figures(
    answers: Sequence[str],
    references: Sequence[Sequence[str]],
    spaced: Callable[[str], str] = str,
) -> dict[str, float]:
    """BLEU-4 and BLEU-1 of a set against all references, words as they are spaced.

    Papineni, Roukos, Ward and Zhu, https://aclanthology.org/P02-1040, by sacrebleu.

    Args:
        answers: one text each.
        references: the texts that each may be like.
        spaced: puts spaces around what is counted.

    >>> bleu_figures(["a dog runs"], [["a dog sits", "he runs"]])["BLEU-1"]
    100.0
    """
    from sacrebleu.metrics.bleu import BLEU

    if not answers:
        return {}
    most = max(len(texts) for texts in references)
    # One list for each number of a reference, and None where one has no more.
    streams = [
        [spaced(texts[i]) if i < len(texts) else None for texts in references]
        for i in range(most)
    ]
    written = [spaced(answer) for answer in answers]
    figures: dict[str, float] = {}
    for order in (ORDER, 1):
        bleu = BLEU(max_ngram_order=order, tokenize="none", force=True)
        found = bleu.corpus_score(written, streams)  # pyright: ignore[reportArgumentType]
        figures[f"BLEU-{order}"] = round(found.score, 10)
    return figures


def most_frequent(references: Sequence[Sequence[str]]) -> str:
    """The text that occurs most often, among equals the first."""
    return Counter(text for texts in references for text in texts).most_common(1)[0][0]


def best_constant(
    references: Sequence[Sequence[str]], spaced: Callable[[str], str] = str
) -> str:
    """Of the most typical texts the one whose BLEU-4 for all inputs is best.

    A text is typical if its words, pairs and so on are in many others. What is looked
    at are the first inputs, 200 at most.
    """
    shown = references[:INPUTS]
    texts = list(dict.fromkeys(text for texts in shown for text in texts))
    among = Counter(
        gram for texts in shown for text in texts for gram in _grams(spaced(text))
    )

    def typical(text: str) -> float:
        grams = _grams(spaced(text))
        return sum(among[gram] for gram in grams) / (len(grams) + ORDER)

    candidates = sorted(texts, key=typical, reverse=True)[:CANDIDATES]
    return max(
        candidates,
        key=lambda text: bleu_figures([text] * len(shown), shown, spaced)["BLEU-4"],
    )


def _grams(text: str) -> set[tuple[str, ...]]:
    words = text.split()
    return {
        gram
        for n in range(1, ORDER + 1)
        for gram in zip(*(islice(words, i, None) for i in range(n)), strict=False)
    }
