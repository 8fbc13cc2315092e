"""Models that put recurrent layers and others to work."""

from throughtime.models.attention import Attention as Attention
from throughtime.models.beam import Hypothesis as Hypothesis
from throughtime.models.beam import beam_search as beam_search
from throughtime.models.cache import UnigramCache as UnigramCache
from throughtime.models.captioner import Captioner as Captioner
from throughtime.models.captioner import CaptionerConfig as CaptionerConfig
from throughtime.models.classifier import Classifier as Classifier
from throughtime.models.classifier import ClassifierConfig as ClassifierConfig
from throughtime.models.completion import Suggestion as Suggestion
from throughtime.models.completion import complete as complete
from throughtime.models.crf import CRF as CRF
from throughtime.models.ctc import beam_readings as beam_readings
from throughtime.models.ctc import ctc_loss as ctc_loss
from throughtime.models.ctc import greedy_reading as greedy_reading
from throughtime.models.dynamic import dynamic_evaluation as dynamic_evaluation
from throughtime.models.encoder_decoder import EncoderDecoder as EncoderDecoder
from throughtime.models.encoder_decoder_config import (
    EncoderDecoderConfig as EncoderDecoderConfig,
)
from throughtime.models.fixed_window import FixedWindowConfig as FixedWindowConfig
from throughtime.models.fixed_window import FixedWindowLM as FixedWindowLM
from throughtime.models.forecaster import Forecaster as Forecaster
from throughtime.models.forecaster import ForecasterConfig as ForecasterConfig
from throughtime.models.front_ends import ImageFrontEnd as ImageFrontEnd
from throughtime.models.front_ends import TokenFrontEnd as TokenFrontEnd
from throughtime.models.front_ends import VectorFrontEnd as VectorFrontEnd
from throughtime.models.language_model import LanguageModel as LanguageModel
from throughtime.models.language_model import (
    LanguageModelConfig as LanguageModelConfig,
)
from throughtime.models.mixture import Mixture as Mixture
from throughtime.models.mixture import fit_weights as fit_weights
from throughtime.models.naive_bayes import NaiveBayes as NaiveBayes
from throughtime.models.network import Network as Network
from throughtime.models.network import NetworkConfig as NetworkConfig
from throughtime.models.neural_cache import NeuralCache as NeuralCache
from throughtime.models.ngram import NGramLM as NGramLM
from throughtime.models.ngram import read_arpa as read_arpa
from throughtime.models.ngram import write_arpa as write_arpa
from throughtime.models.piano_roll import PianoRollModel as PianoRollModel
from throughtime.models.picture_encoder import PictureEncoder as PictureEncoder
from throughtime.models.pooling import Pooling as Pooling
from throughtime.models.protocol import LanguageModelProtocol as LanguageModelProtocol
from throughtime.models.recogniser import Recogniser as Recogniser
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
from throughtime.models.tagger import Tagger as Tagger
from throughtime.models.tagger import TaggerConfig as TaggerConfig
from throughtime.models.word_characters import (
    WordCharacterFrontEnd as WordCharacterFrontEnd,
)
