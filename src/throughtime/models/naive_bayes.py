"""Naive Bayes on bags of words, with all of its arithmetic."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from throughtime.checks import boolean, number, positive_int
from throughtime.errors import DataError, InvalidShape, InvalidValue, unknown_name

if TYPE_CHECKING:
    from sklearn.feature_extraction.text import CountVectorizer

# What counts as a token of a text.
TOKENS = {"letters": r"[^\W\d_]+", "words": r"\w+", "spaces": r"\S+"}


@dataclass(frozen=True)
class Term:
    """One word of a text in the sum.

    Attributes:
        word: the word, or the words of an n-gram.
        count: how often it stands in the text.
        log_likelihoods: log P(word | c) of every class.
    """

    word: str
    count: int
    log_likelihoods: tuple[float, ...]


@dataclass(frozen=True)
class Explanation:
    """How naive Bayes comes to its answer to one text.

    log P(c, d) = log P(c) + Σ_w count(w) log P(w | c)
    P(c | d) = P(c, d) / Σ_c' P(c', d)

    Attributes:
        labels: the classes; all tuples of numbers are in their order.
        log_priors: log P(c).
        terms: the words of the text, those first that tell the classes apart most.
        unknown: its words that are not in the vocabulary; they do not count.
        log_joints: log P(c, d).
        posteriors: P(c | d).
        label: the class with the largest.
    """

    labels: tuple[str, ...]
    log_priors: tuple[float, ...]
    terms: tuple[Term, ...]
    unknown: tuple[str, ...]
    log_joints: tuple[float, ...]
    posteriors: tuple[float, ...]
    label: str

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    def rows(self) -> list[tuple[str, ...]]:
        """The sum as a table: a row of titles, and below it one for each summand."""

        def signed(values: Sequence[float]) -> tuple[str, ...]:
            return tuple(f"{value:.4f}" for value in values)

        table = [("", *self.labels), ("log P(c)", *signed(self.log_priors))]
        for term in self.terms:
            times = f"{term.count} × " if term.count > 1 else ""
            summands = [term.count * value for value in term.log_likelihoods]
            table.append((f"{times}log P({term.word} | c)", *signed(summands)))
        table.append(("log P(c, d), the sum", *signed(self.log_joints)))
        return [*table, ("P(c | d)", *signed(self.posteriors))]

    def __str__(self) -> str:
        table = self.rows()
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = []
        for title, *row in table:
            cells = [f"{v:>{w}}" for v, w in zip(row, widths[1:], strict=True)]
            lines.append("  ".join([title.ljust(widths[0]), *cells]))
        if self.unknown:
            lines.append(f"unknown, so left out: {', '.join(self.unknown)}")
        return "\n".join([*lines, f"answer: {self.label}"])


class NaiveBayes:
    """The multinomial model of texts: words are drawn one by one, given the class.

    c(d) = argmax_c P(c) Π_w P(w | c)^count(w), P(c) the share of training texts and
    P(w | c) = (count(w, c) + α) / (count(c) + α V) with Laplace's smoothing (Manning,
    Raghavan and Schütze, Introduction to Information Retrieval, 2008, chapter 13). It
    is computed in logarithms, of which the denominator P(d) takes no part in the
    answer.

    Args:
        alpha: added to each count.
        ngrams: shortest and longest run of words that counts as one.
        tokens: what a word is: ``letters`` (a run of letters), ``words`` (of letters,
            digits and underscores), ``spaces`` (what stands between white space), or
            a regular expression.
        lowercase: whether upper and lower case are the same.
        vocabulary: the only words that count; default: all of the training texts.

    Attributes:
        labels: the classes, sorted.
        words: the words, sorted, or in the order of ``vocabulary``.
        log_priors: log P(c), (C,).
        log_likelihoods: log P(w | c), (C, V).

    Raises:
        InvalidType: an argument has the wrong type.
        InvalidValue: it has the right type, and a value that cannot be used.

    >>> texts = ["sweet and funny", "funny", "dull and empty"]
    >>> bayes = NaiveBayes().fit(texts, ["good", "good", "bad"])
    >>> bayes.predict(["funny and dull, so funny"])
    ['good']
    >>> print(bayes.explain("funny and dull, so funny"))
                               bad     good
    log P(c)               -1.0986  -0.4055
    2 × log P(funny | c)   -4.1589  -2.1972
    log P(dull | c)        -1.3863  -2.1972
    log P(and | c)         -1.3863  -1.5041
    log P(c, d), the sum   -8.0301  -6.3040
    P(c | d)                0.1511   0.8489
    unknown, so left out: so
    answer: good
    """

    def __init__(
        self,
        *,
        alpha: float = 1.0,
        ngrams: tuple[int, int] = (1, 1),
        tokens: str = "letters",
        lowercase: bool = True,
        vocabulary: Sequence[str] | None = None,
    ) -> None:
        self.alpha = number("alpha", alpha, minimum=0, exclude_minimum=True)
        shortest, longest = (positive_int("ngrams", n) for n in ngrams)
        if shortest > longest:
            raise InvalidValue(
                f"ngrams must be the shortest and the longest, got {ngrams}"
            )
        self.ngrams = (shortest, longest)
        self.tokens = _pattern(tokens)
        self.lowercase = boolean("lowercase", lowercase)
        self.vocabulary = (
            None
            if vocabulary is None
            else [word.lower() if lowercase else word for word in vocabulary]
        )
        if self.vocabulary is not None and (
            not self.vocabulary or len(set(self.vocabulary)) < len(self.vocabulary)
        ):
            raise InvalidValue("vocabulary must hold words, and each only once")
        self.labels: tuple[str, ...] = ()
        self.words: tuple[str, ...] = ()
        self.log_priors: NDArray[np.float64] = np.empty(0)
        self.log_likelihoods: NDArray[np.float64] = np.empty((0, 0))
        self._counter: CountVectorizer | None = None

    def fit(self, texts: Sequence[str], labels: Sequence[str]) -> Self:
        """Learn from labelled texts.

        Raises:
            DataError: there is only one class, or no word in all the texts.
            InvalidShape: not as many labels as texts.
        """
        from sklearn.naive_bayes import MultinomialNB

        if len(texts) != len(labels):
            raise InvalidShape(f"{len(texts)} texts have {len(labels)} labels")
        if len(set(labels)) < 2:
            raise DataError(
                f"all {len(texts)} texts have the same label; give texts of at least "
                "two classes"
            )
        counter = self._vectorizer(self.vocabulary)
        try:
            counts = counter.fit_transform(texts)
        except ValueError as error:  # all that scikit-learn says of it
            raise DataError(
                f"the texts hold no word by the rule {self.tokens}; choose another one"
            ) from error
        model = MultinomialNB(alpha=self.alpha).fit(counts, list(labels))
        self.labels = tuple(str(label) for label in model.classes_)
        self._counter = counter
        self.words = tuple(map(str, counter.get_feature_names_out()))
        self.log_priors = model.class_log_prior_
        self.log_likelihoods = model.feature_log_prob_
        return self

    def counts(self, text: str) -> dict[str, int]:
        """Every word of a text and how often it is there, known or not.

        >>> NaiveBayes().counts("It's sweet. Sweet!")
        {'it': 1, 's': 1, 'sweet': 2}
        """
        found: dict[str, int] = {}
        for word in self._vectorizer(None).build_analyzer()(text):
            found[word] = found.get(word, 0) + 1
        return found

    def log_joint(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """log P(c, d) = log P(c) + Σ_w count(w) log P(w | c), (N, C)."""
        counts = self._fitted().transform(texts)
        return counts @ self.log_likelihoods.T + self.log_priors

    def log_posterior(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """log P(c | d), (N, C)."""
        joint = self.log_joint(texts)
        return joint - np.logaddexp.reduce(joint, axis=1, keepdims=True)

    def predict(self, texts: Sequence[str]) -> list[str]:
        """The class of each text; of equal ones the first."""
        return [self.labels[i] for i in self.log_joint(texts).argmax(1)]

    def telling_words(self, label: str, count: int = 20) -> list[tuple[str, float]]:
        """The words that speak for a class most, and how much.

        A word's figure is the logarithm of its odds: log P(w | c) - log P(w | not c),
        where the other classes weigh as much as they have texts.

        Raises:
            InvalidValue: unknown label, or ``count`` is not positive.
        """
        self._fitted()
        if label not in self.labels:
            raise unknown_name("label", label, self.labels)
        index = self.labels.index(label)
        others = np.delete(np.arange(len(self.labels)), index)
        weights = self.log_priors[others] - np.logaddexp.reduce(self.log_priors[others])
        rest = self.log_likelihoods[others] + weights[:, None]
        odds = self.log_likelihoods[index] - np.logaddexp.reduce(rest, axis=0)
        order = np.argsort(-odds, kind="stable")[: positive_int("count", count)]
        return [(self.words[i], float(odds[i])) for i in order]

    def explain(self, text: str) -> Explanation:
        """The whole sum for one text."""
        index = self._fitted().vocabulary_
        terms, unknown = [], []
        for word, count in self.counts(text).items():
            if word in index:
                values = self.log_likelihoods[:, index[word]]
                terms.append(Term(word, count, tuple(values.tolist())))
            else:
                unknown.append(word)
        terms.sort(key=_spread, reverse=True)
        joint = self.log_joint([text])[0]
        return Explanation(
            self.labels,
            tuple(self.log_priors.tolist()),
            tuple(terms),
            tuple(unknown),
            tuple(joint.tolist()),
            tuple(np.exp(joint - np.logaddexp.reduce(joint)).tolist()),
            self.labels[int(joint.argmax())],
        )

    def to_dict(self) -> dict[str, Any]:
        """What was learnt, as JSON."""
        self._fitted()
        return {
            "alpha": self.alpha,
            "ngrams": list(self.ngrams),
            "tokens": self.tokens,
            "lowercase": self.lowercase,
            "labels": list(self.labels),
            "words": list(self.words),
            "log_priors": self.log_priors.tolist(),
            "log_likelihoods": self.log_likelihoods.tolist(),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The model that ``to_dict`` wrote.

        Raises:
            DataError: damaged.
        """
        try:
            shortest, longest = values["ngrams"]
            model = cls(
                alpha=values["alpha"],
                ngrams=(shortest, longest),
                tokens=values["tokens"],
                lowercase=values["lowercase"],
                vocabulary=values["words"],
            )
            model.labels = tuple(values["labels"])
            model.words = tuple(values["words"])
            model.log_priors = np.array(values["log_priors"], dtype=np.float64)
            model.log_likelihoods = np.array(values["log_likelihoods"], np.float64)
            shape = (len(model.labels), len(model.words))
            if model.log_likelihoods.shape != shape:
                raise ValueError(f"log_likelihoods should be {shape}")
            if model.log_priors.shape != shape[:1]:
                raise ValueError(f"log_priors should be {shape[:1]}")
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"no naive Bayes model, or damaged ({error})") from error
        model._counter = model._vectorizer(model.vocabulary)
        model._counter.fit([])
        return model

    def _vectorizer(self, vocabulary: list[str] | None) -> "CountVectorizer":
        from sklearn.feature_extraction.text import CountVectorizer

        return CountVectorizer(
            lowercase=self.lowercase,
            token_pattern=self.tokens,
            ngram_range=self.ngrams,
            vocabulary=vocabulary,
        )

    def _fitted(self) -> "CountVectorizer":
        if self._counter is None:
            raise InvalidValue("this model has learnt nothing yet; call fit first")
        return self._counter


def _pattern(tokens: str) -> str:
    """The regular expression of a rule."""
    import re

    if tokens in TOKENS:
        return TOKENS[tokens]
    try:
        if re.compile(tokens).groups <= 1 and not tokens.isalpha():
            return tokens
    except re.error:
        pass
    raise unknown_name("rule of tokens", tokens, [*TOKENS, "a regular expression"])


def _spread(term: Term) -> float:
    """How far a word sets the classes apart."""
    return term.count * (max(term.log_likelihoods) - min(term.log_likelihoods))
