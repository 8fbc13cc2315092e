"""Models that put recurrent layers and others to work."""

from throughtime.models.language_model import LanguageModel as LanguageModel
from throughtime.models.language_model import (
    LanguageModelConfig as LanguageModelConfig,
)
