r"""ARPA files: n-gram models as text, which every toolkit reads.

    \data\                        how many n-grams each order has
    ngram 1=5
    ngram 2=3

    \1-grams:                     log10 p, the words, log10 of the back-off weight
    -0.7781513	the	-0.3010300
    ...
    \end\

A probability of 0 is written as -99. Words are separated by white space, so a space in
a token is written as its visible symbol, U+2420, and likewise the other ASCII white
space (newline: U+240A); reading turns them back.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from throughtime.errors import InvalidType, InvalidValue
from throughtime.models.ngram.files import replaced
from throughtime.models.ngram.tables import Floats, Ints, Level, spell

BEGIN, END, UNKNOWN = "<s>", "</s>", "<unk>"
ZERO = -99.0
LN_10 = float(np.log(10))
BLOCK = 1 << 15
# Where ARPA readers split, and what stands for it.
SPACES = {code: 0x2400 + code for code in b"\0\t\n\v\f\r "}

Progress = Callable[[int, int], None]


def write_arpa(
    path: str | Path,
    levels: Sequence[Level],
    tokens: Sequence[str],
    *,
    boundary: int | None = None,
    progress: Progress | None = None,
) -> None:
    r"""Write a model as an ARPA file, packed if the name ends in ``.gz`` or ``.zst``.

    ``<unk>``, and for a continuous text ``<s>`` and ``</s>``, are added with
    probability 0 where the vocabulary lacks them: other programs expect them.

    Args:
        path: the file, replaced if it is there.
        levels: orders 1..n.
        tokens: the text of each token, (V,).
        boundary: the token around independent lines: written ``<s>`` where it begins
            an n-gram and ``</s>`` where it ends one. None: one continuous text, every
            token is an ordinary word.
        progress: called with the n-grams written so far, and how many there are.

    Raises:
        InvalidType: a token is no str.
        InvalidValue: not V different tokens, or a name is taken; ``boundary`` outside
            [0, V) or inside an n-gram; a value that is no log probability.
        DataError: the file cannot be written.

    >>> import tempfile
    >>> one = Level(np.arange(2), np.array([0, 2]), np.log([0.75, 0.25]))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_arpa(f"{folder}/a.arpa", [one], ["to", "be"])
    ...     Path(f"{folder}/a.arpa").read_text().split("\n")[7:9]
    ['-0.1249387\tto', '-0.6020600\tbe']
    """
    path = Path(path)
    inner = _spellings(tokens, len(levels[0].words), boundary)
    # How a token is written where it begins an n-gram of two or more, and elsewhere.
    first, other = list(inner), list(inner)
    if boundary is not None:
        first[boundary], other[boundary] = BEGIN, END
    extra = [name for name in (UNKNOWN, END) if name not in other]
    # Where lines are independent, <s> is a second name of the boundary.
    extra += [BEGIN] if BEGIN not in other else []
    counts = [len(level.words) for level in levels]
    counts[0] += len(extra)
    done, total = len(extra), sum(counts)
    with replaced(path) as file:
        header = "".join(f"ngram {n}={count}\n" for n, count in enumerate(counts, 1))
        file.write(f"\\data\\\n{header}".encode())
        for n, level in enumerate(levels, start=1):
            file.write(f"\n\\{n}-grams:\n".encode())
            if n == 1:
                for name in extra:
                    backoff = ""
                    if name == BEGIN and boundary is not None:
                        own = slice(boundary, boundary + 1)
                        backoff = _backoffs(level, own, np.zeros(1, bool))[0]
                    file.write(f"{ZERO:g}\t{name}{backoff}\n".encode())
            for begin in range(0, len(level.words), BLOCK):
                part = slice(begin, min(begin + BLOCK, len(level.words)))
                names = [first if n > 1 else other, *[other] * (n - 1)]
                file.write(_lines(levels[:n], part, names, boundary).encode())
                done += part.stop - part.start
                if progress is not None:
                    progress(done, total)
        file.write(b"\n\\end\\\n")


def _spellings(
    tokens: Sequence[str], vocabulary_size: int, boundary: int | None
) -> list[str]:
    """How each token is written."""
    for token in tokens:
        if not isinstance(token, str):
            raise InvalidType(
                f"tokens should be texts, of type str, got: {type(token).__name__}"
            )
    names = [token.translate(SPACES) for token in tokens]
    if len(names) != vocabulary_size or len(set(names)) < len(names) or "" in names:
        raise InvalidValue(
            f"tokens must be {vocabulary_size} different texts, one for each token of "
            f"the model, got {len(names)}, {len(set(names))} different ones; give the "
            "tokens of its vocabulary"
        )
    if boundary is not None:
        if not 0 <= boundary < vocabulary_size:
            raise InvalidValue(
                f"boundary must be a token in [0, {vocabulary_size}), got {boundary}"
            )
        taken = {BEGIN, END} & {*names[:boundary], *names[boundary + 1 :]}
        if taken:
            raise InvalidValue(
                f"the boundary is written {BEGIN} and {END}, but the vocabulary has "
                f"{', '.join(sorted(taken))} as well; leave boundary out"
            )
    return names


def _lines(
    levels: Sequence[Level], part: slice, names: list[list[str]], boundary: int | None
) -> str:
    """Some n-grams of the last of the levels; ``names``: the spellings per place."""
    level = levels[-1]
    grams = spell(levels, np.arange(part.start, part.stop))
    _check_boundary(grams, boundary)
    ends = grams[:, -1] == (-1 if boundary is None else boundary)
    words = [
        [spelling[token] for token in grams[:, place].tolist()]
        for place, spelling in enumerate(names)
    ]
    # Rounding may leave a little more than probability 1.
    log_p = _log_10("log_p", level.log_p[part], 1e-6)
    log_p = np.minimum(log_p, 0.0).tolist()
    rows = zip(log_p, *words, _backoffs(level, part, ends), strict=True)
    form = "%.7f\t" + " ".join(["%s"] * len(names)) + "%s\n"
    return "".join([form % row for row in rows])


def _check_boundary(grams: Ints, boundary: int | None) -> None:
    if boundary is not None and (grams[:, 1:-1] == boundary).any():
        raise InvalidValue(
            "boundary is inside an n-gram, so lines were not counted one by one; "
            "write the model without boundary"
        )


def _log_10(name: str, values: Floats, most: float) -> Floats:
    values = np.asarray(values, dtype=np.float64) / LN_10
    # False for NaN too.
    if not (values <= most).all():
        raise InvalidValue(
            f"{name} of a level must be logarithms of finite probabilities or weights, "
            f"got up to {values.max()}; check the smoothing that made it"
        )
    # What is not 0 is not written as 0.
    return np.where(np.isneginf(values), ZERO, np.maximum(values, ZERO + 1e-3))


def _backoffs(level: Level, part: slice, ends: NDArray[np.bool_]) -> list[str]:
    """The last column; nothing where the weight is 1 or a line ends."""
    if level.log_backoff is None:
        return [""] * len(ends)
    most = float(np.finfo(np.float64).max)
    values = _log_10("log_backoff", level.log_backoff[part], most)
    values = np.where(ends, 0.0, values)
    return [f"\t{value:.7f}" if value else "" for value in values.tolist()]
