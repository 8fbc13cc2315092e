"""A training that kills itself, for test_resume.

    python crashing.py FOLDER          one training, resumed where FOLDER has one
    python crashing.py FOLDER --all    killed at every moment that could matter

With --all each life is a forked process that sends itself SIGKILL at its n-th write to
the disk, before it or half way through, or at its n-th record. The next lives
resume, are killed at random once or twice more, and finish. Prints one JSON object.
"""

import builtins
import json
import math
import os
import random
import shutil
import signal
import sys
from functools import partial
from pathlib import Path

from tests.training.small import config, data, make, total_weight
from throughtime.losses import cross_entropy
from throughtime.training import RunFolder, train

SETTINGS = config(
    tau=8,
    stride=6,
    epochs=2,
    learning_rate=3.0,
    optimizer="nadam",
    schedule="plateau",
    decay=0.9,
    checkpoint_every=4,
    log_every=2,
)


def loss(logits, targets, *, mask=None, reduction="mean"):
    """Not finite where the weights have grown large, so that training goes back."""
    value = cross_entropy(logits, targets, mask=mask, reduction=reduction)
    return value * math.inf if logits.abs().max() > 10 else value


def live(folder, tick):
    """Train to the end, from wherever the folder stands."""
    resume = folder.exists()
    model = make(0.3)
    run = RunFolder.open(folder) if resume else RunFolder.create(folder, {}, model)
    for _ in train(
        model,
        data(),
        SETTINGS,
        run=run,
        validate=total_weight,
        resume=resume,
        loss=loss,
    ):
        tick()


def result(folder):
    """Everything that must not depend on interruptions."""
    run = RunFolder.open(folder)
    timing = ("seconds", "tokens_per_second")
    metrics = [
        {k: v for k, v in record.items() if k not in timing} for record in run.metrics()
    ]
    state = run.load_state()
    state["progress"].pop("seconds")
    state.pop("metrics_size")  # timings have more or fewer digits
    tensors = [t.tolist() for t in state.pop("weights").values()]
    return {
        "model": (folder / "model.safetensors").read_bytes().hex(),
        "files": sorted(p.name for p in folder.iterdir()),
        "weights": tensors,
        "metrics": metrics,
        "state": repr(state),
    }


class TornFile:
    """A file that is written in two halves, with a moment in between."""

    def __init__(self, file, tick):
        self.file, self.tick = file, tick

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.file.close()

    def __getattr__(self, name):
        return getattr(self.file, name)

    def write(self, content):
        half = len(content) // 2
        self.file.write(content[:half])
        self.file.flush()
        self.tick()
        self.file.write(content[half:])


def _after(tick, real, *arguments):
    tick()
    return real(*arguments)


def watch(tick):
    """Call ``tick`` before everything that changes the disk.

    After one change is before the next, or before the next record.
    """
    for name in ("fsync", "replace", "rename", "truncate"):
        setattr(os, name, partial(_after, tick, getattr(os, name)))
    real_open = builtins.open

    def torn_open(file, mode="r", **options):
        opened = real_open(file, mode, **options)
        return TornFile(opened, tick) if mode[0] in "wa" else opened

    builtins.open = torn_open


def life(folder, fatal):
    """One process that trains and dies at its tick number ``fatal``: whether it did."""
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
            return True
        assert status == 0, f"life failed with status {status}"
        return False
    ticks = 0

    def tick():
        nonlocal ticks
        ticks += 1
        if ticks == fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    try:
        watch(tick)
        live(folder, tick)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        os._exit(1)
    os._exit(0)


def main(folder):
    moments, kills, differ = random.Random(0), 0, []
    life(folder / "whole", None)
    want = result(folder / "whole")
    fatal = 1
    while life(folder / "killed", fatal):
        kills += 1
        for _ in range(moments.randrange(2)):
            kills += life(folder / "killed", moments.randrange(1, 80))
        life(folder / "killed", None)
        if result(folder / "killed") != want:
            differ.append(fatal)
        shutil.rmtree(folder / "killed")
        fatal += 1
    events = [r["kind"] for r in want["metrics"] if r["record"] == "event"]
    restored = events.count("restored")
    say(json.dumps({"kills": kills, "differ": differ, "restored": restored}))


def say(line):
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    if "--all" in sys.argv:
        main(Path(sys.argv[1]))
    else:
        live(Path(sys.argv[1]), lambda: say("record"))
        say("finished")
