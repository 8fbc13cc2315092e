"""Eigenvalues of recurrent matrices in the complex plane."""

from collections.abc import Mapping

from matplotlib.figure import Figure
from matplotlib.patches import Circle

from throughtime.init import Spectrum
from throughtime.plots.theme import add_legend, colours, new_figure, styled

_MARKERS = ("o", "s", "^", "D", "v", "x")


def eigenvalues(spectra: Mapping[str, Spectrum], *, dark: bool = False) -> Figure:
    """All eigenvalues, with the unit circle.

    Args:
        spectra: results of ``throughtime.init.spectrum`` by name.
        dark: for a dark page.
    """
    with styled(dark):
        figure = new_figure(7.0, 4.4)
        axes = figure.add_subplot(aspect="equal")
        palette = colours(dark)
        for index, (name, spectrum) in enumerate(spectra.items()):
            values = spectrum.eigenvalues
            axes.scatter(
                values.real.tolist(),
                values.imag.tolist(),
                s=10,
                alpha=0.7,
                marker=_MARKERS[index % len(_MARKERS)],
                color=palette[index % len(palette)],
                label=name,
            )
        axes.add_patch(Circle((0, 0), 1, fill=False, color="gray", linestyle="--"))
        reach = max([1.0, *(s.spectral_radius for s in spectra.values())]) * 1.1
        axes.set_xlim(-reach, reach)
        axes.set_ylim(-reach, reach)
        axes.set_xlabel("real part")
        axes.set_ylabel("imaginary part")
        add_legend(figure, loc="outside right upper", markerscale=2)
    return figure
