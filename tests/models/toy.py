"""A language model small enough to count out by hand."""

import torch


class Markov:
    """P(next | last) from a table (V, V)."""

    def __init__(self, table):
        self.table = torch.tensor(table, dtype=torch.float64)
        self.vocabulary_size = len(table)

    def initial_state(self, batch_size):
        return torch.zeros(batch_size)

    def next_log_probs(self, tokens, state):
        return self.table[tokens].log(), state

    def select_state(self, state, indices):
        return state[indices]


TABLE = [[0.1, 0.6, 0.3], [0.5, 0.25, 0.25], [0.2, 0.2, 0.6]]
