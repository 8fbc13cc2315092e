"""Models that put recurrent layers and others to work."""

from throughtime.models.beam import Hypothesis as Hypothesis
from throughtime.models.beam import beam_search as beam_search
from throughtime.models.language_model import LanguageModel as LanguageModel
from throughtime.models.language_model import (
    LanguageModelConfig as LanguageModelConfig,
)
from throughtime.models.ngram import NGramLM as NGramLM
from throughtime.models.protocol import LanguageModelProtocol as LanguageModelProtocol
from throughtime.models.sampling import generate as generate
from throughtime.models.scoring import Score as Score
from throughtime.models.scoring import evaluate as evaluate
from throughtime.models.scoring import log_prob as log_prob
from throughtime.models.scoring import next_distribution as next_distribution
