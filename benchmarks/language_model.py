"""Time the training of a language model on Penn Treebank against plain torch.

    THROUGHTIME_DATA=folder python benchmarks/language_model.py --out lm.json

The settings of the word language model of pytorch/examples: a tied LSTM of two layers,
35 steps of 20 streams, SGD, gradients clipped at 0.25. Both train in turns in one
process, ours by the real training loop; medians of the rounds. Besides: the share of
each part of a step, the loss of both from equal weights without dropout, the peak
memory of a process of each, and the output layer with its loss alone.

The losses are compared at a learning rate of 1: at 20, that of the example, training is
chaotic at the beginning, and any difference in rounding grows to some percent of the
loss. How much it grows at 1 shows a third training, torch from weights changed by one
rounding.
"""

import argparse
import copy
import gzip
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from word_models import STEPS, STREAMS, Plain, our_losses, pair, plain_losses

import throughtime as tt
from throughtime import kernels
from throughtime.data import streams
from throughtime.models import LanguageModel
from throughtime.training import clip_norm, global_norm

# Features, and the dropout that belongs to them.
SIZES = {200: 0.2, 650: 0.5}
TRAJECTORY, CALM_RATE = 100, 1.0
MEMORY_UPDATES = 10

Run = Callable[[], Any]


def interleaved(runs: dict[str, Run], rounds: int) -> dict[str, float]:
    """Median seconds of each run."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        run()
        run()
    for _ in range(rounds):
        for name, run in runs.items():
            began = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - began)
    return {name: statistics.median(found) for name, found in times.items()}


def speed(data: tuple[Tensor, Tensor], words: int, size: int, rounds: int) -> Any:
    plain, ours = pair(words, size, SIZES[size])
    updates = {
        "torch": plain_losses(plain, *data),
        "throughtime": our_losses(ours, *data),
    }
    seconds = interleaved(
        {name: lambda u=update: next(u) for name, update in updates.items()}, rounds
    )
    rates = {name: STEPS * STREAMS / found for name, found in seconds.items()}
    return {
        "hidden_size": size,
        "rounds": rounds,
        "seconds_per_update": seconds,
        "tokens_per_second": rates,
        "ratio": rates["throughtime"] / rates["torch"],
        "parts": parts(plain, ours, rounds),
    }


def parts(plain: Plain, ours: LanguageModel, rounds: int) -> dict[str, float]:
    """Median seconds of the parts of an update, each alone with its backward pass."""
    size = ours.config.hidden_size
    weight = ours.embedding_weight
    assert weight is not None
    weight = weight.detach().clone().requires_grad_()
    words = len(weight)
    bias = torch.zeros(words, requires_grad=True)
    tokens = torch.randint(0, words, (STEPS, STREAMS))
    x = torch.randn(STEPS, STREAMS, size, requires_grad=True)
    upstream = torch.randn(STEPS, STREAMS, size)
    leaves = [weight, bias, x]

    def cleared() -> None:
        for leaf in leaves:
            leaf.grad = None

    def layers(module: nn.Module) -> Run:
        def run() -> None:
            module.zero_grad()
            cleared()
            module(x)[0].backward(upstream)

        return run

    def plain_loss() -> None:
        cleared()
        logits = F.linear(x, weight, bias)
        F.cross_entropy(logits.flatten(0, 1), tokens.flatten()).backward()

    def our_loss() -> None:
        cleared()
        tt.linear_cross_entropy(x, weight, tokens, bias=bias).backward()

    def embedding(sparse: bool) -> Run:
        def run() -> None:
            cleared()
            F.embedding(tokens, weight, sparse=sparse).backward(upstream)

        return run

    parameters = list(ours.parameters())
    for parameter in parameters:
        parameter.grad = torch.randn_like(parameter)
    optimizer = torch.optim.SGD(parameters, lr=1e-9)

    def our_clip() -> None:
        norm = global_norm(p.grad for p in parameters if p.grad is not None)
        clip_norm(parameters, 0.9 * norm, norm=norm)

    return interleaved(
        {
            "torch layers": layers(plain.rnn),
            "layers": layers(ours.recurrent),
            "torch output and loss": plain_loss,
            "output and loss": our_loss,
            "torch embedding": embedding(False),
            "embedding": embedding(True),
            "torch clipping": lambda: nn.utils.clip_grad_norm_(parameters, 1e-3),
            "clipping": our_clip,
            "step of the optimiser": optimizer.step,
        },
        rounds,
    )


def trajectory(data: tuple[Tensor, Tensor], words: int, size: int) -> dict[str, Any]:
    """Losses from equal weights without dropout, and from weights rounded otherwise.

    All clip by the same formula: torch's adds 1e-6 to the norm.
    """
    plain, ours = pair(words, size, 0.0)
    rounded = copy.deepcopy(plain)
    with torch.no_grad():
        for parameter in rounded.parameters():
            # Each number by as much as one rounding changes it, up or down.
            signs = torch.empty_like(parameter).bernoulli_().mul_(2).sub_(1)
            parameter *= 1 + signs * torch.finfo(parameter.dtype).eps
    runs = {
        "torch": plain_losses(plain, *data, CALM_RATE, clip_norm),
        "throughtime": our_losses(ours, *data, rate=CALM_RATE),
        "torch rounded": plain_losses(rounded, *data, CALM_RATE, clip_norm),
    }
    losses = {
        name: [next(run) for _ in range(TRAJECTORY)] for name, run in runs.items()
    }
    differences = {
        name: [abs(a - b) / b for a, b in zip(found, losses["torch"], strict=True)]
        for name, found in losses.items()
    }
    return {"hidden_size": size, "losses": losses, "differences": differences}


def loss_alone(words: int, size: int, rounds: int) -> dict[str, Any]:
    rows = STEPS * STREAMS
    h = torch.randn(rows, size, requires_grad=True)
    weight = (torch.randn(words, size) * 0.1).requires_grad_()
    bias = torch.zeros(words, requires_grad=True)
    targets = torch.randint(0, words, (rows,))
    leaves = (h, weight, bias)

    def gradient(loss: Callable[[], Tensor]) -> Run:
        return lambda: torch.autograd.grad(loss(), leaves)

    runs = {
        "linear and cross_entropy": gradient(
            lambda: F.cross_entropy(F.linear(h, weight, bias), targets)
        ),
        "throughtime": gradient(
            lambda: tt.linear_cross_entropy(h, weight, targets, bias=bias)
        ),
    }
    if hasattr(F, "linear_cross_entropy"):
        options = nn.LinearCrossEntropyOptions()

        def chunked() -> None:  # torch.autograd.grad does not fit its backward pass
            for leaf in leaves:
                leaf.grad = None
            F.linear_cross_entropy(
                h, weight, targets, linear_bias=bias, options=options
            ).backward()

        runs["linear_cross_entropy in chunks"] = chunked
    seconds = interleaved(runs, rounds)
    return {"shape": (rows, size, words), "seconds": seconds}


def peak_memory(data: tuple[Tensor, Tensor], words: int, size: int) -> dict[str, float]:
    """Largest resident memory, in MB, of a process that trains one of the models."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        # A process that read the text would remember that as its peak.
        part = torch.stack(data)[:, : (MEMORY_UPDATES + 1) * STEPS]
        np.save(Path(folder) / "streams.npy", part.numpy())
        for name in ("nothing", "torch", "throughtime"):
            command = [sys.executable, __file__, "--child", name, str(words), folder]
            command += ["--sizes", str(size), "--threads", str(torch.get_num_threads())]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            found[name] = float(done.stdout)
    return found


