"""Trainings by several processes, for test_team.

    python teaming.py FOLDER

Each process is forked, joins its team by the variables that torchrun would set, trains,
and leaves its result as JSON. Prints one JSON object with all results.
"""

import json
import os
import signal
import socket
import sys
import traceback
from pathlib import Path

import torch
from torch import nn

import throughtime as tt
from tests.training.crashing import result
from tests.training.small import (
    Faulty,
    Model,
    config,
    data,
    make,
    steps_of,
    total_weight,
)
from tests.training.summing import Sums, some
from throughtime.errors import ThroughtimeError
from throughtime.training import EventInfo, RunFolder, Team, join_team, train


def together(size, work, folder):
    """What ``work(team)`` returns in each process; None: it was killed."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    children = [_start(rank, size, port, work, folder) for rank in range(size)]
    outcomes = []
    for rank, child in enumerate(children):
        _, status = os.waitpid(child, 0)
        file = folder / f"outcome-{rank}.json"
        killed = os.WIFSIGNALED(status)
        assert killed or status == 0, f"process {rank} failed with status {status}"
        outcomes.append(None if killed else json.loads(file.read_text()))
        file.unlink(missing_ok=True)
    return outcomes


def _start(rank, size, port, work, folder):
    child = os.fork()
    if child:
        return child
    os.environ |= {
        "RANK": str(rank),
        "WORLD_SIZE": str(size),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    try:
        try:
            with join_team() as team:
                outcome = work(team)
        except ThroughtimeError as error:
            outcome = {"error": type(error).__name__, "text": str(error)}
        (folder / f"outcome-{rank}.json").write_text(json.dumps(outcome))
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


# Loss curves: a team's beside that of one process with the joined batch.


class Layers(nn.Module):
    """Two layers of throughtime, as random truncation and Ω need them."""

    def __init__(self):
        super().__init__()
        self.embedding, self.output = nn.Embedding(6, 8), nn.Linear(8, 6)
        self.rnn = tt.LSTM(8, 8, num_layers=2)

    def forward(self, tokens, state=None):
        h, state = self.rnn(self.embedding(tokens), state)
        return self.output(h), state


def sparse_mask():
    """Few targets count, and other numbers of them in each stream."""
    generator = torch.Generator().manual_seed(2)
    chance = torch.tensor([0.9, 0.2, 0.5, 0.1])
    return torch.rand(40, 4, generator=generator) < chance


CURVES = {
    "plain": {},
    "adam": {"optimizer": "adam", "max_norm": 1.0},
    "float32": {"dtype": "float32"},
    "uneven": {"batch": 3},
    "mask": {"mask": True},
    "sum": {"loss_reduction": "sum", "learning_rate": 0.01, "mask": True},
    "accumulate": {"accumulate": 3, "mask": True},
    "overlapping": {"stride": 2, "batch": 3},
    "sliding": {"truncation": "sliding", "stride": 3, "mask": True},
    "random": {"truncation": "random", "layers": True},
    "adaptive": {"truncation": "adaptive", "measure_every": 3, "batch": 3},
    "full": {"truncation": "full", "tau": None},
    "omega": {"omega": 0.5, "layers": True, "batch": 3},
    "percentile": {"clip_percentile": 50.0},
    "examples": {
        "examples": True,
        "batch_size": 3,
        "truncation": "full",
        "tau": None,
        "learning_rate": 0.01,
    },
    "examples, accumulated": {
        "examples": True,
        "batch_size": 3,
        "accumulate": 2,
        "truncation": "full",
        "tau": None,
        "loss_reduction": "sum",
        "learning_rate": 0.001,
    },
    "plateau": {"schedule": "plateau", "early_stopping": 1, "epochs": 5},
}


def curve(
    team,
    batch=4,
    mask=False,
    dtype="float64",
    layers=False,
    examples=False,
    **options,
):
    torch.manual_seed(team.rank)  # the first one's weights count
    if examples:
        model, parts = Sums(), some(10)
        if not team.is_first:
            nn.init.zeros_(model.read.weight)
    else:
        model = (Layers if layers else Model)().to(getattr(torch, dtype))
        parts = data(batch=batch)
        parts = (*parts, sparse_mask()[:, :batch]) if mask else parts
    records = list(
        train(model, parts, config(**options), validate=total_weight, team=team)
    )
    return {
        "losses": [r.loss for r in steps_of(records)],
        "norms": [r.grad_norm for r in steps_of(records)],
        "tokens": [r.tokens for r in steps_of(records)],
        "records": [repr(r) for r in records if not isinstance(r, EventInfo)],
        "reach": [r.message for r in records if isinstance(r, EventInfo)],
        "weights": [p.tolist() for p in model.parameters()],
    }


# A training that goes back once, with dropout, a schedule and restarts.

SETTINGS = config(
    tau=8,
    stride=6,
    epochs=2,
    optimizer="nadam",
    learning_rate=0.05,
    schedule="plateau",
    decay=0.9,
    checkpoint_every=4,
    log_every=1,
)


def life(folder, fatal=None, *, dropout=0.3, resume=False, batch=3, bad=()):
    """Train; process 1 kills itself at its record number ``fatal``."""

    def work(team):
        model = make(dropout)
        torch.manual_seed(5)
        if resume or not team.is_first:
            run = RunFolder.open(folder) if resume else RunFolder(folder, {})
        else:
            run = RunFolder.create(folder, {}, model)
        steps = []
        for number, record in enumerate(
            train(
                model,
                data(batch=batch),
                SETTINGS,
                run=run,
                validate=total_weight,
                resume=resume,
                team=team,
                loss=Faulty(bad),
            )
        ):
            steps += [(r.step, r.loss) for r in steps_of([record])]
            if team.rank == 1 and number == fatal:
                os.kill(os.getpid(), signal.SIGKILL)
        return {"steps": steps, "weights": [p.tolist() for p in model.parameters()]}

    return work


def kills(folder):
    found = {"whole": together(2, life(folder / "whole"), folder)}
    want = result(folder / "whole")
    for fatal in (1, 9):
        killed = folder / f"killed-{fatal}"
        outcomes = together(2, life(killed, fatal), folder)
        together(2, life(killed, resume=True), folder)
        found[f"killed-{fatal}"] = {
            "outcomes": outcomes,
            "equal": result(killed) == want,
        }
    return found


def elastic(folder):
    """A team of 2 is killed; another number of processes goes on."""
    plain = life(folder / "plain", dropout=0.0)
    whole = plain(Team())
    found = {"whole": whole}
    for size in (1, 2, 3):
        run = folder / f"of-{size}"
        together(2, life(run, 9, dropout=0.0), folder)
        if size == 1:
            found["1"] = [life(run, resume=True, dropout=0.0)(Team())]
        else:
            work = life(run, resume=True, dropout=0.0)
            found[str(size)] = together(size, work, folder)
    return found


def faults(folder):
    def outside(team):
        """Only the last stream, which is not the first process's, has a bad target."""
        inputs, targets = data(batch=4)
        targets = targets.index_fill(1, torch.tensor(3), 99)
        return len(list(train(make(), (inputs, targets), config(), team=team)))

    def alone(team):
        if team.rank == 1:
            raise ThroughtimeError("no such file here")
        return len(list(train(make(), data(), config(), team=team)))

    def disk(team):
        if team.is_first:
            RunFolder.create(folder / "gone", {}, make())
        run = RunFolder(folder / "gone", {})
        for number, _ in enumerate(
            train(make(), data(), config(checkpoint_every=1), run=run, team=team)
        ):
            if team.is_first and number == 2:
                (folder / "gone" / "metrics.jsonl").unlink()
                (folder / "gone" / "metrics.jsonl").mkdir()
        return number

    def bad_update(team):
        """One process's loss is not finite for a while."""
        loss = Faulty([3, *range(6, 11)] if team.rank else [])
        records = list(train(make(0.3), data(), config(), team=team, loss=loss))
        return [repr(record) for record in records]

    return {
        "outside": together(2, outside, folder),
        "alone": together(2, alone, folder),
        "disk": together(2, disk, folder),
        "few": together(4, lambda team: team.columns(3).start, folder),
        "hessian": together(
            2, lambda team: len(list(curve(team, optimizer="hessian-free"))), folder
        ),
        "bad": together(2, bad_update, folder),
    }


def masks(folder):
    """Dropout masks and weights of three processes."""

    def work(team):
        torch.manual_seed(3)
        model, seen = nn.Dropout(0.5), []

        class Watched(Model):
            def forward(self, tokens, state=None):
                outputs = super().forward(tokens, state)
                seen.append(model(torch.ones(8)).tolist())
                return outputs

        list(train(Watched(), data(), config(epochs=1), team=team))
        return seen

    return together(3, work, folder)


def main(folder):
    found = {
        "curves": {
            name: {
                "one": curve(Team(), **options),
                "two": together(2, lambda team, o=options: curve(team, **o), folder),
            }
            for name, options in CURVES.items()
        },
        "kills": kills(folder / "kills"),
        "elastic": elastic(folder / "elastic"),
        "faults": faults(folder / "faults"),
        "masks": masks(folder / "masks"),
        # torch has a group already, as where another launcher has made it.
        "group": together(2, lambda team: curve(join_team()), folder),
    }
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
