"""5-gram modified Kneser-Ney: time, memory and queries, against nltk and KenLM.

    THROUGHTIME_DATA=folder python benchmarks/ngrams.py --out ngrams.json
    THROUGHTIME_DATA=folder python benchmarks/ngrams.py --only large --lmplz lmplz

Times are wall time and processor time of all threads; on a machine that others use too,
only the second compares.

* ptb: the training text of the Penn Treebank as one stream, counted and estimated.
* nltk: the first words of it. nltk counts when it fits, and makes each probability when
  asked (of its Kneser-Ney, which has one discount): measured on some n-grams, and told
  for all that ours has made.
* large: generated text in a file, with independent lines as lmplz has them, each side
  in a process of its own. Ours: vocabulary, tokens, counts, probabilities; then an ARPA
  file and a binary one. lmplz: all up to its ARPA file, with 1 GB to sort in.
* external: the counts of that text with 300 MB, from a memory-mapped file.
* queries: log P of the words of the Penn Treebank's test text, with ours at once and
  with the kenlm module word by word, both from the same ARPA file.
"""

import argparse
import gzip
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from common import Row
from generated_text import write_text

from throughtime.data.files import read_blocks
from throughtime.data.vocabulary import Vocabulary, build_vocabulary
from throughtime.models.ngram.arpa import write_arpa
from throughtime.models.ngram.binary import save_levels
from throughtime.models.ngram.external import count_ngrams_external
from throughtime.models.ngram.model import NGramLM

ORDER, LMPLZ_MEMORY, EXTERNAL_MEMORY = 5, "1G", "300MB"
NLTK_TOKENS, NLTK_SCORES = 20_000, 100


def timed(run: Callable[[], Any]) -> tuple[Any, Row]:
    wall, processor = time.perf_counter(), time.process_time()
    result = run()
    took = time.process_time() - processor
    return result, {"seconds": time.perf_counter() - wall, "processor": took}


def ptb(part: str) -> list[str]:
    folder = os.environ.get("THROUGHTIME_DATA")
    if folder is None:
        raise SystemExit("set THROUGHTIME_DATA to the folder that holds ptb/")
    packed = Path(folder) / "ptb" / f"ptb.{part}.txt.gz"
    with gzip.open(packed, "rt", encoding="utf-8") as file:
        return file.read().replace("\n", " <eos> ").split()


def indices(words: Sequence[str], known: dict[str, int]) -> np.ndarray:
    """Token numbers; a word that is new gets the next one."""
    return np.array([known.setdefault(word, len(known)) for word in words], np.int32)


def fit(tokens: np.ndarray, size: int, boundary: int | None = None) -> NGramLM:
    return NGramLM(ORDER, vocabulary_size=size).fit(tokens, boundary=boundary)


def run_ptb(options: argparse.Namespace) -> Row:
    del options
    known: dict[str, int] = {}
    tokens = indices(ptb("train"), known)
    runs = [timed(lambda: fit(tokens, len(known))) for _ in range(3)]
    model, best = min(runs, key=lambda run: run[1]["processor"])
    ngrams = [len(level.words) for level in model.levels]
    return {**best, "tokens": len(tokens), "ngrams": ngrams}


def run_nltk(options: argparse.Namespace) -> Row:
    from nltk.lm import KneserNeyInterpolated
    from nltk.util import everygrams

    del options
    words = ptb("train")[:NLTK_TOKENS]
    theirs = KneserNeyInterpolated(ORDER)
    _, counting = timed(
        lambda: theirs.fit([list(everygrams(words, max_len=ORDER))], words)
    )
    generator = random.Random(0)
    places = generator.sample(range(ORDER, len(words)), NLTK_SCORES)
    _, scoring = timed(
        lambda: [theirs.score(words[i], words[i - ORDER + 1 : i]) for i in places]
    )
    known: dict[str, int] = {}
    tokens = indices(words, known)
    model, ours = timed(lambda: fit(tokens, len(known)))
    ngrams = sum(len(level.words) for level in model.levels)
    each = scoring["processor"] / NLTK_SCORES
    return {
        "tokens": len(tokens),
        "ours": ours,
        "nltk counts": counting,
        "nltk seconds for each probability": each,
        "ratio to its counts alone": counting["processor"] / ours["processor"],
        "ratio with all probabilities": (counting["processor"] + each * ngrams)
        / ours["processor"],
    }


# ---- large text


def child(command: Sequence[str]) -> Row:
    """Run a program: its times, and its peak memory in bytes."""
    before = time.perf_counter()
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command[0]} failed with {process.returncode}")
    return {
        "seconds": time.perf_counter() - before,
        "processor": usage.ru_utime + usage.ru_stime,
        "peak": usage.ru_maxrss * 1024,
    }


