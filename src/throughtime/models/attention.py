r"""Attention: how much of every step of a memory belongs to a query.

    α_ts = softmax_s score(q_t, m_s)        over the steps s that are there
    c_t  = Σ_s α_ts m_s

    dot         score = q·m
    bilinear    score = q·(W m)
    additive    score = v·tanh(W_q q + W_m m)
    mean        score = 0: every step counts the same

Luong, Pham and Manning, "Effective approaches to attention-based neural machine
translation", arXiv 1508.04025 (dot, and bilinear under the name "general"); Bahdanau,
Cho and Bengio, arXiv 1409.0473 (additive).
"""

import math

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from throughtime.checks import positive_int
from throughtime.errors import InvalidShape, InvalidValue, unknown_name

SCORES = ("dot", "bilinear", "additive", "mean")
# Numbers that additive attention holds at once: T_t T_s B A in blocks of queries.
LARGEST_BLOCK = 1 << 24


class Attention(nn.Module):
    """Weighted means of a memory, one for each query.

    Args:
        score: ``dot``, ``bilinear``, ``additive`` or ``mean``.
        query_size: Q, features of a query.
        memory_size: D, features of a step of the memory.
        size: A, units between both for ``additive``; default: Q.

    Raises:
        InvalidValue: an unknown score, or ``dot`` of different sizes.

    >>> attention = Attention("dot", 2, 2)
    >>> memory = torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]]])
    >>> context, weights = attention(torch.zeros(1, 1, 2), memory)
    >>> context.tolist(), weights.tolist()
    ([[[0.5, 0.5]]], [[[0.5, 0.5]]])
    """

    def __init__(
        self, score: str, query_size: int, memory_size: int, size: int | None = None
    ) -> None:
        super().__init__()
        if score not in SCORES:
            raise unknown_name("score of attention", score, SCORES)
        positive_int("query_size", query_size)
        positive_int("memory_size", memory_size)
        self.score = score
        self.query = self.key = self.vector = None
        if score == "dot" and query_size != memory_size:
            raise InvalidValue(
                f"score 'dot' needs queries and memory of one size, got {query_size} "
                f"and {memory_size}; use 'bilinear'"
            )
        if score == "bilinear":
            self.key = nn.Linear(memory_size, query_size, bias=False)
        if score == "additive":
            size = query_size if size is None else positive_int("size", size)
            self.query = nn.Linear(query_size, size, bias=False)
            self.key = nn.Linear(memory_size, size)
            bound = 1 / math.sqrt(size)
            self.vector = nn.Parameter(torch.empty(size).uniform_(-bound, bound))

    def keys(self, memory: Tensor) -> Tensor:
        """What queries are compared with, (S, B, K): the same for all of them."""
        return memory if self.key is None else self.key(memory)

    def forward(
        self,
        queries: Tensor,
        memory: Tensor,
        present: Tensor | None = None,
        keys: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Contexts (T, B, D), and the weights that made them, (T, B, S).

        Where a memory has no step that is present, both are 0.

        Args:
            queries: (T, B, Q).
            memory: (S, B, D).
            present: bool, (S, B), False where a step does not exist; what the memory
                holds there changes nothing. Default: all exist.
            keys: ``keys(memory)``, where it is at hand.

        Raises:
            InvalidShape: sizes that do not fit.
        """
        if queries.dim() != 3 or memory.dim() != 3 or queries.size(1) != memory.size(1):
            raise InvalidShape(
                "queries and memory must be (T, B, Q) and (S, B, D) with one B, got "
                f"{tuple(queries.shape)} and {tuple(memory.shape)}"
            )
        if present is not None:
            memory = memory.masked_fill(~present.unsqueeze(-1), 0.0)
        scores = self.scores(queries, self.keys(memory) if keys is None else keys)
        if present is None:
            weights = scores.softmax(-1)
        else:
            there = present.t().unsqueeze(1)
            # Finite, so that a memory without steps gives 0 and not NaN.
            lowest = torch.finfo(scores.dtype).min
            weights = scores.masked_fill(~there, lowest).softmax(-1) * there
        context = torch.bmm(weights, memory.transpose(0, 1))
        return context.transpose(0, 1), weights.transpose(0, 1)

    def scores(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Scores (B, T, S) of queries (T, B, Q) and ``keys`` (S, B, K)."""
        if self.score == "mean":
            return queries.new_zeros(queries.size(1), queries.size(0), keys.size(0))
        if self.score != "additive":
            return torch.bmm(queries.transpose(0, 1), keys.permute(1, 2, 0))
        assert self.query is not None
        queries = self.query(queries)
        at_once = max(1, LARGEST_BLOCK // max(1, keys.numel()))
        if len(queries) <= at_once:
            return self._additive(queries, keys)
        # Block after block, and again in the backward pass, which else keeps them all.
        blocks = [
            checkpoint(self._additive, block, keys, use_reentrant=False)
            for block in queries.split(at_once)
        ]
        return torch.cat(blocks, 1)

    def _additive(self, queries: Tensor, keys: Tensor) -> Tensor:
        assert self.vector is not None
        hidden = (queries.unsqueeze(1) + keys).tanh()  # (T, S, B, A)
        return (hidden @ self.vector).permute(2, 0, 1)
