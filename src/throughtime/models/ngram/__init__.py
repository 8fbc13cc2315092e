"""Language models that count."""

from throughtime.models.ngram.arpa import write_arpa as write_arpa
from throughtime.models.ngram.arpa_reading import read_arpa as read_arpa
from throughtime.models.ngram.binary import load_levels as load_levels
from throughtime.models.ngram.binary import save_levels as save_levels
from throughtime.models.ngram.model import NGramLM as NGramLM
from throughtime.models.ngram.sentence_markers import join_markers as join_markers
from throughtime.models.ngram.smoothing import SMOOTHINGS as SMOOTHINGS
