"""Processes that train one model together, each on its own streams.

Every process has the whole model and computes the gradient of its part of the batch;
the sum of these gradients is that of the joined batch. ``torchrun`` starts them, torch
carries the sums: gloo between CPUs, nccl between GPUs.

What is sent as text or tensors is packed by safetensors and JSON, never pickled.
"""

import json
import os
import time
import uuid
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

import torch
import torch.distributed as dist
from torch import Tensor

from throughtime.errors import (
    InvalidValue,
    TeamStopped,
    ThroughtimeError,
    TrainingError,
)
from throughtime.training.checkpoint import flatten, unflatten

# What one process may make the others wait for, such as a long validation. A process
# that dies is noticed at once, by its connections.
_PATIENCE = timedelta(hours=12)
# How long all wait for those that are still starting.
_ARRIVAL = timedelta(minutes=10)
# Bytes sent at once.
_PIECE = 1 << 28
# Seconds in which the process that failed first can say why, before torchrun, which
# ends all processes with the first that exits, ends it too.
_LAST_WORDS = 0.5


class Team:
    """One process's place among those that train together.

    A team of one, the default, does nothing. Inside ``with`` an error of one process
    ends all: the one that failed first raises its own error, the others
    ``TeamStopped``.

    Args:
        rank: number of this process, from 0.
        size: number of processes.
        store: where they leave words for each other; None: nowhere.
        group: torch's group of them for tensors on the CPU; None: torch's default one.

    >>> team = Team()
    >>> team.is_first, team.columns(8), team.share({"path": "runs/book"})
    (True, slice(0, 8, None), {'path': 'runs/book'})
    """

    def __init__(
        self, rank: int = 0, size: int = 1, *, store: Any = None, group: Any = None
    ) -> None:
        self.rank, self.size = rank, size
        self._store, self._group = store, group

    @property
    def is_first(self) -> bool:
        """Whether this process prints, reads and writes for all."""
        return self.rank == 0

    def columns(self, streams: int) -> slice:
        """Which of the joined batch's streams belong to this process.

        Neighbours, as evenly as it goes; the first processes have one more.

        Raises:
            InvalidValue: fewer streams than processes.

        >>> Team().columns(5)
        slice(0, 5, None)
        """
        if streams < self.size:
            raise InvalidValue(
                f"batch_size must be at least the number of processes, {self.size}, so "
                f"that each has a stream, got {streams}; use a larger batch_size or "
                "fewer processes"
            )
        each, more = divmod(streams, self.size)
        start = self.rank * each + min(self.rank, more)
        return slice(start, start + each + (self.rank < more))

    def sum(self, tensors: Sequence[Tensor]) -> None:
        """Put the sum over all processes into these tensors.

        The bits are the same everywhere.
        """
        if self.size == 1:
            return
        kinds: dict[Any, list[Tensor]] = {}
        for tensor in tensors:
            kinds.setdefault((tensor.device, tensor.dtype), []).append(tensor)
        for same in kinds.values():
            flat = torch.cat([tensor.reshape(-1) for tensor in same])
            with self._talking():
                # Tensors on the CPU go by the group of the CPU.
                dist.all_reduce(flat, group=self._group_of(flat))
            parts = flat.split([tensor.numel() for tensor in same])
            for tensor, part in zip(same, parts, strict=True):
                tensor.copy_(part.view_as(tensor))

    def first(self, number: float) -> float:
        """The first process's number; the others wait for it."""
        if self.size == 1:
            return number
        tensor = torch.tensor([number], dtype=torch.float64)
        self._broadcast(tensor)
        return float(tensor)

    def share(self, value: Any = None) -> Any:
        """The first process's value: plain values, tensors and containers of them."""
        if self.size == 1:
            return value
        content = _pack(value) if self.is_first else torch.empty(0, dtype=torch.uint8)
        length = torch.tensor([len(content)])
        self._broadcast(length)
        if not self.is_first:
            content = torch.empty(int(length), dtype=torch.uint8)
        for piece in content.split(_PIECE):
            self._broadcast(piece)
        return value if self.is_first else _unpack(content)

    def copy(self, tensors: Iterable[Tensor]) -> None:
        """Copy the first process's values into these tensors of every process."""
        tensors = list(tensors)
        if self.size > 1 and tensors:
            found = self.share(tensors if self.is_first else None)
            with torch.no_grad():
                for tensor, value in zip(tensors, found, strict=True):
                    tensor.copy_(value)

    def gather(self, value: Any) -> list[Any]:
        """The values of all processes, in the first; in the others nothing."""
        if self.size == 1:
            return [value]
        if not self.is_first:
            content = _pack(value)
            with self._talking():
                dist.send(torch.tensor([len(content)]), 0, group=self._group)
                for piece in content.split(_PIECE):
                    dist.send(piece, 0, group=self._group)
            return []
        values = [value]
        for rank in range(1, self.size):
            length = torch.tensor([0])
            with self._talking():
                dist.recv(length, rank, group=self._group)
                content = torch.empty(int(length), dtype=torch.uint8)
                for piece in content.split(_PIECE):
                    dist.recv(piece, rank, group=self._group)
            values.append(_unpack(content))
        return values

    def barrier(self) -> None:
        """Wait until all processes are here."""
        self.first(0.0)

    def _broadcast(self, tensor: Tensor) -> None:
        with self._talking():
            dist.broadcast(tensor, 0, group=self._group)

    def _group_of(self, tensor: Tensor) -> Any:
        return self._group if tensor.device.type == "cpu" else None

    @contextmanager
    def _talking(self) -> Generator[None]:
        """Say what it means if torch cannot reach another process.

        Raises:
            TrainingError: another process is gone.
        """
        try:
            yield
        except RuntimeError as error:
            raise TrainingError(
                "another process of this training is gone; start it again with "
                "--resume, or let torchrun do so with --max-restarts"
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave the team; the first error of all processes is told to the others.

        Raises:
            TeamStopped: another process failed before this one did.
        """
        if self.size == 1:
            return
        before = None
        if isinstance(error, Exception):
            before = self._note(f"process {self.rank}: {error}")
        # Whoever waits for this process is told that it is gone; but a group that was
        # there before is its maker's to end.
        if self._store is not None and dist.is_initialized():
            dist.destroy_process_group()
        if before is not None:
            time.sleep(_LAST_WORDS)
            if isinstance(error, ThroughtimeError):
                raise TeamStopped(f"stopped, because of {before}") from error

    def _note(self, sentence: str) -> str | None:
        """Leave the first error's sentence; or find what another process left."""
        try:
            if self._store.add("errors", 1) == 1:
                self._store.set("error", sentence)
                return None
            return self._store.get("error").decode()
        except (RuntimeError, AttributeError):  # no store, or it is gone as well
            return None


ALONE = Team()


def join_team() -> Team:
    """The team that this process was started for, by torchrun or its like.

    Reads RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT; without them the
    team is this process alone. With a GPU per process, the process's own becomes the
    current one. A group that torch already has is used as it is.

    Raises:
        InvalidValue: some of these variables are missing or make no sense.
        TrainingError: the other processes cannot be reached.

    >>> with join_team() as team:
    ...     team.size
    1
    """
    if dist.is_available() and dist.is_initialized():
        group = dist.new_group(backend="gloo", timeout=_PATIENCE)
        return Team(dist.get_rank(), dist.get_world_size(), group=group)
    names = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
    missing = [name for name in names if name not in os.environ]
    if "RANK" in missing and "WORLD_SIZE" in missing:
        return Team()
    size = _whole("WORLD_SIZE", 1)
    if size == 1:
        return Team()
    if missing:
        raise InvalidValue(
            f"{', '.join(missing)} must be set for each of {size} processes that train "
            "together; start them with torchrun, which does that"
        )
    rank = _whole("RANK", 0)
    if rank >= size:
        raise InvalidValue(f"RANK must be below WORLD_SIZE = {size}, got {rank}")
    if not dist.is_available():
        raise InvalidValue(
            f"this torch cannot connect processes, WORLD_SIZE is {size}; install one "
            "with torch.distributed, or train with one process"
        )
    from torch.distributed.distributed_c10d import PrefixStore
    from torch.distributed.rendezvous import rendezvous

    backend = "gloo"
    if torch.cuda.is_available():
        if dist.is_nccl_available():
            backend = "cpu:gloo,cuda:nccl"
        torch.cuda.set_device(_whole("LOCAL_RANK", 0) % torch.cuda.device_count())
    try:
        store, rank, size = next(rendezvous("env://", timeout=_ARRIVAL))
        store = PrefixStore(_meet(store, rank, size), store)
        dist.init_process_group(
            backend, store=store, rank=rank, world_size=size, timeout=_PATIENCE
        )
    except (RuntimeError, ValueError) as error:
        raise TrainingError(
            f"process {rank} of {size} cannot reach the others at "
            f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']} ({error}); look "
            "at the address given to torchrun, and whether the machines let it through"
        ) from error
    return Team(rank, size, store=store)


def _meet(store: Any, rank: int, size: int) -> str:
    """A name for the team that these processes form, and no earlier ones.

    After a restart torchrun may give them the store of those that died, with the
    addresses of those in it. So each process asks with a number of its own, and the
    first one answers until all have got its answer.

    Raises:
        TrainingError: some do not come.
    """
    if rank > 0:
        number = store.add("throughtime/questions", 1)
        name = store.get(f"throughtime/answers/{number}").decode()
        store.add(f"{name}/here", 1)
        return name
    name, answered = f"throughtime/{uuid.uuid4().hex}", 0
    deadline = time.monotonic() + _ARRIVAL.total_seconds()
    while store.add(f"{name}/here", 0) < size - 1:
        asked = store.add("throughtime/questions", 0)
        for number in range(answered + 1, asked + 1):
            store.set(f"throughtime/answers/{number}", name)
        answered = asked
        if time.monotonic() > deadline:
            raise TrainingError(
                f"not all of {size} processes have come within {_ARRIVAL}; look at "
                "what the others say"
            )
        time.sleep(0.005)
    return name


def _whole(name: str, least: int) -> int:
    text = os.environ.get(name, "0")
    if not text.isdecimal() or int(text) < least:
        raise InvalidValue(
            f"{name} must be a whole number from {least} on, got {text!r}; start the "
            "processes with torchrun"
        )
    return int(text)


def _pack(value: Any) -> Tensor:
    """Bytes that hold tensors and plain values."""
    from safetensors.torch import save

    tensors, plain = flatten(value)
    text = bytearray(json.dumps(plain).encode())
    tensors["plain"] = torch.frombuffer(text, dtype=torch.uint8)
    return torch.frombuffer(bytearray(save(tensors)), dtype=torch.uint8)


def _unpack(content: Tensor) -> Any:
    from safetensors.torch import load

    # Cloned, into memory of torch's own: results depend on alignment.
    tensors = {k: v.clone() for k, v in load(content.numpy().tobytes()).items()}
    plain = json.loads(bytes(tensors.pop("plain").numpy()))
    return unflatten(tensors, plain)
