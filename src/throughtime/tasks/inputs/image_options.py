"""How pictures become sequences: what the user chooses."""

from dataclasses import dataclass

from throughtime.tasks.option import option

STEPS = ("rows", "columns", "pixels")


@dataclass(frozen=True)
class ImageOptions:
    """Options of pictures, for the options of a task to be derived from.

    Raises:
        InvalidType: an option has the wrong type.
        InvalidValue: it has a value that cannot be used.
    """

    steps: str = option(
        "rows", "What a network reads of a picture at a time: rows, columns or pixels."
    )
    permute: int | None = option(
        None, "Shuffle the pixels, in all pictures alike, by this seed."
    )
    height: int | None = option(
        None,
        "Pictures are made so high, in pixels; unset: as they are, or as width is.",
    )
    width: int | None = option(
        None,
        "Pictures are made so wide, in pixels; unset: as they are, or as height is.",
    )
    colour: bool = option(False, "Read the colours of pictures, not only grey.")

    def __post_init__(self) -> None:
        from throughtime.checks import boolean, positive_int
        from throughtime.errors import InvalidType, InvalidValue, unknown_name

        if self.steps not in STEPS:
            raise unknown_name("steps", self.steps, STEPS)
        if self.permute is not None:
            if not isinstance(self.permute, int) or isinstance(self.permute, bool):
                raise InvalidType(
                    f"permute should be a seed, an int, got {self.permute!r}"
                )
            if self.permute < 0:
                raise InvalidValue(f"permute must not be negative, got {self.permute}")
        for name in ("height", "width"):
            if getattr(self, name) is not None:
                positive_int(name, getattr(self, name))
        boolean("colour", self.colour)
