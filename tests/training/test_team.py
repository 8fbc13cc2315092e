"""Several processes train as one does with the joined batch, also after a kill.

Truth: the training by one process, and the team's training that was not interrupted.
All of them run once, in processes that ``teaming`` forks.
"""

import json
import os
import signal
import subprocess
import sys
import time
from itertools import combinations
from pathlib import Path

import pytest

from tests.cli.conftest import TEXT
from tests.training.teaming import CURVES
from throughtime.errors import InvalidValue
from throughtime.training import RunFolder, Team, join_team

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": f"{ROOT}/src:{ROOT}",
    "OMP_NUM_THREADS": "1",
}


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    outcome = subprocess.run(
        [
            sys.executable,
            ROOT / "tests" / "training" / "teaming.py",
            tmp_path_factory.mktemp("teams"),
        ],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert outcome.returncode == 0, outcome.stderr
    return json.loads(outcome.stdout)


def flat(numbers):
    if isinstance(numbers, list):
        return [n for part in numbers for n in flat(part)]
    return [numbers]


@pytest.mark.parametrize("name", CURVES)
def test_the_curve_is_that_of_the_joined_batch(found, name):
    one, two = found["curves"][name]["one"], found["curves"][name]["two"]
    close = 1e-5 if CURVES[name].get("dtype") == "float32" else 1e-10
    assert two[0]["losses"] == pytest.approx(one["losses"], rel=0, abs=close)
    assert two[0]["norms"] == pytest.approx(one["norms"], rel=0, abs=close)
    assert two[0]["tokens"] == one["tokens"]
    assert flat(two[0]["weights"]) == pytest.approx(flat(one["weights"]), abs=close)


def test_a_group_that_torch_has_already(found):
    one = found["curves"]["plain"]["one"]
    first, second = found["group"]
    assert first == second
    assert first["losses"] == pytest.approx(one["losses"], rel=0, abs=1e-10)


@pytest.mark.parametrize("name", CURVES)
def test_all_processes_have_the_same_bits(found, name):
    first, second = found["curves"][name]["two"]
    assert first == second  # weights, and records with their seconds


def test_the_reach_is_measured_on_the_joined_batch(found):
    adaptive = found["curves"]["adaptive"]
    assert adaptive["two"][0]["reach"] == adaptive["one"]["reach"] != []


@pytest.mark.parametrize("name", ["killed-1", "killed-9"])
def test_a_killed_process_changes_no_bit(found, name):
    """With dropout, of which every process has its own."""
    survivor, killed = found["kills"][name]["outcomes"]
    assert killed is None
    assert survivor["error"] == "TrainingError"
    assert "another process of this training is gone" in survivor["text"]
    assert found["kills"][name]["equal"]


@pytest.mark.parametrize("size", ["1", "2", "3"])
def test_another_number_of_processes_goes_on(found, size):
    whole = dict(map(tuple, found["elastic"]["whole"]["steps"]))
    for process in found["elastic"][size]:
        rest = dict(map(tuple, process["steps"]))
        assert list(rest) == list(whole)[len(whole) - len(rest) :]
        assert 0 < len(rest) < len(whole)
        assert rest == pytest.approx({s: whole[s] for s in rest}, rel=0, abs=1e-5)


def test_each_process_has_its_own_dropout(found):
    for one, other in combinations(found["masks"], 2):
        assert all(a != b for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize(
    ("name", "kind", "says"),
    [
        ("outside", "InvalidValue", "targets must lie in [0, 6), got values from"),
        ("alone", "ThroughtimeError", "no such file here"),
        ("disk", "RunError", "cannot write"),
        ("hessian", "InvalidValue", "hessian-free works in one process, got 2"),
        ("few", "InvalidValue", "batch_size must be at least the number of processes"),
    ],
)
def test_an_error_ends_all_with_one_sentence(found, name, kind, says):
    outcomes = found["faults"][name]
    (own,) = [o for o in outcomes if o["error"] != "TeamStopped"]
    assert own["error"] == kind
    assert says in own["text"]
    assert all(own["text"] in o["text"] for o in outcomes)


def test_a_loss_that_is_not_finite_in_one_process(found):
    """All skip, and all go back."""
    first, second = found["faults"]["bad"]
    assert first == second
    assert sum("kind='skipped'" in record for record in first) == 6
    assert sum("kind='restored'" in record for record in first) == 1


# Joining.


@pytest.mark.parametrize(
    ("streams", "size"), [(8, 2), (3, 2), (7, 4), (4, 4), (5, 1), (100, 7)]
)
def test_every_stream_belongs_to_one_process(streams, size):
    parts = []
    for rank in range(size):
        team = Team()  # others need a connection
        team.rank, team.size = rank, size
        parts.append(range(streams)[team.columns(streams)])
    assert [s for part in parts for s in part] == list(range(streams))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"WORLD_SIZE": "2"}, "RANK, MASTER_ADDR, MASTER_PORT must be set"),
        ({"WORLD_SIZE": "two"}, "WORLD_SIZE must be a whole number from 1 on"),
        ({"WORLD_SIZE": "0", "RANK": "0"}, "WORLD_SIZE must be a whole number"),
        (
            {
                "WORLD_SIZE": "2",
                "RANK": "2",
                "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": "1",
            },
            "RANK must be below WORLD_SIZE = 2, got 2",
        ),
    ],
)
def test_variables_that_make_no_team(monkeypatch, variables, says):
    for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InvalidValue, match=says):
        join_team()


# The command line.


def torchrun(folder, *arguments, restarts=0):
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
            *("--nproc-per-node", "2", "--max-restarts", str(restarts)),
            *("-m", "throughtime", "train", "lm", *arguments),
        ],
        cwd=folder,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_torchrun_starts_a_killed_training_again(tmp_path, request):
    (tmp_path / "t.txt").write_text(TEXT)
    process = torchrun(
        tmp_path,
        *("t.txt", "--out", "run", "--hidden-size", "8", "--epochs", "2", "--tau"),
        *("20", "--batch-size", "5", "--set", "dropout=0.2", "--set", "log_every=1"),
        *("--set", "checkpoint_every=5", "--json"),
        restarts=2,
    )
    request.addfinalizer(process.kill)
    metrics = tmp_path / "run" / "metrics.jsonl"
    while not (metrics.exists() and metrics.read_bytes().count(b"\n") > 12):
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.01)
    os.kill(_worker(process.pid, "1"), signal.SIGKILL)
    out, errors = process.communicate(timeout=100)
    assert process.returncode == 0, errors
    result = json.loads(out.splitlines()[-1])
    assert result["run"] == "run"
    steps = [
        r["step"] for r in RunFolder.open(tmp_path / "run").metrics() if "fraction" in r
    ]
    assert steps == list(range(1, len(steps) + 1))
    assert out.count("2 processes") == 2  # said once in each of two lives


def _worker(launcher, rank):
    """The process of this rank that a torchrun has started."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
            if int(parent) == launcher:
                variables = (folder / "environ").read_bytes().split(b"\0")
                if f"RANK={rank}".encode() in variables:
                    return int(folder.name)
        except OSError:
            continue
    raise AssertionError(f"no process of rank {rank}")