def child(name: str, words: int, folder: str, size: int) -> None:
    inputs, targets = torch.from_numpy(np.load(Path(folder) / "streams.npy"))
    plain, ours = pair(words, size, SIZES[size])
    updates = plain_losses(plain, inputs, targets)
    if name == "throughtime":
        updates = our_losses(ours, inputs, targets)
    for _ in range(0 if name == "nothing" else MEMORY_UPDATES):
        next(updates)
    # Not ru_maxrss, in which Linux counts the process that started this one.
    status = Path("/proc/self/status").read_text().splitlines()
    print(next(int(line.split()[1]) for line in status if "VmHWM" in line) / 1024)


def load() -> tuple[tuple[Tensor, Tensor], int]:
    """Streams of the training text, and the number of different words."""
    path = Path(os.environ.get("THROUGHTIME_DATA", "")) / "ptb" / "ptb.train.txt.gz"
    if not path.is_file():
        raise SystemExit(
            "needs Penn Treebank: set THROUGHTIME_DATA to a folder with "
            "ptb/ptb.train.txt.gz"
        )
    with gzip.open(path, "rt") as file:
        text = file.read().replace("\n", " <eos> ").split()
    numbers = {word: i for i, word in enumerate(dict.fromkeys(text))}
    return streams(torch.tensor([numbers[w] for w in text]), STREAMS), len(numbers)


