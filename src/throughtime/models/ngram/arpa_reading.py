"""Reading ARPA files; what they look like says ``arpa``."""

import re
import zlib
from collections.abc import Iterator
from itertools import islice
from operator import itemgetter
from pathlib import Path

import numpy as np

from throughtime.errors import DataError
from throughtime.models.ngram.arpa import LN_10, SPACES, ZERO, Progress
from throughtime.models.ngram.files import open_lines
from throughtime.models.ngram.tables import Floats, Ints, Level, find

# So few that their lists are gone before Python looks for cyclic garbage among them:
# half the time.
BLOCK = 512
_COUNT = re.compile(rb"ngram\s+(\d+)\s*=\s*(\d+)$")
_VISIBLE = {symbol: code for code, symbol in SPACES.items()}


def read_arpa(
    path: str | Path, *, progress: Progress | None = None
) -> tuple[list[str], list[Level]]:
    r"""Read an ARPA file, unpacked if its name ends in ``.gz`` or ``.zst``.

    What stands before the header is skipped. n-grams may be in any order.

    Args:
        path: the file.
        progress: called with the n-grams read so far, and how many there are.

    Returns:
        The vocabulary in the order of the file, ``<s>``, ``</s>`` and ``<unk>`` among
        it if the file has them, and orders 1..n.

    Raises:
        DataError: the file cannot be read or breaks the format; the text names the
            line.

    >>> import tempfile
    >>> text = "\\data\\\nngram 1=1\n\n\\1-grams:\n-1\tto\n\n\\end\\\n"
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(f"{folder}/a.arpa").write_text(text)
    ...     tokens, levels = read_arpa(f"{folder}/a.arpa")
    >>> tokens, levels[0].log_p / np.log(10)
    (['to'], array([-1.]))
    """
    path = Path(path)
    try:
        with open_lines(path) as file:
            return _Reader(path, iter(file), progress).model()
    # zstandard has an error class of its own, which is no OSError.
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read ({error})") from error
    except Exception as error:
        if type(error).__module__.partition(".")[0] != "zstandard":
            raise
        raise DataError(f"{path} cannot be read ({error})") from error


