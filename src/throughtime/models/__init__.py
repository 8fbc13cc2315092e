"""Models that put recurrent layers and others to work."""

from throughtime.models.beam import Hypothesis as Hypothesis
from throughtime.models.beam import beam_search as beam_search
from throughtime.models.cache import UnigramCache as UnigramCache
from throughtime.models.completion import Suggestion as Suggestion
from throughtime.models.completion import complete as complete
from throughtime.models.dynamic import dynamic_evaluation as dynamic_evaluation
from throughtime.models.fixed_window import FixedWindowConfig as FixedWindowConfig
from throughtime.models.fixed_window import FixedWindowLM as FixedWindowLM
from throughtime.models.language_model import LanguageModel as LanguageModel
from throughtime.models.language_model import (
    LanguageModelConfig as LanguageModelConfig,
)
from throughtime.models.mixture import Mixture as Mixture
from throughtime.models.mixture import fit_weights as fit_weights
from throughtime.models.neural_cache import NeuralCache as NeuralCache
from throughtime.models.ngram import NGramLM as NGramLM
from throughtime.models.ngram import read_arpa as read_arpa
from throughtime.models.ngram import write_arpa as write_arpa
from throughtime.models.protocol import LanguageModelProtocol as LanguageModelProtocol
from throughtime.models.sampling import Decoding as Decoding
from throughtime.models.sampling import generate as generate
from throughtime.models.sampling import sample as sample
from throughtime.models.sampling import stream as stream
from throughtime.models.scoring import Score as Score
from throughtime.models.scoring import evaluate as evaluate
from throughtime.models.scoring import log_prob as log_prob
from throughtime.models.scoring import next_distribution as next_distribution
from throughtime.models.scoring import summarise as summarise
from throughtime.models.scoring import token_log_probs as token_log_probs
