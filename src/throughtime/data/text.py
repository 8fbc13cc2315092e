"""A text that is read in blocks as often as needed: it may be larger than memory."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from throughtime.data.files import read_blocks, text_files
from throughtime.data.split import split_position
from throughtime.errors import DataError

# Characters of a text that is held in memory. A larger one is read from its files each
# time.
LARGE = 50_000_000


class Text:
    r"""The text of some files, or a part of it: its blocks can be gone through again.

    Args:
        files: see ``read_blocks``; none for ``text``.
        text: the text itself, instead of files.
        large: a text of more characters than that is not held in memory.
        seen: is called with the number of characters counted so far.

    Attributes:
        length: its characters.
        is_large: whether it is longer than ``large``.

    Raises:
        DataError: a file cannot be used.

    >>> text = Text(text="to be\nor not\nto be\n")
    >>> train, held_out = text.split(0.3, unit="word")
    >>> "".join(held_out), held_out.length
    ('to be\n', 6)
    """

    def __init__(
        self,
        files: Sequence[str | Path] = (),
        *,
        text: str | None = None,
        large: int | None = None,
        seen: Callable[[int], object] | None = None,
    ) -> None:
        self._large = LARGE if large is None else large
        self._start, self.length = 0, 0
        # A folder is looked through once, so that every time reads the same files.
        paths = text_files(files) if text is None else []
        kept: list[str] | None = []
        for block in [text] if text is not None else read_blocks(paths):
            self.length += len(block)
            if kept is not None:
                kept.append(block)
            if text is None and self.length > self._large:
                kept = None
            if seen is not None:
                seen(self.length)
        self._read: Callable[[], Iterable[str]]
        if kept is None:
            self._read = lambda: read_blocks(paths)
        else:
            blocks = kept
            self._read = lambda: blocks

    @property
    def is_large(self) -> bool:
        """Whether it is longer than ``large``."""
        return self.length > self._large

    def __iter__(self) -> Iterator[str]:
        position, stop = 0, self._start + self.length
        for block in self._read():
            part = block[max(self._start - position, 0) : stop - position]
            position += len(block)
            if part:
                yield part
            if position >= stop:
                return
        if position < stop:
            raise DataError(
                f"the text has become shorter while it was read: {position} characters "
                f"instead of {stop}; leave its files alone until it is done"
            )

    def part(self, start: int, stop: int) -> "Text":
        """The characters ``start`` to ``stop``, without the last."""
        part = object.__new__(Text)
        part.__dict__.update(self.__dict__)
        part._start, part.length = self._start + start, stop - start
        return part

    def split(
        self, fraction: float = 0.1, *, unit: str = "char"
    ) -> tuple["Text", "Text"]:
        """The same two parts as ``data.split`` makes.

        Raises:
            DataError: a part would be empty.
            InvalidType: ``fraction`` is no number.
            InvalidValue: ``fraction`` outside (0, 1), or an unknown unit.
        """
        cut = split_position(self, self.length, fraction, unit=unit)
        return self.part(0, cut), self.part(cut, self.length)