class _Reader:
    """One pass over the lines of a file; ``number`` is that of the last one read."""

    def __init__(
        self, path: Path, lines: Iterator[bytes], progress: Progress | None
    ) -> None:
        self.path, self.lines, self.progress = path, lines, progress
        self.number = self.done = self.total = 0
        self.index: dict[bytes, int] = {}
        self.levels: list[Level] = []

    def fault(self, text: str, number: int | None = None) -> DataError:
        number = self.number if number is None else number
        return DataError(f"{self.path}, line {number}: {text}")

    def filled(self) -> bytes | None:
        """The next line that is not blank, stripped; None at the end of the file."""
        for line in self.lines:
            self.number += 1
            line = line.strip()
            if line:
                return line
        return None

    def model(self) -> tuple[list[str], list[Level]]:
        line = self.filled()
        while line is not None and line != b"\\data\\":
            line = self.filled()
        if line is None:
            raise self.fault("no \\data\\ up to here, so this is no ARPA file")
        counts, line = self.counts()
        self.total = sum(counts)
        for order, count in enumerate(counts, start=1):
            self.expect(line, f"\\{order}-grams:", order - 1)
            self.levels.append(self.section(order, count, order == len(counts)))
            line = self.filled()
        self.expect(line, "\\end\\", len(counts))
        return self.tokens(), self.levels

    def counts(self) -> tuple[list[int], bytes | None]:
        """The counts of all orders, and the line behind them."""
        counts: list[int] = []
        while (line := self.filled()) is not None:
            match = _COUNT.match(line)
            if match is None:
                break
            order, count = map(int, match.groups())
            if order != len(counts) + 1:
                raise self.fault(
                    f"expected the count of order {len(counts) + 1}, got {_show(line)}"
                )
            counts.append(count)
        if not counts or counts[0] == 0:
            raise self.fault("\\data\\ announces no words (ngram 1=...)")
        return counts, line

    def expect(self, line: bytes | None, wanted: str, order: int) -> None:
        if line == wanted.encode():
            return
        if line is None:
            raise self.fault(f"the file ends without {wanted}; it is cut off")
        more = ""
        if order and not line.startswith(b"\\"):
            count = len(self.levels[order - 1].words)
            more = f" after the {count} {order}-grams that \\data\\ announces"
        raise self.fault(f"expected {wanted}{more}, got {_show(line)}")

    def section(self, order: int, count: int, highest: bool) -> Level:
        first = self.number + 1
        log_p, log_backoff = np.empty(count), np.empty(count)
        grams = np.empty((order, count), dtype=np.int64)
        at = 0
        while at < count:
            block = list(islice(self.lines, min(BLOCK, count - at)))
            rows = [line.split() for line in block]
            if not rows:
                raise self.fault(
                    f"the file ends after {at} of {count} {order}-grams; it is cut off"
                )
            part = slice(at, at + len(rows))
            try:
                self.parse(rows, order, log_p[part], log_backoff[part], grams[:, part])
            except (ValueError, KeyError, IndexError):
                # Some line is wrong: which, and why.
                for row in rows:
                    self.number += 1
                    self.check(row, order, at, count)
                    at += 1
                raise
            self.check_values(log_p[part], log_backoff[part], rows, highest)
            self.number += len(rows)
            at += len(rows)
            self.done += len(rows)
            if self.progress is not None and (at == count or at % (64 * BLOCK) == 0):
                self.progress(self.done, self.total)
        log_p[log_p <= ZERO] = -np.inf
        log_backoff[log_backoff <= ZERO] = -np.inf
        return self.sorted_level(
            grams, log_p * LN_10, None if highest else log_backoff * LN_10, first
        )

    def parse(
        self,
        rows: list[list[bytes]],
        order: int,
        log_p: Floats,
        log_backoff: Floats,
        grams: Ints,
    ) -> None:
        """Fill the arrays; any error means that some row is wrong."""
        if not {order + 1, order + 2}.issuperset(map(len, rows)):
            raise ValueError
        log_p[:] = list(map(float, map(itemgetter(0), rows)))
        log_backoff[:] = [
            float(row[-1]) if len(row) > order + 1 else 0.0 for row in rows
        ]
        if order == 1:
            known = len(self.index)
            names = map(itemgetter(1), rows)
            self.index.update(zip(names, range(known, known + len(rows)), strict=True))
            if len(self.index) < known + len(rows):
                # Back to what it was, so that the second place of the word is found.
                self.index = dict(islice(self.index.items(), known))
                raise ValueError
            grams[0] = np.arange(known, known + len(rows))
            return
        index = self.index
        for place in range(order):
            grams[place] = [index[row[place + 1]] for row in rows]

    def check(self, row: list[bytes], order: int, at: int, count: int) -> None:
        """Say what is wrong with a row, if anything is."""
        line = b" ".join(row)
        if not row or row[0].startswith(b"\\"):
            raise self.fault(
                f"{at} {order}-grams, but \\data\\ announces {count}; the file is "
                "damaged or was edited"
            )
        if not order + 1 <= len(row) <= order + 2:
            raise self.fault(
                f"expected a number, {order} word(s) and at most one more number, got "
                f"{_show(line)}"
            )
        for field in [row[0], *row[order + 1 :]]:
            try:
                float(field)
            except ValueError:
                raise self.fault(f"{_show(field)} is no number") from None
        if order == 1:
            if row[1] in self.index:
                raise self.fault(f"the word {_show(row[1])} is there twice")
            self.index[row[1]] = len(self.index)
        for word in row[1 : order + 1]:
            if word not in self.index:
                raise self.fault(f"the word {_show(word)} is not among the 1-grams")

    def check_values(
        self,
        log_p: Floats,
        log_backoff: Floats,
        rows: list[list[bytes]],
        highest: bool,
    ) -> None:
        # False for NaN too.
        wrong = np.flatnonzero(~(log_p <= 0))
        if len(wrong):
            raise self.fault(
                f"expected the log10 of a probability, got {_show(rows[wrong[0]][0])}",
                self.number + int(wrong[0]) + 1,
            )
        right = log_backoff == 0 if highest else log_backoff < np.inf
        wrong = np.flatnonzero(~right)
        if len(wrong):
            raise self.fault(
                f"the back-off weight {_show(rows[wrong[0]][-1])} "
                + ("has no use in the highest order" if highest else "is not finite"),
                self.number + int(wrong[0]) + 1,
            )

    def sorted_level(
        self, grams: Ints, log_p: Floats, log_backoff: Floats | None, first: int
    ) -> Level:
        """Number the n-grams as ``Level`` does; ``first``: the line of the first."""
        contexts = np.zeros(grams.shape[1], dtype=np.int64)
        for level, tokens in zip(self.levels, grams, strict=False):
            contexts = find(level.words, level.starts, contexts, tokens)
        lost = np.flatnonzero(contexts < 0)
        if len(lost):
            gram = self.spelled(grams[:, lost[0]])
            raise self.fault(
                f"{gram!r} is listed, but not its first {len(grams) - 1} words",
                first + int(lost[0]),
            )
        keys = contexts * len(self.index) + grams[-1]
        order = np.argsort(keys, kind="stable")
        twice = np.flatnonzero(np.diff(keys[order]) == 0)
        if len(twice):
            place = int(order[twice[0] + 1])
            gram = self.spelled(grams[:, place])
            raise self.fault(f"{gram!r} is there twice", first + place)
        below = len(self.levels[-1].words) if self.levels else 1
        starts = np.zeros(below + 1, dtype=np.int64)
        np.cumsum(np.bincount(contexts, minlength=below), out=starts[1:])
        return Level(
            grams[-1][order],
            starts,
            log_p[order],
            None if log_backoff is None else log_backoff[order],
        )

    def spelled(self, gram: Ints) -> str:
        names = list(self.index)
        return " ".join(_text(names[token]) for token in gram)

    def tokens(self) -> list[str]:
        try:
            return [word.decode().translate(_VISIBLE) for word in self.index]
        except UnicodeDecodeError as error:
            raise DataError(
                f"{self.path}: the word {_show(error.object)} is not UTF-8; convert "
                "the file"
            ) from error


def _text(line: bytes) -> str:
    return line.decode(errors="replace")


def _show(line: bytes) -> str:
    text = _text(line)
    return repr(text if len(text) <= 60 else text[:60] + "...")
