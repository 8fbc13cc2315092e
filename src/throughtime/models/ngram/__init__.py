"""Language models that count."""

from throughtime.models.ngram.model import NGramLM as NGramLM
