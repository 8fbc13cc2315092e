"""Output layers on a large vocabulary: speed of training, and what is learnt by it.

    python benchmarks/large_vocabulary.py train.txt valid.txt --updates 250

Words are what stands between spaces, as in WikiText-2 (33,278 of them). All models are
an LSTM of 200 units, trained on the same windows of 20 × 35 words by SGD, one thread.
Processor time is printed beside wall time, as it hardly depends on what else runs.
"""

import argparse
import statistics
import time
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from throughtime.data import read_text, streams
from throughtime.models import LanguageModel, LanguageModelConfig, evaluate
from throughtime.training import StepInfo, TrainingConfig, train

CASES: list[tuple[str, dict[str, Any]]] = [
    ("full", {}),
    ("adaptive", {}),
    ("class", {}),
    ("sampled", {}),
    ("sampled", {"proposal": "unigram"}),
]
STEPS, STREAMS, HIDDEN = 35, 20, 200


def words(path: Path) -> list[str]:
    return read_text([path]).replace("\n", " <eos> ").split()


def measure(
    name: str, options: dict[str, Any], counts: Tensor, train_on: Any, held_out: Any
) -> None:
    torch.manual_seed(0)
    config = LanguageModelConfig(
        hidden_size=HIDDEN, output=name, output_options=options
    )
    model = LanguageModel(len(counts), config, counts=counts)
    training = TrainingConfig(
        tau=STEPS,
        batch_size=STREAMS,
        epochs=1,
        optimizer="sgd",
        learning_rate=20.0,
        max_norm=0.25,
        checkpoint_every=10**9,
    )
    began = time.process_time()
    speeds = [
        info.tokens_per_second
        for info in train(model, train_on, training)
        if isinstance(info, StepInfo)
    ]
    seconds = time.process_time() - began
    score = evaluate(model.eval(), *held_out, chunk=STEPS)
    print(
        f"{name} {options or ''}: {statistics.median(speeds):.0f} tokens/s (median), "
        f"{train_on[0].numel() / seconds:.0f} per processor second, perplexity "
        f"{score.perplexity:.1f}, {sum(p.numel() for p in model.parameters())} "
        "parameters",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("train", type=Path)
    parser.add_argument("valid", type=Path)
    parser.add_argument("--updates", type=int, default=250)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    text = words(chosen.train)
    index = {word: i for i, word in enumerate(Counter(text))}
    tokens = torch.tensor([index[word] for word in text])
    counts = torch.bincount(tokens)
    held_out = torch.tensor([index[w] for w in words(chosen.valid) if w in index])
    pairs = streams(tokens[: STREAMS * STEPS * chosen.updates + STREAMS], STREAMS)
    for name, options in CASES:
        measure(name, options, counts, pairs, streams(held_out[:40_000], 10))


if __name__ == "__main__":
    main()
