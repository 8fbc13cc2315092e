"""Pieces of music as keys over time."""

from collections.abc import Iterator, Mapping, Sequence

from matplotlib.figure import Figure

from throughtime.plots.theme import colours, new_figure, styled

Steps = Sequence[Sequence[int] | None]


def piano_rolls(
    rolls: Mapping[str, Steps], *, begun: int = 0, dark: bool = False
) -> Figure:
    """Rolls below each other, on common axes; held notes are one bar.

    Args:
        rolls: by title, the MIDI pitches of each step; None: unknown.
        begun: steps before the line that is drawn in each; 0: no line.
        dark: for a dark page.
    """
    pitches = [p for roll in rolls.values() for step in roll for p in step or ()]
    low, high = min(pitches, default=60), max(pitches, default=72)
    with styled(dark):
        figure = new_figure(7.0, 0.7 + 1.9 * len(rolls))
        axes = figure.subplots(len(rolls), 1, sharex=True, sharey=True, squeeze=False)
        for index, (title, roll) in enumerate(rolls.items()):
            place = axes[index, 0]
            for pitch, bars in _by_pitch(roll):
                place.broken_barh(
                    bars,
                    (pitch - 0.45, 0.9),
                    facecolors=colours(dark)[index % len(colours(dark))],
                )
            if begun:
                place.axvline(begun, color=colours(dark)[-1], linestyle="--")
            place.set_title(title, fontsize=11, loc="left")
            place.set_xlim(0, max(map(len, rolls.values()), default=0) or 1)
            place.set_ylim(low - 1, high + 1)
            place.set_ylabel("key")
            # Octaves: every C, middle C in the midst of a piano being C4.
            octaves = range(12 * (-(-low // 12)), high + 1, 12)
            place.set_yticks(octaves, [f"C{p // 12 - 1}" for p in octaves])
        axes[-1, 0].set_xlabel("step")
    return figure


def _by_pitch(roll: Steps) -> Iterator[tuple[int, list[tuple[int, int]]]]:
    """Each pitch with first step and number of steps of its held notes."""
    for pitch in sorted({p for step in roll for p in step or ()}):
        bars: list[tuple[int, int]] = []
        for index, step in enumerate(roll):
            if pitch not in (step or ()):
                continue
            if bars and sum(bars[-1]) == index:
                bars[-1] = (bars[-1][0], bars[-1][1] + 1)
            else:
                bars.append((index, 1))
        yield pitch, bars
