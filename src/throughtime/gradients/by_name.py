"""Results by the name of a parameter, computed when they are asked for."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from torch import Tensor

from throughtime.errors import unknown_name


class ByName(Mapping[str, Tensor]):
    """Tensors by the name of a parameter, each computed when it is first asked for.

    Raises:
        InvalidValue: an unknown name; the message lists the known ones.
    """

    def __init__(self, names: Sequence[str], compute: Callable[[str], Tensor]) -> None:
        self._names, self._compute = list(names), compute
        self._done: dict[str, Tensor] = {}

    def __getitem__(self, name: str) -> Tensor:
        if name not in self._names:
            raise unknown_name("parameter", name, self._names)
        if name not in self._done:
            self._done[name] = self._compute(name)
        return self._done[name]

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
