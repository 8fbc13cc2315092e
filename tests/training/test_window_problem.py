"""One window as Hessian-free optimisation sees it, against ``window_loss``."""

import pytest
import torch
from torch import nn

import throughtime as tt
from throughtime.errors import InvalidValue
from throughtime.models import LanguageModel, LanguageModelConfig
from throughtime.training.bptt import TruncatedBPTT, window_loss, windows
from throughtime.training.hessian_free import HessianFree
from throughtime.training.window_problem import WindowProblem, record_hidden


def text(steps=12, streams=4):
    drawn = torch.Generator().manual_seed(0)
    tokens = torch.randint(0, 5, (steps + 1, streams), generator=drawn)
    return tokens[:-1], tokens[1:]


def language_model(**options):
    torch.manual_seed(0)
    config = LanguageModelConfig(cell="gru", hidden_size=6, **options)
    return LanguageModel(5, config).double()


class TestWindowProblem:
    @pytest.mark.parametrize("stride", [None, 3])
    @pytest.mark.parametrize("masked", [False, True])
    def test_has_the_loss_and_state_of_the_window(self, stride, masked):
        model, (inputs, targets) = language_model(), text()
        mask = torch.rand(12, 4) > 0.3 if masked else None
        state = None
        for window in windows(TruncatedBPTT(6, stride=stride), 12):
            loss = tt.losses.cross_entropy
            problem = WindowProblem(model, inputs, targets, state, window, loss, mask)
            found = problem()
            value, carried = window_loss(
                model, inputs, targets, state, window, loss, mask
            )
            torch.testing.assert_close(found.loss(found.outputs), value)
            assert torch.equal(problem.carried[0].h, carried[0].h)
            state = carried

    def test_trains_a_language_model(self):
        model = language_model()
        tokens = (torch.arange(25)[:, None] + torch.arange(4)) % 5
        inputs, targets = tokens[:-1], tokens[1:]
        options = {"damping": 0.1, "structural_damping": 0.01}
        optimizer = HessianFree(model.parameters(), **options)
        losses = []
        for _ in range(10):
            state = None
            for window in windows(TruncatedBPTT(12), 24):
                problem = WindowProblem(
                    model,
                    inputs,
                    targets,
                    state,
                    window,
                    tt.losses.cross_entropy,
                    hidden=True,
                )
                losses.append(optimizer.step(problem, problem.curvature))
                state = problem.carried
        assert losses[0] > 1.5
        assert losses[-1] < 0.01

    @pytest.mark.parametrize("reduction", ["mean", "sum"])
    def test_less_data_for_the_curvature(self, reduction):
        model, (inputs, targets) = language_model(), text()
        (window,) = windows(TruncatedBPTT(12), 12)

        def loss(outputs, targets, *, mask=None):
            return tt.losses.cross_entropy(
                outputs, targets, mask=mask, reduction=reduction
            )

        made = [
            WindowProblem(
                model, inputs, targets, None, window, loss,
                curvature_share=0.5, turn=turn, reduction=reduction,
            )
            for turn in range(3)
        ]  # fmt: skip
        found = [m.curvature() for m in made]
        first, second, third = (f.loss(f.outputs).item() for f in found)
        assert found[0].outputs.shape == (12, 2, 5)
        assert first == third != second
        whole = made[0]()
        mean = whole.loss(whole.outputs).item()
        assert (first + second) / 2 == pytest.approx(mean, rel=1e-12)

    def test_a_state_that_cannot_be_divided(self):
        model, x = tt.GRU(2, 3), torch.randn(8, 4, 2)
        (window,) = windows(TruncatedBPTT(8), 8)
        state = torch.zeros(1, 4, 3)
        with pytest.raises(InvalidValue, match="select_state"):
            WindowProblem(
                model, x, x, state, window, tt.losses.mse, curvature_share=0.5
            )

    @pytest.mark.parametrize("share", [0, 1.1])
    def test_share_out_of_range(self, share):
        model, x = tt.GRU(2, 3), torch.randn(8, 4, 2)
        (window,) = windows(TruncatedBPTT(8), 8)
        with pytest.raises(InvalidValue, match="curvature_share"):
            WindowProblem(
                model, x, x, None, window, tt.losses.mse, curvature_share=share
            )


class TestRecordHidden:
    def test_records_every_layer_and_direction(self):
        layer, x = tt.GRU(2, 3, num_layers=2, bidirectional=True), torch.randn(5, 2, 2)
        with record_hidden(layer) as hidden:
            outputs, _ = layer(x)
        assert [tuple(h.shape) for h in hidden] == [(5, 2, 3)] * 4
        assert torch.equal(torch.cat(hidden[2:], -1), outputs)
        assert all(h.requires_grad for h in hidden)
        assert len(layer(x)) == 2  # and is gone afterwards

    def test_batch_first(self):
        layer = tt.GRU(2, 3, batch_first=True)
        with record_hidden(layer) as hidden:
            layer(torch.randn(2, 5, 2))
        assert hidden[0].shape == (5, 2, 3)

    def test_a_model_without_recurrent_layers(self):
        with (
            pytest.raises(InvalidValue, match="Linear"),
            record_hidden(nn.Linear(2, 3)),
        ):
            pass
