"""One process beside two, and what the model of ``training/scaling.py`` says.

    OMP_NUM_THREADS=1 python benchmarks/scaling.py --out scaling.json
    python benchmarks/scaling.py --page scaling.json --into docs/scaling.md

Two processes of one thread each. In every round, in turns: an update by one process
with all streams, one with half of them, one by both together, and a sum alone. Medians,
of the clock and of the first process's processor time: where others use the cores too,
only the second says anything.
"""

import argparse
import json
import os
import platform
import socket
import statistics
import sys
import time
from pathlib import Path

import torch

from throughtime.models import LanguageModel, LanguageModelConfig
from throughtime.training import Team, TrainingConfig, join_team, train
from throughtime.training.scaling import (
    Machine,
    Work,
    language_model_work,
    predict,
)

CASES = {  # T, B, H, V, L
    "characters": (64, 64, 128, 65, 1),
    "words": (35, 20, 200, 10000, 2),
    "large": (64, 64, 512, 256, 1),
}
# Not measured here: a GPU as one could expect it to be, to show which term counts.
GPU = Machine(rate=30e12, wire=20e9, message=20e-6, fixed=1e-3, step=30e-6)
GPU_CASES = {  # the batch as it is, and growing with the number of GPUs
    "words, B = 64 · 100 together": (35, 6400, 1500, 10000, 2, False),
    "words, B = 640 each": (35, 640, 1500, 10000, 2, True),
}
COUNTS = (1, 2, 8, 100)
MARKS = ("<!-- benchmarks/scaling.py -->", "<!-- end -->")


def work_of(case: tuple[int, ...]) -> Work:
    steps, batch, hidden, vocabulary, layers = case
    return language_model_work(
        tau=steps,
        batch_size=batch,
        hidden_size=hidden,
        vocabulary_size=vocabulary,
        num_layers=layers,
    )


def updates(case: tuple[int, ...], streams: int, team: Team):
    """A training of which each ``next`` is one update."""
    steps, _, hidden, vocabulary, layers = case
    torch.manual_seed(0)
    config = LanguageModelConfig(hidden_size=hidden, num_layers=layers)
    model = LanguageModel(vocabulary, config)
    tokens = torch.randint(vocabulary, (steps * 8 + 1, streams))
    settings = TrainingConfig(
        tau=steps, batch_size=streams, epochs=10**6, checkpoint_every=10**6
    )
    return train(model, (tokens[:-1], tokens[1:]), settings, team=team)


