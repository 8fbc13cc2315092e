"""The word language model of pytorch/examples, from torch.nn and from throughtime."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from throughtime.models import LanguageModel, LanguageModelConfig
from throughtime.training import TrainingConfig, train

STEPS, STREAMS, LAYERS, MAX_NORM, RATE = 35, 20, 2, 0.25, 20.0


class Plain(nn.Module):
    """The same model from the parts of torch.nn."""

    def __init__(self, vocabulary: int, size: int, dropout: float) -> None:
        super().__init__()
        self.drop = nn.Dropout(dropout)
        self.encoder = nn.Embedding(vocabulary, size)
        self.rnn = nn.LSTM(size, size, LAYERS, dropout=dropout)
        self.decoder = nn.Linear(size, vocabulary)
        self.decoder.weight = self.encoder.weight
        nn.init.uniform_(self.encoder.weight, -0.1, 0.1)
        nn.init.zeros_(self.decoder.bias)

    def forward(self, tokens: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        h, state = self.rnn(self.drop(self.encoder(tokens)), state)
        return self.decoder(self.drop(h)), state


def pair(vocabulary: int, size: int, dropout: float) -> tuple[Plain, LanguageModel]:
    """Both models, with equal weights."""
    plain = Plain(vocabulary, size, dropout)
    config = LanguageModelConfig(
        cell="lstm", hidden_size=size, num_layers=LAYERS, tied=True, dropout=dropout
    )
    ours = LanguageModel(vocabulary, config)
    names = {"encoder.weight": "embedding_weight", "decoder.bias": "output_bias"}
    weights = {
        names.get(name, name.replace("rnn.", "recurrent.")): value
        for name, value in plain.state_dict().items()
        if name != "decoder.weight"
    }
    ours.load_state_dict(weights)
    return plain, ours


def plain_losses(
    model: Plain,
    inputs: Tensor,
    targets: Tensor,
    rate: float = RATE,
    clip: Callable[..., Any] = nn.utils.clip_grad_norm_,
) -> Iterator[float]:
    """One update after the other, as in the example."""
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    model.train()
    state = None
    for start in range(0, len(inputs), STEPS):
        if state is not None:
            state = tuple(part.detach() for part in state)
        optimizer.zero_grad()
        logits, state = model(inputs[start : start + STEPS], state)
        flat = targets[start : start + STEPS].reshape(-1)
        loss = F.cross_entropy(logits.flatten(0, 1), flat)
        loss.backward()
        clip(model.parameters(), MAX_NORM)
        optimizer.step()
        yield loss.item()


def our_losses(
    model: nn.Module, inputs: Tensor, targets: Tensor, rate: float = RATE
) -> Iterator[float]:
    config = TrainingConfig(
        tau=STEPS,
        batch_size=STREAMS,
        epochs=1,
        optimizer="sgd",
        learning_rate=rate,
        max_norm=MAX_NORM,
        checkpoint_every=10**9,
    )
    for record in train(model, (inputs, targets), config):
        yield record.loss  # pyright: ignore[reportAttributeAccessIssue]
