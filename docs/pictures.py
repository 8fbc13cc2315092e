"""Draw the pictures of the pages: ``python docs/pictures.py``."""

from pathlib import Path

import torch

import throughtime as tt
from throughtime.plots import gradient_norm_against_lag, gradient_terms, to_svg

FOLDER = Path(__file__).parent / "pictures"
STEPS, UNITS = 60, 100


def main() -> None:
    """How far the gradient reaches in fresh layers of 100 units on random input."""
    torch.manual_seed(0)
    x = torch.randn(STEPS, 16, 10)
    cells = {
        "Elman, tanh": tt.cells.Elman(10, UNITS),
        "GRU": tt.cells.GRU(10, UNITS),
        "LSTM": tt.cells.LSTM(10, UNITS),
        "LSTM, forget bias 3": tt.cells.LSTM(10, UNITS, forget_bias=3.0),
        "IRNN": tt.cells.IRNN(10, UNITS),
    }
    flows = {
        name: tt.diagnostics.gradient_flow(
            tt.Recurrent(cell), x, lambda result: result[0][-1].sum()
        )["l0"]
        for name, cell in cells.items()
    }
    FOLDER.mkdir(exist_ok=True)
    for dark, name in ((False, "light"), (True, "dark")):
        figure = gradient_norm_against_lag(flows, dark=dark)
        path = FOLDER / f"gradient_reach_{name}.svg"
        path.write_text(to_svg(figure, dark=dark), encoding="utf-8")
    draw_terms()


def draw_terms() -> None:
    """The terms of the gradient of a fresh layer with a loss at every step."""
    torch.manual_seed(0)
    terms = tt.gradients.decompose(
        tt.RNN(3, 16),
        torch.randn(30, 4, 3),
        lambda result: result[0].square().sum((1, 2)),
    )
    for dark, name in ((False, "light"), (True, "dark")):
        figure = gradient_terms(terms, "weight_hh_l0", dark=dark)
        path = FOLDER / f"gradient_terms_{name}.svg"
        path.write_text(to_svg(figure, dark=dark), encoding="utf-8")


if __name__ == "__main__":
    main()
