"""How sounds become sequences: what the user chooses."""

from dataclasses import dataclass

from throughtime.tasks.option import option


@dataclass(frozen=True)
class AudioOptions:
    """Options of sounds, for the options of a task to be derived from.

    Raises:
        InvalidType: an option has the wrong type.
        InvalidValue: it has a value that cannot be used.
    """

    features: str = option(
        "mfcc", "What a network reads of a sound every 10 ms: mfcc, log-mel or wave."
    )
    coefficients: int | None = option(
        None,
        "Numbers of each step; unset: mfcc 13, log-mel 40, wave the samples of 10 ms.",
    )
    deltas: bool = option(
        False, "Read also how they change, and how the change changes."
    )
    sample_rate: int | None = option(
        None, "Samples per second; unset: as the files are, which must all be alike."
    )

    def __post_init__(self) -> None:
        from throughtime.checks import boolean, positive_int
        from throughtime.data.audio import FEATURES
        from throughtime.errors import InvalidValue, unknown_name

        if self.features not in FEATURES:
            raise unknown_name("features", self.features, FEATURES)
        for name in ("coefficients", "sample_rate"):
            if getattr(self, name) is not None:
                positive_int(name, getattr(self, name))
        boolean("deltas", self.deltas)
        if self.deltas and self.features == "wave":
            raise InvalidValue(
                "deltas are changes of mfcc and log-mel; leave them out with wave"
            )