def run_large(options: argparse.Namespace) -> Row:
    row: Row = {"megabytes": options.megabytes}
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        text = Path(folder) / "text.txt"
        write_text(text, ptb("train"), options.megabytes)
        if options.lmplz:
            command = [options.lmplz, "-o", str(ORDER), "--discount_fallback"]
            command += ["-S", LMPLZ_MEMORY, "-T", folder]
            arpa = Path(folder) / "their.arpa"
            row["lmplz"] = child([*command, "--text", str(text), "--arpa", str(arpa)])
            arpa.unlink()
        parts = Path(folder) / "parts.json"
        script = [sys.executable, __file__, "--child", str(text), "--out", str(parts)]
        row["ours, to a fitted model"] = child(script)
        row["parts"] = json.loads(parts.read_text(encoding="utf-8"))
        for kind in ("arpa", "binary"):
            row[f"ours, to {kind}"] = child([*script, "--write", kind])
            row[f"{kind} parts"] = json.loads(parts.read_text(encoding="utf-8"))
    return row


def read_tokens(text: Path) -> tuple[np.ndarray, Vocabulary]:
    """As the command line does: one pass for the vocabulary, one for the tokens."""
    vocabulary = build_vocabulary(read_blocks([text]), "word")
    parts = vocabulary.encode_blocks(read_blocks([text]))
    kept = [part.numpy().astype(np.int32) for part in parts]
    return np.concatenate(kept), vocabulary


def run_child(options: argparse.Namespace) -> Row:
    """The process that ``run_large`` measures."""
    (tokens, vocabulary), reading = timed(lambda: read_tokens(options.child))
    boundary = vocabulary.boundary_index
    row: Row = {"tokens": len(tokens), "vocabulary": len(vocabulary)}
    model, fitting = timed(lambda: fit(tokens, len(vocabulary), boundary))
    row |= {"reading": reading, "fitting": fitting, "peak before writing": peak()}
    levels = model.levels
    row["ngrams"] = [len(level.words) for level in levels]
    into = options.child.with_name(f"our.{options.write}")
    if options.write == "arpa":
        _, row["writing"] = timed(
            lambda: write_arpa(into, levels, vocabulary.tokens, boundary=boundary)
        )
    elif options.write == "binary":
        _, row["writing"] = timed(lambda: save_levels(into, levels, {}))
    return row


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def run_external(options: argparse.Namespace) -> Row:
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        text = Path(folder) / "text.txt"
        write_text(text, ptb("train"), options.megabytes)
        tokens, vocabulary = read_tokens(text)
        file = Path(folder) / "tokens"
        tokens.tofile(file)
        mapped = np.memmap(file, np.int32, mode="r")
        tables, took = timed(
            lambda: count_ngrams_external(
                mapped, ORDER, len(vocabulary), memory=EXTERNAL_MEMORY, folder=folder
            )
        )
        ngrams = [len(table.words) for table in tables]
        return {"memory": EXTERNAL_MEMORY, **took, "ngrams": ngrams}


# ---- queries


def run_queries(options: argparse.Namespace) -> Row:
    import kenlm

    known: dict[str, int] = {}
    tokens = indices(ptb("train"), known)
    model = fit(tokens, len(known))
    test = [word if word in known else "<unk>" for word in ptb("test")]
    text = indices(test, known)
    model.score(text)
    _, ours = timed(lambda: model.score(text))
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        path = Path(folder) / "model.arpa"
        write_arpa(path, model.levels, list(known))
        theirs = kenlm.Model(str(path))

    def word_by_word() -> None:
        state, after = kenlm.State(), kenlm.State()
        theirs.NullContextWrite(state)
        for word in test:
            theirs.BaseScore(state, word, after)
            state, after = after, state

    _, kenlm_took = timed(word_by_word)
    return {
        "ours per second": len(text) / ours["processor"],
        "kenlm per second": len(text) / kenlm_took["processor"],
    }


SECTIONS = {
    "ptb": run_ptb,
    "nltk": run_nltk,
    "large": run_large,
    "external": run_external,
    "queries": run_queries,
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", choices=SECTIONS, nargs="+", default=list(SECTIONS))
    parser.add_argument("--lmplz", help="KenLM's program; without it only ours runs")
    parser.add_argument("--megabytes", type=float, default=100)
    parser.add_argument("--folder", help="for large files; default: the system's")
    parser.add_argument("--out", type=Path, help="JSON file")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--write", choices=("arpa", "binary"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        options.out.write_text(json.dumps(run_child(options)), encoding="utf-8")
        return
    found: Row = {}
    for name in options.only:
        found[name] = SECTIONS[name](options)
        print(name, json.dumps(found[name], indent=1), flush=True)
    if options.out:
        options.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
