"""Words read twice: as entries of a vocabulary, and letter by letter."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from throughtime.cells import LSTM
from throughtime.checks import positive_int, probability
from throughtime.data.examples import Batch
from throughtime.layers import Recurrent
from throughtime.models.front_ends import present_steps


class WordCharacterFrontEnd(nn.Module):
    """[embedding of the word; what an LSTM makes of its characters], both directions.

    The characters tell about words that are not in the vocabulary, and about capitals
    and endings (Ling et al., https://aclanthology.org/D15-1176; Lample et al.,
    https://aclanthology.org/N16-1030). Each different word of a batch is spelt once.

    A batch holds ``inputs``, words (T, B); ``characters``, (T, B, C), from 1 on, with 0
    behind the last of a word; ``inputs_lengths``, and where steps lack a word
    ``inputs_present``.

    Args:
        vocabulary_size: V, words; word 0 is the unknown one.
        alphabet_size: characters, with 0 for none.
        embedding_size: E, of a word.
        character_size: H of each direction; 0: words are not spelt.
        character_embedding_size: of a character.
        word_dropout: share of the words that training replaces by the unknown one.

    Raises:
        InvalidType: a size is no int.
        InvalidValue: a size is not positive, or ``word_dropout`` outside [0, 1].

    >>> front_end = WordCharacterFrontEnd(9, 5, 8, character_size=3)
    >>> characters = torch.tensor([[[1, 4, 0]], [[2, 0, 0]]])
    >>> batch = {"inputs": torch.tensor([[7], [0]]), "characters": characters}
    >>> batch["inputs_lengths"] = torch.tensor([2])
    >>> front_end(batch).shape
    torch.Size([2, 1, 14])
    """

    def __init__(
        self,
        vocabulary_size: int,
        alphabet_size: int,
        embedding_size: int,
        *,
        character_size: int = 50,
        character_embedding_size: int = 25,
        word_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.words = nn.Embedding(
            positive_int("vocabulary_size", vocabulary_size),
            positive_int("embedding_size", embedding_size),
        )
        self.word_dropout = probability("word_dropout", word_dropout)
        self.output_size = embedding_size
        self.characters = self.spelling = None
        if character_size == 0:
            return
        positive_int("character_embedding_size", character_embedding_size)
        self.characters = nn.Embedding(
            positive_int("alphabet_size", alphabet_size), character_embedding_size
        )
        cell = LSTM(
            character_embedding_size, positive_int("character_size", character_size)
        )
        self.spelling = Recurrent(cell, bidirectional=True)
        self.output_size += self.spelling.output_size

    def forward(self, batch: Batch) -> Tensor:
        """Features of each word, (T, B, ``output_size``), 0 where there is none."""
        words, present = batch["inputs"], present_steps(batch)
        if self.training and self.word_dropout:
            dropped = torch.rand(words.shape, device=words.device) < self.word_dropout
            words = words.masked_fill(dropped, 0)
        features = self.words(words)
        if self.spelling is not None:
            features = torch.cat([features, self._spelt(batch["characters"])], -1)
        return features * present.unsqueeze(-1)

    def _spelt(self, characters: Tensor) -> Tensor:
        """The last states of both directions over the characters, (T, B, 2 H)."""
        assert self.characters is not None
        assert self.spelling is not None
        if not characters.numel():
            size = self.spelling.output_size
            return self.characters.weight.new_zeros((*characters.shape[:2], size))
        different, place = characters.flatten(0, 1).unique(dim=0, return_inverse=True)
        lengths = (different != 0).sum(-1)
        embedded = self.characters(different.t())
        _, final = self.spelling(embedded, lengths=lengths)
        spelt = torch.cat([state.h for state in final], -1)
        return F.embedding(place, spelt).view(*characters.shape[:2], -1)
