"""Tokens to text while they come, one at a time."""

from collections.abc import Iterable, Iterator

from torch import Tensor

from throughtime.data import Vocabulary

# What bytes become that form no character yet.
_PARTIAL = "\ufffd"


def spell(
    vocabulary: Vocabulary, before: Tensor, tokens: Iterable[int]
) -> Iterator[str]:
    """The text that each token adds, such that all pieces together are the whole text.

    Subwords may be parts of a character; those wait until it is complete.

    Args:
        vocabulary: of the tokens.
        before: tokens (n,) that the text follows, at least one; not spelt.
        tokens: the text.
    """
    # As the space between two words belongs to neither, a token is spelt after the one
    # before it.
    waiting = [int(before[-1])]
    shown = len(vocabulary.decode(waiting))
    for token in tokens:
        waiting.append(token)
        text = vocabulary.decode(waiting)
        if text.endswith(_PARTIAL) and vocabulary.unit == "bpe":
            continue
        yield text[shown:]
        waiting = [token]
        shown = len(vocabulary.decode(waiting))
    rest = vocabulary.decode(waiting)[shown:]
    if rest:
        yield rest
