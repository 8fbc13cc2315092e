"""Eigenvalues of recurrent matrices in the complex plane."""

from collections.abc import Mapping

from matplotlib.figure import Figure
from matplotlib.patches import Circle

from throughtime.init import Spectrum
from throughtime.plots.theme import colours, new_figure, styled


def eigenvalues(spectra: Mapping[str, Spectrum], *, dark: bool = False) -> Figure:
    """The eigenvalues of each matrix in a panel of its own, with the unit circle.

    Args:
        spectra: results of ``throughtime.init.spectrum`` by name.
        dark: for a dark page.
    """
    full_rows = (
        n for n in (4, 3) if len(spectra) % n == 0
    )  # LSTM, GRU: layer by layer
    columns = next(full_rows, min(len(spectra), 4))
    rows = max(1, -(-len(spectra) // columns))
    with styled(dark):
        # Beside its square, a panel needs room for a title of two lines and its axis.
        figure = new_figure(7.6, 0.3 + rows * (min(3.6, 7.0 / columns) + 0.7))
        panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        reach = max([1.0, *(s.spectral_radius for s in spectra.values())]) * 1.1
        for axes in panels.flat[len(spectra) :]:
            axes.set_visible(False)
        for index, (name, spectrum) in enumerate(spectra.items()):
            axes = panels.flat[index]
            values = spectrum.eigenvalues
            circle = Circle(
                (0, 0), 1, fill=False, color=colours(dark)[1], linestyle="--"
            )
            axes.add_patch(circle).set_zorder(3)  # over the points
            axes.scatter(
                values.real.tolist(),
                values.imag.tolist(),
                s=8,
                alpha=0.7,
                color=colours(dark)[0],
            )
            axes.set_title(name.replace(" ", "\n"), fontsize=10)
            axes.set_aspect("equal")
            axes.set_xlim(-reach, reach)
            axes.set_ylim(-reach, reach)
            if index % columns == 0:
                axes.set_ylabel("imaginary part")
            if index + columns >= len(spectra):  # nothing below it
                axes.set_xlabel("real part")
                axes.xaxis.set_tick_params(labelbottom=True)
    return figure
