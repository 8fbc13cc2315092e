"""Kill a training with SIGKILL at random moments and compare what it ends with.

    python benchmarks/kill_and_resume.py --trials 20

Every trial starts ``throughtime train lm`` on the built-in corpus, kills it at a random
moment (from the first instruction of the process to the last), resumes it, kills it
once more, and lets it finish. The final weights must be those of an uninterrupted run,
bit by bit.
"""

import argparse
import hashlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COMMAND = [
    sys.executable,
    "-c",
    "from throughtime.cli import main; main()",
    "train",
    "lm",
]
SETTINGS = [
    *("--hidden-size", "48", "--num-layers", "2", "--epochs", "2", "--tau", "32"),
    *("--batch-size", "64", "--set", "dropout=0.2", "--set", "checkpoint_every=20"),
    *("--set", "log_every=1"),
]


def start(folder: Path) -> subprocess.Popen[bytes]:
    arguments = ["--resume", str(folder)] if folder.exists() else []
    arguments = arguments or [*SETTINGS, "--out", str(folder)]
    return subprocess.Popen(
        [*COMMAND, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )


def finish(folder: Path) -> float:
    began = time.monotonic()
    process = start(folder)
    _, errors = process.communicate()
    if process.returncode:
        raise SystemExit(f"{folder}: {errors.decode()}")
    return time.monotonic() - began


def digest(folder: Path) -> str:
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    moments = random.Random(options.seed)
    scratch = Path(tempfile.mkdtemp())
    duration = finish(scratch / "whole")
    want = digest(scratch / "whole")
    print(f"uninterrupted: {duration:.1f} s, {want[:12]}")
    equal = 0
    for trial in range(options.trials):
        folder, kills = scratch / f"trial{trial}", []
        for _ in range(2):
            process = start(folder)
            try:
                process.wait(timeout=moments.uniform(0, duration))
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                kills.append("in a run" if folder.exists() else "before it existed")
            process.communicate()
        finish(folder)
        same = digest(folder) == want
        equal += same
        verdict = "equal" if same else "DIFFERS"
        print(f"trial {trial + 1:2}: {verdict}, kills: {', '.join(kills) or 'none'}")
        if same:
            shutil.rmtree(folder)
        else:
            print(f"          left in {folder}")
    print(f"{equal} of {options.trials} bit-identical")
    if equal == options.trials:
        shutil.rmtree(scratch)
    sys.exit(equal != options.trials)


if __name__ == "__main__":
    main()
