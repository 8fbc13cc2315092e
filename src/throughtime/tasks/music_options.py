"""What a user chooses of music."""

from dataclasses import dataclass

from throughtime.tasks.option import option


@dataclass(frozen=True)
class MusicOptions:
    """Which keys of a piano sound next: from piano rolls (JSON) or MIDI files.

    Example: throughtime train music chorales.json --epochs 50
    """

    step: str = option(
        "quarter",
        "Length of a step, of MIDI files that are read and of those that are written: "
        "quarter, 8th or 16th.",
    )
    tempo: float = option(
        100.0, "Quarter notes per minute of MIDI files that are written."
    )
    most_notes: int | None = option(
        None, "At most so many notes sound together in music that is made."
    )
    continuation: int = option(32, "Steps that predict adds to a piece.")

    def __post_init__(self) -> None:
        from throughtime.checks import number, positive_int
        from throughtime.data.midi import step_beats

        step_beats(self.step)
        number("tempo", self.tempo, minimum=4, maximum=1000)
        positive_int("continuation", self.continuation)
        if self.most_notes is not None:
            positive_int("most_notes", self.most_notes)
