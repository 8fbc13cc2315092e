"""Ragged batches, forward and backward, against packed and padded torch.nn.

Packing, sorting and unpacking are inside the time, ours as well as torch's.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import torch
from common import GATES, Row, Run, Shape, interleaved
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import throughtime as tt

SHAPES: tuple[Shape, ...] = (
    (200, 32, 64, 128),
    (60, 64, 100, 200),
    (1000, 16, 64, 256),
)
# pytorch issue 149194: two layers of LSTM, lengths evenly from 1 to T. Its table has
# these T among others; B, I and H are ours.
TRIANGULAR: tuple[Shape, ...] = tuple((steps, 32, 64, 64) for steps in (10, 100, 1000))
SENTENCES = (8, 32, 100, 128)  # batches, B, I, H


def rows(budget: float) -> Iterator[Row]:
    for layer in GATES:
        for shape in SHAPES:
            lengths = torch.randint(1, shape[0] + 1, (shape[1],))
            lengths[0] = shape[0]
            yield row("uniform", layer, [lengths], shape, 1, budget)
    for shape in TRIANGULAR:
        lengths = torch.linspace(1, shape[0], shape[1]).round().long()
        yield row("triangular", "LSTM", [lengths], shape, 2, budget)
    batches = sentence_lengths()
    if batches is None:
        print("sst2 skipped: THROUGHTIME_DATA names no folder with sst2/train.tsv")
        return
    longest = max(int(lengths.max()) for lengths in batches)
    for layer in GATES:
        yield row("sst2", layer, batches, (longest, *SENTENCES[1:]), 1, budget)


def sentence_lengths() -> list[Tensor] | None:
    """Words per sentence of the first batches of SST-2, in the order of the file."""
    path = Path(os.environ.get("THROUGHTIME_DATA", "-")) / "sst2" / "train.tsv"
    if not path.is_file():
        return None
    count, batch = SENTENCES[:2]
    lines = path.read_text(encoding="utf-8").splitlines()[: count * batch]
    words = torch.tensor([len(line.rsplit("\t", 1)[0].split()) for line in lines])
    return list(words.split(batch))


def row(
    lengths_are: str,
    layer: str,
    batches: list[Tensor],
    shape: Shape,
    num_layers: int,
    budget: float,
) -> Row:
    """Every candidate runs all batches, each as long as its longest sequence."""
    _, batch, inputs, hidden = shape
    theirs = getattr(nn, layer)(inputs, hidden, num_layers)
    ours = getattr(tt, layer)(inputs, hidden, num_layers)
    ours.load_state_dict(theirs.state_dict())
    steps = [int(lengths.max()) for lengths in batches]
    xs = [torch.randn(n, batch, inputs, requires_grad=True) for n in steps]
    upstream = [torch.randn(n, batch, hidden) for n in steps]

    def packed() -> None:
        for x, lengths, gradient in zip(xs, batches, upstream, strict=True):
            outputs, _ = theirs(pack_padded_sequence(x, lengths, enforce_sorted=False))
            pad_packed_sequence(outputs)[0].backward(gradient)

    def dense(module: nn.Module) -> Run:
        def run() -> None:
            for x, gradient in zip(xs, upstream, strict=True):
                module(x)[0].backward(gradient)

        return run

    def with_lengths() -> None:
        for x, lengths, gradient in zip(xs, batches, upstream, strict=True):
            ours(x, lengths=lengths)[0].backward(gradient)

    found = interleaved(
        {
            "torch packed": packed,
            "torch padded": dense(theirs),
            "dense": dense(ours),
            "lengths": with_lengths,
        },
        budget,
    )
    fill = sum(int(n.sum()) for n in batches) / (sum(steps) * batch)
    better = min(found["torch packed"], found["torch padded"])
    return {
        "lengths": lengths_are,
        "layer": layer,
        "num_layers": num_layers,
        "shape": shape,
        "fill": fill,
        "milliseconds": found,
        "ratio_to_packed": found["torch packed"] / found["lengths"],
        "ratio_to_better": better / found["lengths"],
        "time_over_share_of_dense": found["lengths"] / (fill * found["dense"]),
    }
