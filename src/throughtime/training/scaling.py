"""How long an update takes with so many processes: a model to plan with.

    t(n) = t_fixed + T L t_step + F / (n f) + t_sum(n)
    t_sum(n) = 2 (n-1)/n P b / w + 2 (n-1) t_message + m ⌈log₂ n⌉ t_message

F are the operations of an update of the joined batch, f those that a process does per
second. What many processes do not divide: t_fixed (clipping, optimiser, Python), the T
steps of L layers, which wait for each other, and the sum over processes: P parameters
of b bytes around a ring (Patarasuk and Yuan, "Bandwidth optimal all-reduce algorithms
for clusters of workstations", 2009), in which each sends and receives at w bytes per
second, and m small messages.
"""

import math
from dataclasses import dataclass

from throughtime.checks import number, positive_int

# Forward, and twice as much backward: for the gradient of inputs and of weights.
_PASSES = 3
# Loss and flags; the first process's clock.
SMALL_MESSAGES = 3


@dataclass(frozen=True)
class Work:
    """One update of a language model.

    Attributes:
        operations: additions and multiplications of its matrix products, F.
        parameters: P.
        steps: T times L, steps that wait for each other.
        targets: T times B.
    """

    operations: float
    parameters: int
    steps: int
    targets: int


def language_model_work(
    *,
    tau: int,
    batch_size: int,
    hidden_size: int,
    vocabulary_size: int,
    num_layers: int = 1,
    gates: int = 4,
) -> Work:
    """The products of recurrent layers and output layer, and what is summed.

        F = 3 T B (L 2 (H + H) G H + 2 H V)
        P = L (2 H G H + 2 G H) + 2 V H + V

    Args:
        tau: T, steps of a window.
        batch_size: B, of the joined batch.
        hidden_size: H, also of the embedding.
        vocabulary_size: V.
        num_layers: L.
        gates: G: 4 for an LSTM, 3 for a GRU, 1 for an Elman cell.

    Raises:
        InvalidType: no int.
        InvalidValue: not positive.

    >>> work = language_model_work(
    ...     tau=64, batch_size=32, hidden_size=128, vocabulary_size=65)
    >>> work.operations / 1e9, work.parameters
    (1.713, 148801)
    """
    sizes = {
        "tau": tau,
        "batch_size": batch_size,
        "hidden_size": hidden_size,
        "vocabulary_size": vocabulary_size,
        "num_layers": num_layers,
        "gates": gates,
    }
    for name, size in sizes.items():
        positive_int(name, size)
    layer = 2 * hidden_size * gates * hidden_size
    output = hidden_size * vocabulary_size
    return Work(
        operations=_PASSES * tau * batch_size * 2 * (num_layers * layer + output),
        parameters=num_layers * (layer + 2 * gates * hidden_size)
        + 2 * output
        + vocabulary_size,
        steps=tau * num_layers,
        targets=tau * batch_size,
    )


@dataclass(frozen=True)
class Machine:
    """What a process can do, and the wire between processes.

    Attributes:
        rate: operations per second, f, as measured in training, not as advertised.
        wire: bytes per second that a process sends while it receives as many, w.
        message: seconds a small message takes, t_message.
        fixed: seconds per update for clipping, optimiser and Python, t_fixed.
        step: seconds per step of a layer that do not depend on its size, t_step, all
            passes together: the start of kernels on a GPU.
    """

    rate: float
    wire: float
    message: float
    fixed: float = 0.0
    step: float = 0.0


@dataclass(frozen=True)
class Prediction:
    """Where the time of one update goes.

    Attributes:
        processes: n.
        compute: seconds for the products of each process.
        waiting: seconds for what is not divided: fixed costs and steps.
        sum: seconds for sums and messages.
        sent: bytes that each process sends.
        seconds: all of it.
        targets_per_second: of all processes.
        speedup: against one process with the same joined batch.
    """

    processes: int
    compute: float
    waiting: float
    sum: float
    sent: float
    seconds: float
    targets_per_second: float
    speedup: float

    @property
    def efficiency(self) -> float:
        """Speedup per process."""
        return self.speedup / self.processes


def predict(
    work: Work, machine: Machine, processes: int, *, bytes_each: int = 4
) -> Prediction:
    """The time of an update, by the model above.

    It knows nothing of processes that share a memory, of slow ones for which the others
    wait, or of products that become less efficient as the parts become small.

    Args:
        work: an update of the joined batch.
        machine: one process's, and the wire.
        processes: n.
        bytes_each: b, of one number of the gradient.

    Raises:
        InvalidType: no number.
        InvalidValue: not positive.

    >>> work = language_model_work(
    ...     tau=64, batch_size=32, hidden_size=128, vocabulary_size=65)
    >>> machine = Machine(rate=50e9, wire=1e9, message=50e-6)
    >>> [round(predict(work, machine, n).speedup, 2) for n in (1, 2, 8)]
    [1.0, 1.91, 5.29]
    """
    n = positive_int("processes", processes)
    number("rate", machine.rate, minimum=0, exclude_minimum=True)
    number("wire", machine.wire, minimum=0, exclude_minimum=True)
    sent = 2 * (n - 1) / n * work.parameters * bytes_each
    messages = 2 * (n - 1) + SMALL_MESSAGES * math.ceil(math.log2(n))
    sums = sent / machine.wire + messages * machine.message
    waiting = machine.fixed + work.steps * machine.step
    whole = work.operations / machine.rate
    seconds = waiting + whole / n + sums
    return Prediction(
        processes=n,
        compute=whole / n,
        waiting=waiting,
        sum=sums,
        sent=sent,
        seconds=seconds,
        targets_per_second=work.targets / seconds,
        speedup=(waiting + whole) / seconds,
    )
