"""What a user chooses about forecasts."""

from dataclasses import dataclass

from throughtime.tasks.option import option


@dataclass(frozen=True)
class ForecastOptions:
    """Tables of numbers over time, and what of them is to be forecast.

    Example: throughtime train forecast sales.csv --targets sales --horizon 7
    """

    targets: str | None = option(
        None, "Columns to forecast, as in 'sales,visits'; default: all of numbers."
    )
    inputs: str | None = option(
        None, "Further columns that are read, whose future is not known."
    )
    known: str | None = option(
        None, "Further columns that are read, whose future is known, as a plan is."
    )
    time: str | None = option(
        None,
        "Column of times; 'none': there is none; default: the first if it holds dates.",
    )
    time_format: str | None = option(
        None, "How times are written, as in '%d.%m.%Y'; default: as 2016-07-01 13:00."
    )
    series: str | None = option(
        None, "Column that tells several series in a file apart."
    )
    horizon: int | None = option(None, "Steps to forecast; default: one season.")
    look_back: int | None = option(
        None, "Steps that are read before; default: two seasons, or two horizons."
    )
    window_stride: int = option(1, "Steps from one window, and forecast, to the next.")
    period: int | None = option(
        None, "Steps of a season; default: a day, a week or a year, by the times."
    )
    calendar: bool = option(
        True, "Read time of the day, day of the week and of the year as well."
    )
    missing: str = option(
        "error", "A field without a value: error, or skip: a step without it."
    )
    parts: str | None = option(
        None,
        "Steps to train on, held out, and for the test, in this order: numbers, as in "
        "'8640,2880,2880', or shares, as in '0.7,0.1,0.2'.",
    )
    header: bool = option(True, "The first row holds the names of the columns.")
    delimiter: str | None = option(None, "Between fields; default: by the file's name.")
    encoding: str = option("utf-8", "Encoding of text files.")

    def __post_init__(self) -> None:
        from throughtime.checks import boolean, positive_int
        from throughtime.errors import DataError, unknown_name

        for name in ("horizon", "look_back", "period"):
            if getattr(self, name) is not None:
                positive_int(name, getattr(self, name))
        positive_int("window_stride", self.window_stride)
        boolean("calendar", self.calendar)
        boolean("header", self.header)
        if self.missing not in ("error", "skip"):
            raise unknown_name(
                "way with missing values", self.missing, ("error", "skip")
            )
        if self.parts is not None:
            self.part_sizes(1)
        roles: dict[str, str] = {}
        for role in ("targets", "inputs", "known", "time", "series"):
            for column in self.names(role):
                if column in roles:
                    raise DataError(
                        f"column {column!r} is in {roles[column]} and in {role}; "
                        "each column has one role"
                    )
                roles[column] = role

    def names(self, role: str) -> list[str]:
        """The columns of ``targets``, ``inputs``, ``known``, ``time`` or ``series``."""
        text = getattr(self, role)
        if text is None:
            return []
        if role in ("time", "series"):
            return [text]
        return [name.strip() for name in text.split(",") if name.strip()]

    def part_sizes(self, steps: int) -> list[int]:
        """Steps of each of the ``parts`` of a series that has so many.

        Raises:
            InvalidValue: not two or three positive numbers, or shares up to 1.
        """
        from throughtime.errors import InvalidValue

        try:
            sizes = [float(part) for part in (self.parts or "").split(",")]
        except ValueError:
            sizes = []
        shares = all(0 < size < 1 for size in sizes) and sum(sizes) < 1 + 1e-9
        whole = all(size >= 1 and size % 1 == 0 for size in sizes)
        if len(sizes) not in (2, 3) or not (shares or whole):
            raise InvalidValue(
                "parts must be two or three numbers of steps, as in '8640,2880,2880', "
                f"or shares, as in '0.7,0.1,0.2', got {self.parts!r}"
            )
        if whole:
            return [int(size) for size in sizes]
        # Borders are rounded, not sizes: these could add up to more than there is.
        ends = [round(sum(sizes[: i + 1]) * steps) for i in range(len(sizes))]
        return [end - start for start, end in zip([0, *ends], ends, strict=False)]
