r"""Counts of n-grams of a text that is larger than memory.

The text is cut into pieces that are counted in memory, one after the other, and their
tables merged on disk, order by order. When an order's turn comes, every piece knows
which numbers its n-grams of the order below have in the whole table. So it knows the
key of each of its own, (number of the first n-1 tokens) * V + last token, and has them
sorted. All pieces together are merged one range of keys at a time. In memory is one
piece, or one range.
"""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from throughtime.checks import parse_memory
from throughtime.models.ngram.counts import (
    Counts,
    Ints,
    count_positions,
    integers_up_to,
)

# What counting a piece takes for each token, and more for each order; what merging
# takes for each n-gram of a range. Measured.
BYTES_OF_TOKEN, BYTES_OF_ORDER, BYTES_OF_MERGED = 48, 16, 64
FIELDS = ("words", "starts", "counts", "suffix")


def count_ngrams_external(
    tokens: Ints,
    order: int,
    vocabulary_size: int,
    *,
    boundary: int | None = None,
    memory: str | int = "1GB",
    folder: str | Path,
    progress: Callable[[float], object] | None = None,
) -> list[Counts]:
    """The same tables as ``count_ngrams``, made on disk and memory-mapped.

    Args:
        tokens: the text (N,), every token in [0, V); may be memory-mapped.
        order: of the longest n-grams.
        vocabulary_size: V.
        boundary: the token that ends each independent line; None: one continuous text.
        memory: about as many bytes are used at once, for example "500MB"; some for
            every token of the vocabulary in any case.
        folder: for the tables, and on the way for a few times as much. Made if missing;
            tables of an earlier call are replaced.
        progress: called with the share of the work that is done, up to 1.

    Raises:
        InvalidType: ``memory`` is neither a text nor an int.
        InvalidValue: ``memory`` is no size in bytes.

    >>> with tempfile.TemporaryDirectory() as folder:
    ...     text = np.array([0, 1, 0, 1, 0, 2])
    ...     _, two = count_ngrams_external(text, 2, 3, memory="1kB", folder=folder)
    ...     two.words.tolist(), two.counts.tolist()
    ([1, 2, 0], [2, 1, 2])
    """
    size = parse_memory(memory)
    report = progress or (lambda share: None)
    total = len(tokens) + (boundary is not None)
    integers = np.dtype(integers_up_to(max(total, vocabulary_size)))
    step = max(1, size // (BYTES_OF_TOKEN + BYTES_OF_ORDER * order))
    Path(folder).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix="pieces-") as work:
        pieces: list[Path] = []
        for start in range(0, max(1, total), step):
            stop = min(start + step, total)
            # With the tokens of the n-grams that begin before the stop.
            last = min(stop + order - 1, total)
            tables = count_positions(
                _read_text(tokens, start, last, boundary),
                order,
                vocabulary_size,
                boundary=boundary,
                uncounted=last - stop,
            )
            pieces.append(Path(work) / str(start))
            pieces[-1].mkdir()
            for n, table in enumerate(tables, start=1):
                for field in FIELDS:
                    values = getattr(table, field).astype(integers, copy=False)
                    values.tofile(pieces[-1] / f"{field}-{n}")
            report(stop / max(1, total) / order)
        tables = [_tokens(pieces, integers, vocabulary_size)]
        if boundary is not None:
            # The boundary before the first line ends none.
            tables[0].counts[boundary] -= 1
        for n in range(2, order + 1):
            _find_keys(pieces, n, integers, vocabulary_size)
            files = [Path(folder) / f"{field}-{n}" for field in FIELDS]
            rows = size // BYTES_OF_MERGED
            contexts = len(tables[-1].words)
            _merge(pieces, n, integers, vocabulary_size, files, rows, contexts)
            tables.append(Counts(*(_mapped(file, integers) for file in files)))
            report(n / order)
    return tables


def _read_text(tokens: Ints, start: int, stop: int, boundary: int | None) -> Ints:
    """Part of the text as it is read: after one boundary, if there is one."""
    if boundary is None:
        return np.asarray(tokens[start:stop])
    part = np.asarray(tokens[max(0, start - 1) : max(0, stop - 1)])
    if start > 0:
        return part
    return np.concatenate([np.array([boundary], part.dtype), part])


