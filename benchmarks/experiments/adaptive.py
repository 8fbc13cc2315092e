"""Adaptive truncation beside full and fixed backpropagation through time.

    python benchmarks/experiments/adaptive.py

Two tasks. A character language model of Tiny Shakespeare (GRU of 256 units, 32 streams,
Adam, 3 passes), where the reference goes back 256 steps at every update; and the adding
problem over 100 steps (GRU of 64 units, batches of 32), where it goes back to the first
step. The figure is the training time until the reference's best error is reached to
within 1 %, or never. Times are of one thread; validation does not count.
"""

import os
import time
from pathlib import Path

import torch
from common import Cell, Row, arguments, chosen, run
from torch import nn

import throughtime as tt
from throughtime.data import build_vocabulary, evaluation_streams, read_text, streams
from throughtime.models.scoring import evaluate
from throughtime.training import (
    AdaptiveBPTT,
    EventInfo,
    StepInfo,
    TrainingConfig,
    ValidationInfo,
    clip_norm,
    measure_reach,
    train,
)

STEPS, BATCH, UPDATES, EVERY, AIM = 100, 32, 4000, 100, 1e-3
LONGEST, EPOCHS = 256, 3
SHAKESPEARE = {
    "reference": {"tau": LONGEST},
    "adaptive 5 %": {"truncation": "adaptive", "tau": LONGEST, "epsilon": 0.05},
    "adaptive 1 %": {"truncation": "adaptive", "tau": LONGEST, "epsilon": 0.01},
    "chunked 16": {"tau": 16},
    "chunked 64": {"tau": 64},
}
ADDING = {
    "reference": None,
    "adaptive 5 %": AdaptiveBPTT(0.05, STEPS, 20),
    "adaptive 1 %": AdaptiveBPTT(0.01, STEPS, 20),
    "chunked 16": 16,
    "chunked 64": 64,
}
CELLS = [
    *({"task": "shakespeare", "method": name, "seed": 1} for name in SHAKESPEARE),
    *(
        {"task": "adding", "method": name, "seed": seed}
        for name in ADDING
        for seed in (1, 2, 3)
    ),
]


def shakespeare(cell: Cell) -> Row:
    text = read_text(sorted(Path(os.environ["THROUGHTIME_DATA"]).glob(
        "tiny-shakespeare/*.txt")))  # fmt: skip
    cut = int(0.9 * len(text))
    vocabulary = build_vocabulary(text[:cut], "char")
    held_out = evaluation_streams(vocabulary.encode(text[cut:]), 32)
    config = TrainingConfig(
        batch_size=BATCH,
        epochs=EPOCHS,
        learning_rate=4e-3,
        schedule="linear",
        measure_every=200,
        seed=cell["seed"],
        **SHAKESPEARE[cell["method"]],
    )
    torch.manual_seed(cell["seed"])
    options = tt.models.LanguageModelConfig(cell="gru", hidden_size=256)
    model = tt.models.LanguageModel(len(vocabulary), options)

    def validate(model: nn.Module) -> float:
        model.eval()
        with torch.no_grad():
            return evaluate(model, *held_out).loss

    curve, reaches, updates = [], [], 0
    data = streams(vocabulary.encode(text[:cut]), BATCH)
    for record in train(model, data, config, validate=validate):
        if isinstance(record, StepInfo):
            updates = record.step
        elif isinstance(record, ValidationInfo):
            curve.append((record.seconds, record.loss))
        elif isinstance(record, EventInfo) and record.kind == "reach":
            reaches.append((record.step, record.value))
    return {"updates": updates, "curve": curve, "reaches": reaches}


def adding(cell: Cell) -> Row:
    torch.manual_seed(cell["seed"])
    layer, read = tt.Recurrent(tt.cells.GRU(2, 64)), nn.Linear(64, 1)
    model = nn.ModuleList([layer, read])
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    test = tt.data.adding(STEPS, 1000)
    method = ADDING[cell["method"]]
    tau = method if isinstance(method, int) else STEPS
    curve, reaches, spent = [], [], 0.0
    for update in range(1, UPDATES + 1):
        began = time.perf_counter()
        x, target = tt.data.adding(STEPS, BATCH)

        def loss(h, target=target):
            return ((read(h)[:, 0] - target) ** 2).mean()

        if isinstance(method, AdaptiveBPTT) and update % method.every == 1:
            ladder = method.ladder(STEPS)
            reach = measure_reach(
                model, layer, x, None, loss, lags=ladder, epsilon=method.epsilon
            )
            tau = reach.tau
            reaches.append((update, tau))
        state = None
        if tau < STEPS:
            with torch.no_grad():
                state = layer(x[:-tau])[1]
        optimizer.zero_grad()
        loss(layer(x[-tau:], state)[0][-1]).backward()
        clip_norm(model.parameters(), 5.0)
        optimizer.step()
        spent += time.perf_counter() - began
        if update % EVERY == 0:
            with torch.no_grad():
                h = layer(test[0])[0][-1]
                curve.append((spent, float(((read(h)[:, 0] - test[1]) ** 2).mean())))
            if curve[-1][1] < AIM:
                break
    return {"updates": update, "curve": curve, "reaches": reaches}


def train_cell(cell: Cell) -> Row:
    return shakespeare(cell) if cell["task"] == "shakespeare" else adding(cell)


def table(rows: list[Row]) -> None:
    def of(task: str, method: str) -> list[Row]:
        return [r for r in rows if r["task"] == task and r["method"] == method]

    for task, methods in (("shakespeare", SHAKESPEARE), ("adding", ADDING)):
        reference = of(task, "reference")
        if not reference:
            continue
        best = min(value for row in reference for _, value in row["curve"])
        aim = AIM if task == "adding" else 1.01 * best
        print(f"\n{task}: aim {aim:.4f}")
        print("| method | best | seconds to the aim | updates | reach found |")
        print("| --- | ---: | ---: | ---: | --- |")
        for method in methods:
            for row in of(task, method):
                reached = [s for s, value in row["curve"] if value <= aim]
                lags = [lag for _, lag in row["reaches"]]
                shown = f"{lags[0]}, then {min(lags)} to {max(lags)}" if lags else ""
                print(
                    f"| {method} | {min(v for _, v in row['curve']):.4f} | "
                    f"{f'{reached[0]:.0f}' if reached else 'never'} | "
                    f"{row['updates']} | {shown} |"
                )


if __name__ == "__main__":
    options = arguments(__doc__ or "", "adaptive.jsonl").parse_args()
    cells = [] if options.table else chosen(CELLS, options.only)
    table(run(cells, train_cell, options.results, options.jobs))
