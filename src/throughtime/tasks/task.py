"""What every task offers, so that one command line trains, measures and asks them all.

A task goes from files to figures in these steps:

    raw = Task.read(files, options)                 examples as they were written
    task = Task.fit(raw_train, options)             vocabularies, labels, scales
    examples = task.encode(raw)                     tensors
    model = task.build(config)                      meets ``training.ExampleModel``
    task.evaluate(model, raw, examples)             figures
    task.predict(model, raw)                        answers
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from torch import nn

from throughtime.data.examples import Examples

if TYPE_CHECKING:
    from throughtime.report import Section


@dataclass(frozen=True)
class RawExample:
    """One example as it was read.

    Attributes:
        input: what the network is to read, as the task reads it.
        target: what it is to answer; None: unknown.
        where: file and line, as in ``reviews.csv:17``, for messages.
        group: who or what it comes from, where the file says so; examples of one group
            are held out together.
    """

    input: Any
    target: Any
    where: str
    group: str | None = None

    @property
    def place(self) -> str:
        """``where`` without folders, for reports.

        >>> RawExample("so good", "1", "/data/reviews.csv:17").place
        'reviews.csv:17'
        """
        return self.where.rpartition("/")[2]


@dataclass(frozen=True)
class Evaluation:
    """How well examples were answered.

    Attributes:
        figures: numbers by name, the one to look at first in the first place.
        details: what the sections of a report draw, in a form of the task's own.
    """

    figures: dict[str, float]
    details: dict[str, Any] = field(default_factory=dict)


class Task(ABC):
    """One kind of question that is asked of sequences.

    Attributes:
        name: of the command, as in ``train classify``.
        options: what the user chose.
    """

    name: ClassVar[str]
    # A frozen dataclass whose fields are made by ``option``; its docstring is the help.
    options_type: ClassVar[type]
    # A frozen dataclass with ``from_dict`` and ``to_dict``, as ``NetworkConfig``.
    config_type: ClassVar[type]
    # Options of model and training that suit the task better than their defaults.
    usual: ClassVar[Mapping[str, Any]] = {}
    # Options that may change when a trained model is asked, such as ``beam_size``.
    answering: ClassVar[tuple[str, ...]] = ()

    options: Any

    @classmethod
    @abstractmethod
    def read(cls, files: Sequence[Path], options: Any) -> list[RawExample]:
        """The examples in these files.

        Raises:
            DataError: a file cannot be used; it names file and line.
        """

    @classmethod
    @abstractmethod
    def fit(cls, raw: Sequence[RawExample], options: Any) -> Self:
        """The task with what it learns of its training examples.

        Raises:
            DataError: nothing can be learnt of them, as where all have one label.
        """

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Options and what was learnt, as JSON, for task.json."""

    @classmethod
    @abstractmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The task that ``to_dict`` wrote."""

    @classmethod
    def own_parts(
        cls, raw: Sequence[RawExample], options: Any
    ) -> dict[str, list[RawExample]] | None:
        """The parts that the files themselves name: train, valid, test; or None."""
        del raw, options
        return None

    @classmethod
    def measured(cls, raw: Sequence[RawExample], options: Any) -> list[RawExample]:
        """Of the examples in files to be measured, those that are: all."""
        del options
        return list(raw)

    @classmethod
    def split(
        cls, raw: Sequence[RawExample], share: float, seed: int, options: Any
    ) -> tuple[list[RawExample], list[RawExample]]:
        """Some examples to train on, and a share held out: drawn at random.

        Examples of one group stay together.
        """
        from throughtime.tasks.splitting import random_split

        del options
        return random_split(raw, share, seed)

    @abstractmethod
    def encode(self, raw: Sequence[RawExample], *, labelled: bool = True) -> Examples:
        """Tensors for ``model``; without ``labelled`` the targets are left out.

        Raises:
            DataError: an example does not fit what was learnt; it names file and line.
        """

    @abstractmethod
    def build(self, config: Any) -> nn.Module:
        """The model, with fresh weights."""

    @abstractmethod
    def evaluate(
        self, model: nn.Module, raw: Sequence[RawExample], examples: Examples
    ) -> Evaluation:
        """How well a model answers; it is in eval mode."""

    def baselines(
        self, train: Sequence[RawExample], raw: Sequence[RawExample]
    ) -> dict[str, Evaluation]:
        """What simple methods make of the same examples, by name."""
        del train, raw
        return {}

    @abstractmethod
    def read_inputs(self, source: Path | str) -> list[RawExample]:
        """Examples without targets: a file's, or the one that a string itself is.

        Raises:
            DataError: the file cannot be used.
        """

    @abstractmethod
    def predict(
        self, model: nn.Module, raw: Sequence[RawExample]
    ) -> list[dict[str, Any]]:
        """An answer to each example, as JSON; ``text`` is the answer in words."""

    def sections(
        self, model: nn.Module, raw: Sequence[RawExample], evaluation: Evaluation
    ) -> "list[Section]":
        """What a report shows of this task beside figures and curves."""
        del model, raw, evaluation
        return []

    def files(self, train: Sequence[RawExample]) -> dict[str, bytes]:
        """Further files that a run folder keeps, by name."""
        del train
        return {}

    def describe(self) -> str:
        """What was learnt of the data, in one line, as ``2 labels, 9,412 words``."""
        return ""
