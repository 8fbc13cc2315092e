"""From a raw input to the network: numbers, and a module that reads them."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

from torch import Tensor, nn

from throughtime.models.network import NetworkConfig
from throughtime.tasks.task import RawExample


class Inputs(ABC):
    """One kind of input: how it becomes a sequence of tensors.

    What it learns of the training examples, such as a vocabulary, is JSON.
    """

    kind: ClassVar[str]

    @classmethod
    @abstractmethod
    def fit(cls, raw: Sequence[RawExample], options: Any) -> Self:
        """Learn from the inputs of the training examples.

        Raises:
            DataError: they cannot be used; it names file and line.
        """

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """What was learnt, as JSON."""

    @classmethod
    @abstractmethod
    def from_dict(cls, values: Mapping[str, Any], options: Any) -> Self:
        """The inputs that ``to_dict`` wrote."""

    @abstractmethod
    def encode(self, example: RawExample) -> dict[str, Tensor]:
        """The steps of one example: ``inputs`` (T, ...), T may be 0.

        Where some steps have no input, also ``inputs_present``, bool (T,).

        Raises:
            DataError: the input cannot be used; it names file and line.
        """

    @abstractmethod
    def front_end(self, config: NetworkConfig) -> nn.Module:
        """The module that reads a batch, as ``Examples.batch`` makes it.

        It returns (T, B, ``output_size``), zeros where a step has no input.
        """

    @abstractmethod
    def describe(self) -> str:
        """What was learnt, in a few words."""
