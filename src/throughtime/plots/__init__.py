"""Draw results; each function takes results and returns a figure."""

from throughtime.plots.attention import attention_map as attention_map
from throughtime.plots.bars import Bar as Bar
from throughtime.plots.bars import bars as bars
from throughtime.plots.comparison import Measured as Measured
from throughtime.plots.comparison import gradient_reach as gradient_reach
from throughtime.plots.comparison import quality_against_speed as quality_against_speed
from throughtime.plots.curves import training_curves as training_curves
from throughtime.plots.decomposition import gradient_terms as gradient_terms
from throughtime.plots.forecast import ForecastPanel as ForecastPanel
from throughtime.plots.forecast import error_by_step as error_by_step
from throughtime.plots.forecast import forecasts as forecasts
from throughtime.plots.gradient_flow import (
    gradient_norm_against_lag as gradient_norm_against_lag,
)
from throughtime.plots.piano_roll import piano_rolls as piano_rolls
from throughtime.plots.pictures import captioned_pictures as captioned_pictures
from throughtime.plots.spectrum import eigenvalues as eigenvalues
from throughtime.plots.symbols import symbol_probabilities as symbol_probabilities
from throughtime.plots.theme import to_svg as to_svg
