"""A model, data and a config that train within milliseconds."""

import math

import torch
from torch import nn

from throughtime.losses import cross_entropy
from throughtime.training import EventInfo, StepInfo, TrainingConfig, train


class Model(nn.Module):
    """Embedding, dropout, LSTM, output layer; its state is ``(h, c)``."""

    def __init__(self, size=8, dropout=0.0):
        super().__init__()
        self.embedding = nn.Embedding(6, size)
        self.dropout = nn.Dropout(dropout)
        self.rnn = nn.LSTM(size, size)
        self.output = nn.Linear(size, 6)

    def forward(self, tokens, state=None):
        h, state = self.rnn(self.dropout(self.embedding(tokens)), state)
        return self.output(h), state


class Faulty:
    """Cross entropy that is NaN in the calls of these numbers, from 1."""

    def __init__(self, bad):
        self.bad, self.calls = set(bad), 0

    def __call__(self, logits, targets, *, mask=None, reduction="mean"):
        self.calls += 1
        loss = cross_entropy(logits, targets, mask=mask, reduction=reduction)
        return loss * math.nan if self.calls in self.bad else loss


def data(steps=40, batch=3):
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(6, (steps + 1, batch), generator=generator)
    return tokens[:-1], tokens[1:]


def make(dropout=0.0):
    torch.manual_seed(0)
    return Model(dropout=dropout)


def config(**options):
    usual = {"tau": 5, "epochs": 2, "optimizer": "sgd", "learning_rate": 0.5}
    return TrainingConfig(**{**usual, "max_norm": None, **options})


def run_all(model, settings, **options):
    """All records of a training on ``data()``."""
    return list(train(model, data(), settings, **options))


def total_weight(model):
    """A number to validate by that follows from the weights alone."""
    return float(sum(p.detach().abs().sum() for p in model.parameters()))


def steps_of(records):
    """The updates among records."""
    return [r for r in records if isinstance(r, StepInfo)]


def kinds(records):
    """What kinds of events are among records."""
    return [r.kind for r in records if isinstance(r, EventInfo)]


def same_weights(a, b):
    """Whether two models have equal bits."""
    return all(map(torch.equal, a.state_dict().values(), b.state_dict().values()))
