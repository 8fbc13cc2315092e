"""The words of docs/benchmarks.md, section by section."""

TEXTS = {
    "head": """
        {cpu}, {threads} threads, {instruction_set}, torch {torch}, float32. Every
        candidate once per round, in turns, in one process; medians. Times include
        everything a caller pays.""",
    "dense": """
        The limit is {limit} GFLOP/s on {threads} threads: the core's own product on
        data in cache, measured in the same rounds. Operations: 2 T B (I + H) G H
        forward, three times that in training. × torch: torch's time divided by ours.
        Loops: our plain loop (`backend="loop"`), and the loop that one writes over
        torch's own cell and `x.unbind(0)`.""",
    "held back": """
        What holds a training step back, beside the products themselves, is measured
        (the two largest are shown): *calls* is a step of one unit (Python, autograd);
        *weights*, what a call on one step of one sequence takes beyond that (packing
        them, writing their gradients); *few rows*, what the same work saves in fewer
        steps of 128 rows and more; *units*, what as many units take with hardly any
        products (pointwise functions, memory of states and gates); *rest* is what
        remains (products below the limit, threads that wait).""",
    "frameworks": """
        {versions}, jitted, compiling not timed; their times divided by ours. `lax.scan`
        is a hand-written one with the input product ahead of it. Flax: `nn.RNN` over
        `OptimizedLSTMCell`, `GRUCell`, `SimpleCell`. Keras: its layers with the JAX
        backend, batch first. JAX runs in a process of its own, bound to as many
        processors as we have threads, because two thread pools in one process disturb
        each other; rounds alternate between the two processes, and each times one run
        after 30 ms of running.""",
    "cells": """
        `tt.Recurrent` over the cell: its time divided by that of the plain cell, and
        how much longer a loop over the cell's own step takes (`x.unbind(0)`).""",
    "own": """
        A cell declared by its step in plain torch, as in [Write your own
        cell](own_cell.md), against the built-in one and against a loop over the cell's
        own step (`x.unbind(0)`), forward and backward. A step whose operations are
        those of a built-in cell runs as that one, compiled ahead; the LSTM in another
        order is interpreted, as is everything else. The first step of a new
        cell, the LSTM with layer norm, takes {first} s more than those of later layers:
        it is traced, differentiated and laid out, nothing is compiled.""",
    "published": """
        Forward and backward against the layers of the package torchrecurrent (PyPI).
        Geometric means over the shapes: {means}.""",
    "ragged": """
        Forward and backward, against `pack_padded_sequence` (sorting, packing and
        unpacking included) and against the padded batch. The last column is 1 if time
        follows the sum of the lengths. Uniform: random lengths from 1 to T. Triangular:
        evenly spaced from 1 to T, two layers, as in the script of pytorch issue 149194
        (whose table goes from T = 10 to 4000; B, I and H are ours). sst2: 8 batches of
        sentences as they follow each other in the file; T is the longest.""",
    "streaming": """
        `layer.stream()` against a call of the `torch.nn` layer and of its cell with one
        step, both under `torch.no_grad()`; microseconds per step.""",
    "memory": """
        MB after a forward pass. Saved: the storages that autograd is handed, whether
        touched or not, without input and parameters. Resident: by how much the process
        grows, outputs and work space included, in a fresh process each.""",
    "long": """
        Training; microseconds for each time step, which should not depend on T.""",
    "scan": """
        Cells whose state is an affine function of the old one, by each backend:
        milliseconds. On the CPU `auto` takes the core.""",
}
