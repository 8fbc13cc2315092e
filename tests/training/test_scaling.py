"""The model of an update's time; truth: counted products, and limits by hand."""

import dataclasses

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from throughtime.errors import InvalidValue
from throughtime.models import LanguageModel, LanguageModelConfig
from throughtime.training.scaling import Machine, language_model_work, predict

SIZES = {"tau": 5, "batch_size": 3, "hidden_size": 8, "vocabulary_size": 11}
MACHINE = Machine(rate=1e9, wire=1e8, message=1e-4, fixed=1e-3)


@pytest.mark.parametrize(("cell", "gates"), [("lstm", 4), ("gru", 3), ("elman", 1)])
@pytest.mark.parametrize("layers", [1, 2])
def test_parameters_are_those_of_the_model(cell, gates, layers):
    work = language_model_work(**SIZES, num_layers=layers, gates=gates)
    config = LanguageModelConfig(cell=cell, hidden_size=8, num_layers=layers)
    parameters = sum(p.numel() for p in LanguageModel(11, config).parameters())
    # Some cells have one bias per gate instead of two.
    assert 0 <= work.parameters - parameters <= layers * gates * 8


def test_operations_are_those_that_torch_counts():
    """Of a loop with the products of an LSTM, forward and backward."""
    work = language_model_work(**SIZES)
    weights = [torch.zeros(8, n, requires_grad=True) for n in (32, 32, 11)]
    with FlopCounterMode(display=False) as counter:
        x, h = torch.zeros(5, 3, 8, requires_grad=True), torch.zeros(3, 8)
        h.requires_grad_()
        loss = torch.zeros(())
        for x_t in x:
            gates = x_t @ weights[0] + h @ weights[1]
            h = gates[:, :8].tanh()
            loss = loss + (h @ weights[2]).sum()
        loss.backward()
    assert work.operations == counter.get_total_flops()


def test_one_process_sends_nothing():
    work = language_model_work(**SIZES)
    alone = predict(work, MACHINE, 1)
    assert alone.sent == alone.sum == 0
    assert alone.seconds == pytest.approx(1e-3 + work.operations / 1e9)
    assert alone.speedup == alone.efficiency == 1


def test_two_processes_by_hand():
    """Each sends its half of the sum twice: once as a term, once as the result."""
    work = language_model_work(**SIZES)
    two = predict(work, MACHINE, 2)
    assert two.sent == 4 * work.parameters
    assert two.sum == pytest.approx(4 * work.parameters / 1e8 + 5e-4)
    assert two.compute == pytest.approx(work.operations / 2e9)
    assert two.seconds == pytest.approx(two.compute + two.sum + 1e-3)


def test_without_waiting_and_wire_the_speedup_is_n():
    free = Machine(rate=1e9, wire=1e30, message=0.0)
    work = language_model_work(**SIZES)
    assert predict(work, free, 100).speedup == pytest.approx(100)
    slow = dataclasses.replace(free, step=1.0)
    assert predict(work, slow, 100).speedup == pytest.approx(1, abs=1e-3)


def test_bad_values():
    work = language_model_work(**SIZES)
    with pytest.raises(InvalidValue, match="processes"):
        predict(work, MACHINE, 0)
    with pytest.raises(InvalidValue, match="tau"):
        language_model_work(**{**SIZES, "tau": 0})
    with pytest.raises(InvalidValue, match="wire"):
        predict(work, dataclasses.replace(MACHINE, wire=0), 2)