def measure(team: Team, case: tuple[int, ...], seconds: float) -> dict:
    batch, work = case[1], work_of(case)
    gradient = torch.zeros(work.parameters)
    alone = {
        "all": updates(case, batch, Team()),
        "half": updates(case, batch // 2, Team()),
    }
    both = updates(case, batch, team)
    runs = {
        **{name: lambda u=u: next(u) for name, u in alone.items()},
        "together": lambda: next(both),
        "sum": lambda: team.sum([gradient]),
        "message": lambda: team.first(0.0),
    }
    times = {name: [] for name in runs}
    busy = {name: [] for name in runs}
    began, going = time.perf_counter(), True
    while going:
        for name, run in runs.items():
            team.barrier()
            if name in alone and not team.is_first:
                continue
            start, start_busy = time.perf_counter(), time.process_time()
            run()
            times[name].append(time.perf_counter() - start)
            busy[name].append(time.process_time() - start_busy)
        more = time.perf_counter() - began < seconds or len(times["sum"]) < 6
        going = bool(team.first(float(more)))
    return {
        kind: {name: statistics.median(t[1:] or [0.0]) for name, t in found.items()}
        for kind, found in (("wall", times), ("processor", busy))
    }


def results(team: Team, seconds: float) -> dict:
    rows, load = [], os.getloadavg()[0]
    for name, case in CASES.items():
        row = {"name": name, "case": case, **measure(team, case, seconds)}
        rows.append(row)
        if team.is_first:
            print(row, file=sys.stderr)
    return {
        "machine": platform.processor() or platform.machine(),
        "torch": torch.__version__,
        "cores": os.cpu_count(),
        "load": load,
        "rows": rows,
    }


def machine_of(work: Work, times: dict[str, float]) -> Machine:
    """From an update with all streams, one with half of them, and a sum."""
    fixed = max(2 * times["half"] - times["all"], 0.0)
    message = times["message"]
    wire = 4 * work.parameters / max(times["sum"] - 2 * message, 1e-9)
    return Machine(work.operations / (times["all"] - fixed), wire, message, fixed)


def table(first: str, heads: list[str], rows: list[list[str]]) -> list[str]:
    lines = [
        "",
        f"| {first} | {' | '.join(heads)} |",
        "| --- |" + " ---: |" * len(heads),
    ]
    return [*lines, *(f"| {' | '.join(row)} |" for row in rows), ""]


def page(found: dict) -> str:
    parts = [
        f"Measured: {found['machine']}, {found['cores']} cores, load before "
        f"{found['load']:.1f}, torch {found['torch']},",
        "two processes of one thread each; milliseconds per update by the clock.",
        *measured(found, "wall"),
        "Processor time of the first process:",
        *measured(found, "processor"),
        *computed(found),
        *for_gpus(),
    ]
    return "\n".join(parts).strip()


def measured(found: dict, kind: str) -> list[str]:
    heads = ["one process", "two", "speedup", "computed for two", "products"]
    heads += ["waiting", "sum", "GFLOP/s of a process", "MB summed"]
    rows = []
    for row in found["rows"]:
        work, times = work_of(tuple(row["case"])), row[kind]
        machine = machine_of(work, times)
        two, took = predict(work, machine, 2), times["together"]
        rows.append(
            [
                f"{row['name']} ({', '.join(map(str, row['case']))})",
                f"{1e3 * times['all']:.1f}",
                f"{1e3 * took:.1f}",
                f"{times['all'] / took:.2f}",
                f"{1e3 * two.seconds:.1f} ({two.seconds / took - 1:+.0%})",
                f"{1e3 * two.compute:.1f}",
                f"{1e3 * two.waiting:.1f}",
                f"{1e3 * two.sum:.1f}",
                f"{machine.rate / 1e9:.0f}",
                f"{4e-6 * work.parameters:.2f}",
            ]
        )
    return table("model (T, B, H, V, L)", heads, rows)


def computed(found: dict) -> list[str]:
    rows = []
    for row in found["rows"]:
        work = work_of(tuple(row["case"]))
        machine = machine_of(work, row["processor"])
        rows.append([row["name"], *(cell(predict(work, machine, n)) for n in COUNTS)])
    return [
        "Computed from the processor time for more processes, each with a core and a",
        "wire of its own: targets per second and, in brackets, the speedup.",
        *table("processes", [str(n) for n in COUNTS], rows),
    ]


def for_gpus() -> list[str]:
    rows = []
    for name, (*case, grows) in GPU_CASES.items():
        one = predict(work_of(tuple(case)), GPU, 1).targets_per_second
        row = [name]
        for n in COUNTS:
            sized = (case[0], case[1] * (n if grows else 1), *case[2:])
            part = predict(work_of(sized), GPU, n)
            row.append(cell(part, part.targets_per_second / one))
        rows.append(row)
    return [
        "Computed for GPUs as they may be, not measured: each "
        f"{GPU.rate / 1e12:.0f} TFLOP/s in training,",
        f"{GPU.wire / 1e9:.0f} GB/s between them, {1e6 * GPU.message:.0f} µs a "
        f"message, {1e6 * GPU.step:.0f} µs a step of a layer,",
        f"{1e3 * GPU.fixed:.0f} ms an update. LSTM of two layers, H = 1500, V = "
        "10,000, T = 35.",
        *table("GPUs", [str(n) for n in COUNTS], rows),
    ]


def cell(part, speedup: float | None = None) -> str:
    speedup = part.speedup if speedup is None else speedup
    return f"{part.targets_per_second:,.0f} ({speedup:.1f})"


def run(seconds: float) -> dict:
    """Fork the second process; both join one team."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    os.environ |= {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    child = os.fork()
    os.environ["RANK"] = "0" if child else "1"
    with join_team() as team:
        found = results(team, seconds)
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20, help="for each model")
    parser.add_argument("--out", type=Path, help="JSON to write")
    parser.add_argument("--page", type=Path, help="JSON to read instead of measuring")
    parser.add_argument("--into", type=Path, help="page whose tables to replace")
    options = parser.parse_args()
    if options.page:
        found = json.loads(options.page.read_text())
    else:
        torch.set_num_threads(1)
        found = run(options.seconds)
    if options.out:
        options.out.write_text(json.dumps(found, indent=1) + "\n")
    if options.into:
        text = options.into.read_text()
        before, after = text.split(MARKS[0])[0], text.split(MARKS[1])[1]
        tables = f"{MARKS[0]}\n\n{page(found)}\n\n{MARKS[1]}"
        options.into.write_text(before + tables + after)
    else:
        print(page(found))


if __name__ == "__main__":
    main()
