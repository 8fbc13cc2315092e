"""What a tagger reads at each step: words, numbers or pictures."""

from abc import abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from throughtime.errors import DataError, InvalidType
from throughtime.models.front_ends import ImageFrontEnd, VectorFrontEnd
from throughtime.models.network import NetworkConfig
from throughtime.models.tagger import TaggerConfig
from throughtime.models.word_characters import WordCharacterFrontEnd
from throughtime.tasks.inputs.base import Inputs
from throughtime.tasks.tag_options import TagOptions
from throughtime.tasks.tag_reading import Frames
from throughtime.tasks.task import RawExample

# Of a longer word its two ends are spelt.
LONGEST_WORD = 32


class StepInputs(Inputs):
    """Inputs whose steps can be counted beforehand."""

    @abstractmethod
    def features(self, example: RawExample) -> np.ndarray[Any, Any] | None:
        """Numbers (T, D) for a linear model, NaN for none; None: there are no such."""


class WordSteps(StepInputs):
    """Words, with their characters.

    Args:
        words: the vocabulary, from index 1 on; 0 is the unknown word.
        characters: from index 2 on; 1 is the unknown character and 0 none.
        lowercase: words are looked up in lower case.
    """

    kind = "words"

    def __init__(
        self, words: Sequence[str], characters: Sequence[str], lowercase: bool
    ) -> None:
        self.words, self.characters = list(words), list(characters)
        self.lowercase = lowercase
        self._word = {word: i for i, word in enumerate(self.words, start=1)}
        self._character = {c: i for i, c in enumerate(self.characters, start=2)}

    @classmethod
    def fit(cls, raw: Sequence[RawExample], options: TagOptions) -> Self:
        counts = Counter(word for example in raw for word in example.input if word)
        # Those of a single word are unknown, to learn something about unknown ones.
        letters = Counter(c for word in counts for c in set(word))
        characters = sorted(c for c, n in letters.items() if n > 1)
        if options.lowercase:
            lower: Counter[str] = Counter()
            for word, n in counts.items():
                lower[word.lower()] += n
            counts = lower
        kept = sorted(counts, key=lambda word: (-counts[word], word))
        kept = [word for word in kept if counts[word] >= options.min_frequency]
        return cls(kept[: options.vocabulary_size], characters, options.lowercase)

    def to_dict(self) -> dict[str, Any]:
        return {"words": self.words, "characters": self.characters}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], options: TagOptions) -> Self:
        return cls(values["words"], values["characters"], options.lowercase)

    def index(self, word: str) -> int:
        """Of a word in the vocabulary; 0: it is unknown."""
        return self._word.get(word.lower() if self.lowercase else word, 0)

    def encode(self, example: RawExample) -> dict[str, Tensor]:
        words: Sequence[str] = example.input
        spelt = [self._spelt(word) for word in words]
        characters = torch.zeros(
            len(words), max(map(len, spelt), default=0), dtype=torch.long
        )
        for t, letters in enumerate(spelt):
            characters[t, : len(letters)] = torch.tensor(letters, dtype=torch.long)
        indices = [self.index(word) for word in words]
        encoded = {
            "inputs": torch.tensor(indices, dtype=torch.long),
            "characters": characters,
        }
        if not all(words):
            encoded["inputs_present"] = torch.tensor([bool(word) for word in words])
        return encoded

    def _spelt(self, word: str) -> list[int]:
        if len(word) > LONGEST_WORD:
            half = LONGEST_WORD // 2
            word = word[:half] + word[-half:]
        return [self._character.get(c, 1) for c in word]

    def front_end(self, config: NetworkConfig) -> nn.Module:
        if not isinstance(config, TaggerConfig):
            raise InvalidType("words are read by a tagger; give a TaggerConfig")
        return WordCharacterFrontEnd(
            len(self.words) + 1,
            len(self.characters) + 2,
            config.embedded,
            character_size=config.character_size,
            word_dropout=config.word_dropout,
        )

    def describe(self) -> str:
        return f"{len(self.words):,} words, {len(self.characters)} characters"

    def features(self, example: RawExample) -> None:
        """Words are no numbers."""


class NumberSteps(StepInputs):
    """Rows of numbers; a step that lacks one of them has no input.

    Args:
        mean: of each feature in training.
        std: of each feature.
    """

    kind = "numbers"

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        self.mean, self.std = list(mean), list(std)

    @classmethod
    def fit(cls, raw: Sequence[RawExample], options: TagOptions) -> Self:
        del options
        steps = np.concatenate([example.input for example in raw]).astype(np.float64)
        steps = steps[~np.isnan(steps).any(1)]
        if not len(steps):
            raise DataError(
                f"{raw[0].where}: no step of the training data has all its numbers"
            )
        return cls(steps.mean(0).tolist(), steps.std(0).tolist())

    def to_dict(self) -> dict[str, Any]:
        return {"mean": self.mean, "std": self.std}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], options: TagOptions) -> Self:
        del options
        return cls(values["mean"], values["std"])

    def encode(self, example: RawExample) -> dict[str, Tensor]:
        numbers = torch.as_tensor(example.input)
        if numbers.size(1) != len(self.mean):
            raise DataError(
                f"{example.where}: {numbers.size(1)} numbers a step, the training data "
                f"had {len(self.mean)}"
            )
        present = ~numbers.isnan().any(1)
        encoded = {"inputs": numbers.nan_to_num()}
        return encoded if present.all() else encoded | {"inputs_present": present}

    def front_end(self, config: NetworkConfig) -> nn.Module:
        del config
        return VectorFrontEnd(len(self.mean), self.mean, self.std)

    def describe(self) -> str:
        return f"{len(self.mean)} numbers a step"

    def features(self, example: RawExample) -> np.ndarray[Any, Any]:
        scale = np.where(np.array(self.std) > 0, self.std, 1.0)
        return (np.asarray(example.input) - np.array(self.mean)) / scale


class PictureSteps(StepInputs):
    """Frames of videos.

    Args:
        shape: channels, height and width.
    """

    kind = "pictures"

    def __init__(self, shape: Sequence[int]) -> None:
        self.shape = (int(shape[0]), int(shape[1]), int(shape[2]))

    @classmethod
    def fit(cls, raw: Sequence[RawExample], options: TagOptions) -> Self:
        del options
        return cls(raw[0].input.pictures.shape[1:])

    def to_dict(self) -> dict[str, Any]:
        return {"shape": list(self.shape)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], options: TagOptions) -> Self:
        del options
        return cls(values["shape"])

    def encode(self, example: RawExample) -> dict[str, Tensor]:
        frames: Frames = example.input
        encoded = {"inputs": torch.from_numpy(frames.pictures)}
        if not frames.present.all():
            encoded["inputs_present"] = torch.from_numpy(frames.present)
        return encoded

    def front_end(self, config: NetworkConfig) -> nn.Module:
        return ImageFrontEnd(*self.shape, features=config.embedded)

    def describe(self) -> str:
        return f"pictures of {self.shape[1]} x {self.shape[2]}"

    def features(self, example: RawExample) -> np.ndarray[Any, Any]:
        frames: Frames = example.input
        pixels = frames.pictures.reshape(len(frames), -1) / 255
        pixels[~frames.present] = np.nan
        return pixels


KINDS: dict[str, type[StepInputs]] = {
    inputs.kind: inputs for inputs in (WordSteps, NumberSteps, PictureSteps)
}
