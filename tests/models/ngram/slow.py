"""Every smoothing by its definition, with dictionaries and recursion."""

from collections import Counter, defaultdict
from functools import lru_cache

import numpy as np

# Enough of an uneven text has n-grams that occur 1, 2, 3, ... times at orders 1 and 2.
# Token 12 of 13 never occurs; token 0, when it ends lines, also ends empty ones.
UNEVEN = (np.random.default_rng(0).geometric(0.3, size=300) - 1).clip(0, 11).tolist()
SIZE = 13


class Slow:
    """n-gram counts of a text, and one method per smoothing: P(word | context)."""

    def __init__(self, text, order, size, boundary=None):
        self.order, self.size, self.boundary = order, size, boundary
        self.counts = {n: Counter() for n in range(1, order + 1)}
        for line in lines(text, boundary):
            for n in range(1, order + 1):
                # The boundary before a line is a context only.
                first = 1 if n == 1 and boundary is not None else 0
                for i in range(first, len(line) - n + 1):
                    self.counts[n][tuple(line[i : i + n])] += 1
        self.adjusted = {order: self.counts[order]}
        for n in range(1, order):
            before = defaultdict(set)
            for gram in self.counts[n + 1]:
                before[gram[1:]].add(gram[0])
            self.adjusted[n] = Counter({g: len(b) for g, b in before.items()})
            if boundary is not None and n > 1:
                for gram, count in self.counts[n].items():
                    if gram[0] == boundary:
                        self.adjusted[n][gram] = count
        self.p = lru_cache(maxsize=None)(self._p)

    def __call__(self, name, history, **options):
        """P(· | history), a list."""
        history = tuple(history)
        if self.boundary in history:
            history = history[len(history) - 1 - history[::-1].index(self.boundary) :]
        context = history[max(0, len(history) - self.order + 1) :]
        options = tuple(options.items())
        p = [self.p(name, options, context, word) for word in range(self.size)]
        if name == "stupid-backoff":
            return [value / sum(p) for value in p]
        return p

    def _p(self, name, options, context, word):
        method = getattr(self, name.replace("-", "_"))
        return method(context, word, **dict(options))

    def followers(self, context, counts=None):
        counts = (counts or self.counts)[len(context) + 1]
        return {g[-1]: c for g, c in counts.items() if g[:-1] == context}

    def maximum_likelihood(self, context, word):
        seen = self.followers(context)
        if not seen:
            return self.maximum_likelihood(context[1:], word)
        return seen.get(word, 0) / sum(seen.values())

    def additive(self, context, word, delta):
        begins = bool(context) and context[0] == self.boundary
        if len(context) < self.order - 1 and not begins:
            return 1 / self.size
        seen = self.followers(context)
        total = sum(seen.values()) + delta * self.size
        return (seen.get(word, 0) + delta) / total

    def interpolation(self, context, word, weights):
        parts = []
        for n, weight in zip(range(self.order, 0, -1), weights, strict=False):
            u = context[len(context) - n + 1 :]
            if len(u) == n - 1 and self.followers(u):
                parts.append((weight, self.maximum_likelihood(u, word)))
        if len(weights) > self.order:
            parts.append((weights[-1], 1 / self.size))
        return sum(w * p for w, p in parts) / sum(w for w, _ in parts)

    def katz(self, context, word, k):
        seen = self.followers(context)
        if not seen:
            return self.p("katz", (("k", k),), context[1:], word)
        d = good_turing(Counter(self.counts[len(context) + 1].values()), k)
        total = sum(seen.values())
        kept = {w: d.get(c, 1) * c for w, c in seen.items()}
        if len(seen) == self.size:
            kept = seen
        elif sum(kept.values()) == total:
            total += 1
        if word in seen:
            return kept[word] / total
        left = 1 - sum(kept.values()) / total

        def below(w):
            shorter = context[1:]
            return self.p("katz", (("k", k),), shorter, w) if context else 1 / self.size

        unseen = sum(below(w) for w in range(self.size) if w not in seen)
        return left / unseen * below(word)

    def stupid_backoff(self, context, word, alpha):
        seen = self.followers(context)
        if not context:
            # Tokens that never occur get α / V, and the sum is made 1.
            share = alpha / self.size
            p = seen[word] / sum(seen.values()) if word in seen else share
            return p / (1 + share * (self.size - len(seen)))
        if word in seen:
            return seen[word] / sum(seen.values())
        return alpha * self.stupid_backoff(context[1:], word, alpha)

    def witten_bell(self, context, word):
        seen = self.followers(context)
        lower = self.lower("witten-bell", (), context, word)
        if not seen:
            return lower
        return (seen.get(word, 0) + len(seen) * lower) / (
            sum(seen.values()) + len(seen)
        )

    def absolute(self, context, word, discount=None):
        return self.discounting("absolute", discount, context, word, self.counts)

    def kneser_ney_single(self, context, word, discount=None):
        name = "kneser-ney-single"
        return self.discounting(name, discount, context, word, self.adjusted)

    def kneser_ney(self, context, word):
        return self.discounting("kneser-ney", None, context, word, self.adjusted)

    def discounting(self, name, given, context, word, counts):
        options = () if given is None else (("discount", given),)
        lower = self.lower(name, options, context, word)
        seen = self.followers(context, counts)
        if not seen:
            return lower
        n = Counter(counts[len(context) + 1].values())
        if name == "kneser-ney":
            d = three_discounts(n)
        else:
            one = n[1] / (n[1] + 2 * n[2]) if n[1] and n[2] else 0.5
            d = [0, *[one if given is None else given] * 3]
        total = sum(seen.values())
        gamma = sum(d[min(c, 3)] for c in seen.values()) / total
        c = seen.get(word, 0)
        return (c - d[min(c, 3)]) / total + gamma * lower

    def lower(self, name, options, context, word):
        return self.p(name, options, context[1:], word) if context else 1 / self.size


def lines(text, boundary):
    """The text as one line, or each line after one boundary."""
    if boundary is None:
        return [text]
    result, line = [], [boundary]
    for token in text:
        line.append(token)
        if token == boundary:
            result.append(line)
            line = [boundary]
    return [*result, line] if len(line) > 1 else result


def three_discounts(n):
    fallback = [0, 0.5, 1, 1.5]
    if 0 in (n[1], n[2], n[3], n[4]):
        return fallback
    y = n[1] / (n[1] + 2 * n[2])
    d = [
        0,
        1 - 2 * y * n[2] / n[1],
        2 - 3 * y * n[3] / n[2],
        3 - 4 * y * n[4] / n[3],
    ]
    return d if all(value > 0 for value in d[1:]) else fallback


def good_turing(n, k):
    """d(1) to d(k) as a dictionary, for the largest k that works."""
    while k and not all(n[r] for r in range(1, k + 2)):
        k -= 1
    while k:
        cut = (k + 1) * n[k + 1] / n[1]
        if cut < 1:
            d = {
                r: ((r + 1) * n[r + 1] / n[r] / r - cut) / (1 - cut)
                for r in range(1, k + 1)
            }
            if all(0 < value <= 1 for value in d.values()):
                return d
        k -= 1
    return {}