def _tokens(
    pieces: Sequence[Path], integers: np.dtype[Any], vocabulary_size: int
) -> Counts:
    """The table of order 1, which is small. Its numbers are the same in all pieces."""
    words = np.arange(vocabulary_size, dtype=integers)
    counts = np.zeros_like(words)
    for piece in pieces:
        counts += _read(piece / "counts-1", integers)
        words.tofile(piece / "numbers-1")
    starts = np.array([0, vocabulary_size], integers)
    return Counts(words, starts, counts, np.zeros_like(words))


def _find_keys(
    pieces: Sequence[Path], n: int, integers: np.dtype[Any], vocabulary_size: int
) -> None:
    """Write the keys and the suffixes of each piece, in numbers of the whole table."""
    for piece in pieces:
        numbers = _read(piece / f"numbers-{n - 1}", integers)
        followers = np.diff(_read(piece / f"starts-{n}", integers))
        keys = np.repeat(numbers.astype(np.int64), followers)
        keys *= vocabulary_size
        keys += _read(piece / f"words-{n}", integers)
        keys.tofile(piece / f"keys-{n}")
        numbers[_read(piece / f"suffix-{n}", integers)].tofile(piece / f"suffix-{n}")


def _merge(
    pieces: Sequence[Path],
    n: int,
    integers: np.dtype[Any],
    vocabulary_size: int,
    files: Sequence[Path],
    rows: int,
    contexts: int,
) -> None:
    """Write the whole table of an order, and the numbers of each piece's n-grams in it.

    Args:
        pieces: their folders, with keys.
        n: the order.
        integers: of the files.
        vocabulary_size: V.
        files: where to write, as FIELDS.
        rows: how many n-grams to hold at once.
        contexts: n-grams of the order below.
    """
    for file in files:
        file.unlink(missing_ok=True)
    written = next_context = 0
    edges = _edges(pieces, n, rows)
    for low, high in zip(edges, edges[1:], strict=False):
        slices = list(zip(pieces, low, high, strict=True))
        found = [_read(p / f"keys-{n}", np.int64, a, b) for p, a, b in slices]
        keys = np.concatenate(found)
        keys.sort()
        keys = keys[np.diff(keys, prepend=-1) > 0]
        counts = np.zeros(len(keys), integers)
        suffix = np.zeros(len(keys), integers)
        for (piece, a, b), mine in zip(slices, found, strict=True):
            at = np.searchsorted(keys, mine)
            counts[at] += _read(piece / f"counts-{n}", integers, a, b)
            suffix[at] = _read(piece / f"suffix-{n}", integers, a, b)
            _append(piece / f"numbers-{n}", (written + at).astype(integers))
        first, words = np.divmod(keys, vocabulary_size)
        # Of all contexts up to the last one here.
        stop = int(first[-1]) + 1 if len(first) else next_context
        starts = written + np.searchsorted(first, np.arange(next_context, stop))
        for file, values in zip(files, (words, starts, counts, suffix), strict=True):
            _append(file, values.astype(integers))
        written, next_context = written + len(keys), stop
    # Contexts that nothing follows, and the end.
    _append(files[1], np.full(contexts + 1 - next_context, written, integers))


def _edges(pieces: Sequence[Path], n: int, rows: int) -> Ints:
    """Where each range begins in each piece, (ranges + 1, pieces).

    Every ``every``-th key of each piece is looked at, and every ``some``-th of those
    begins a range. So a range has at most ``every`` (``some`` + pieces) n-grams.
    """
    every = max(1, rows // (2 * len(pieces)))
    some = max(1, rows // (2 * every))
    samples = []
    for piece in pieces:
        samples.append(_read(piece / f"keys-{n}", np.int64)[::every])
    cuts = np.unique(np.sort(np.concatenate(samples))[some::some])
    columns = []
    for piece in pieces:
        keys = _read(piece / f"keys-{n}", np.int64)
        columns.append([0, *np.searchsorted(keys, cuts), len(keys)])
    return np.array(columns).T


def _read(file: Path, dtype: Any, start: int = 0, stop: int | None = None) -> Ints:
    count = -1 if stop is None else stop - start
    offset = start * np.dtype(dtype).itemsize
    return np.fromfile(file, dtype, count, offset=offset)


def _append(file: Path, values: Ints) -> None:
    with file.open("ab") as open_file:
        values.tofile(open_file)


def _mapped(file: Path, dtype: np.dtype[Any]) -> Ints:
    """A file as an array. An empty one cannot be mapped."""
    if file.stat().st_size == 0:
        return np.empty(0, dtype)
    return np.memmap(file, dtype, mode="r")