def report(row: dict[str, Any]) -> None:
    rates, found = row["tokens_per_second"], row["parts"]
    print(
        f"\nH={row['hidden_size']}: {rates['throughtime']:,.0f} tokens/s, torch "
        f"{rates['torch']:,.0f}: {row['ratio']:.2f}x"
    )
    for ours, name in ((False, "torch"), (True, "throughtime")):
        whole = row["seconds_per_update"][name]
        shares = {
            part.removeprefix("torch "): seconds
            for part, seconds in found.items()
            if part.startswith("torch ") != ours
        }
        shares["step of the optimiser"] = found["step of the optimiser"]
        text = ", ".join(f"{p} {1e3 * s:.1f}" for p, s in shares.items())
        rest = whole - sum(shares.values())
        print(f"  {name} {1e3 * whole:.1f} ms: {text}, rest {1e3 * rest:.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--sizes", nargs="+", type=int, default=list(SIZES))
    parser.add_argument("--out", type=Path, help="write all results here, as JSON")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    if arguments.child:
        name, words, folder = arguments.child
        child(name, int(words), folder, arguments.sizes[0])
        return
    data, words = load()
    core = kernels.library()
    if core is None:
        raise SystemExit(kernels.missing())
    print(
        f"torch {torch.__version__}, {core.instruction_set}, {arguments.threads} "
        f"threads, {words:,} words"
    )
    result: dict[str, Any] = {
        "torch": torch.__version__,
        "threads": arguments.threads,
        "instruction_set": core.instruction_set,
        "words": words,
        "speed": [],
        "loss_alone": [],
        "trajectory": [],
        "peak_memory": {},
    }
    for size in arguments.sizes:
        row = speed(data, words, size, arguments.rounds)
        report(row)
        alone = loss_alone(words, size, arguments.rounds)
        text = ", ".join(f"{n} {1e3 * s:.1f} ms" for n, s in alone["seconds"].items())
        print(f"  output and loss of {alone['shape']}: {text}")
        path = trajectory(data, words, size)
        print(f"  relative difference of the loss from torch's, {TRAJECTORY} updates:")
        for name in ("throughtime", "torch rounded"):
            found = path["differences"][name]
            print(
                f"    {name}: the first ten up to {max(found[:10]):.1e}, half "
                f"{max(found[: TRAJECTORY // 2]):.1e}, all {max(found):.1e}"
            )
        memory = peak_memory(data, words, size)
        text = ", ".join(f"{name} {value:.0f} MB" for name, value in memory.items())
        print(f"  peak memory: {text}")
        result["speed"].append(row)
        result["loss_alone"].append(alone)
        result["trajectory"].append(path)
        result["peak_memory"][size] = memory
    if arguments.out:
        arguments.out.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
