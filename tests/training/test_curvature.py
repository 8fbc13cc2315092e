"""Gauss-Newton products against matrices from explicit jacobians, in float64."""

import pytest
import torch
from torch import nn
from torch.func import functional_call, hessian, jacrev

import throughtime as tt
from throughtime.errors import InvalidShape, InvalidType, InvalidValue
from throughtime.models import LanguageModel, LanguageModelConfig
from throughtime.training.curvature import GaussNewton, flatten, unflatten

STEPS, BATCH = 5, 3
CELLS = ["elman", "lstm", "gru"]


def random(*shape):
    return torch.randn(*shape, dtype=torch.float64)


class Model(nn.Module):
    def __init__(self, layer, **options):
        super().__init__()
        self.layer, self.read = layer, nn.Linear(layer.output_size, 2)
        self.options = options
        self.double()

    def forward(self, x):
        return self.read(self.layer(x, **self.options)[0])


def jacobian(model, x):
    """∂outputs/∂parameters, a row per output, by the plain loop under torch.func."""
    parameters = {n: p.detach() for n, p in model.named_parameters()}
    found = jacrev(lambda p: functional_call(model, p, (x,)))(parameters)
    count = model(x).numel()
    return torch.cat([found[n].reshape(count, -1) for n in parameters], 1)


def close(found, truth):
    torch.testing.assert_close(found, truth, rtol=1e-10, atol=1e-12)


def dense(product, size):
    """The whole matrix, column by column."""
    return torch.stack([product(e) for e in torch.eye(size).double()], 1)


def layer(name, backend="auto", **options):
    torch.manual_seed(0)
    cell = tt.cells.CELLS[name](3, 4)
    return tt.Recurrent(cell, num_layers=2, backend=backend, **options)


class TestGaussNewton:
    @pytest.mark.parametrize("backend", ["auto", "loop"])
    @pytest.mark.parametrize("name", CELLS)
    def test_equals_the_matrix_from_jacobians(self, name, backend):
        model, x = Model(layer(name, backend)), random(STEPS, BATCH, 3)
        target = random(STEPS, BATCH, 2)
        J = jacobian(model, x)
        product = GaussNewton(
            model(x), lambda o: tt.losses.mse(o, target), list(model.parameters())
        )
        G = dense(product, J.size(1))
        close(G, J.T @ J * (2 / target.numel()))
        assert torch.linalg.eigvalsh(G).min() > -1e-12
        v = random(J.size(1))
        close(product.tangents(v)[0].flatten(), J @ v)
        assert product.energy(v) == pytest.approx(float(v @ G @ v), rel=1e-10)

    def test_cross_entropy_of_a_language_model(self):
        torch.manual_seed(0)
        config = LanguageModelConfig(cell="gru", hidden_size=4, tied=True)
        model = LanguageModel(5, config).double()
        tokens, targets = torch.randint(0, 5, (2, 4, 2))
        parameters = {n: p.detach() for n, p in model.named_parameters()}
        run = jacrev(lambda p: functional_call(model, p, (tokens,))[0])(parameters)
        J = torch.cat([run[n].reshape(40, -1) for n in parameters], 1)
        p = model(tokens)[0].detach().softmax(-1).reshape(8, 5)
        blocks = [(torch.diag(row) - torch.outer(row, row)) / 8 for row in p]
        H = torch.block_diag(*blocks)
        product = GaussNewton(
            model(tokens)[0],
            lambda o: tt.losses.cross_entropy(o, targets),
            list(model.parameters()),
        )
        close(dense(product, J.size(1)), J.T @ H @ J)

    def test_is_the_hessian_of_a_linear_model(self):
        model, x, y = nn.Linear(3, 2).double(), random(6, 3), random(6, 2)
        names = dict(model.named_parameters())

        def loss(vector):
            parts = unflatten(vector, list(names.values()))
            weights = dict(zip(names, parts, strict=True))
            return tt.losses.mse(functional_call(model, weights, (x,)), y)

        at = flatten(list(names.values())).detach()
        product = GaussNewton(
            model(x), lambda o: tt.losses.mse(o, y), list(names.values())
        )
        close(dense(product, 8), hessian(loss)(at))

    def test_hidden_states_have_their_own_term(self):
        model, x = Model(layer("elman")), random(STEPS, BATCH, 3)
        target = random(STEPS, BATCH, 2)
        parameters = list(model.parameters())
        h = model.layer(x)[0]
        product = GaussNewton(
            model.read(h),
            lambda o: tt.losses.mse(o, target),
            parameters,
            hidden=[h],
            hidden_weight=0.3,
        )
        plain = GaussNewton(model(x), lambda o: tt.losses.mse(o, target), parameters)
        names = dict(model.layer.named_parameters())
        found = jacrev(lambda p: functional_call(model.layer, p, (x,))[0])(
            {n: p.detach() for n, p in names.items()}
        )
        J = torch.cat([found[n].reshape(h.numel(), -1) for n in names], 1)
        J = torch.cat([J, J.new_zeros(h.numel(), 10)], 1)  # not of the output layer
        v = random(J.size(1))
        close(product(v) - plain(v), 0.3 * J.T @ (J @ v))
        assert product.energy(v) == pytest.approx(plain.energy(v), rel=1e-12)

    def test_a_linear_loss_has_no_curvature(self):
        weight = random(2).requires_grad_()
        product = GaussNewton(weight * 2, lambda o: o.sum(), [weight])
        close(product(random(2)), torch.zeros(2).double())

    def test_a_parameter_that_nothing_depends_on(self):
        used, other = random(2).requires_grad_(), random(3).requires_grad_()
        product = GaussNewton(used * 2, lambda o: (o**2).sum(), [other, used])
        close(product(torch.ones(5).double()), torch.tensor([0.0, 0, 0, 8, 8]).double())


class TestBadInput:
    def test_outputs_without_a_graph(self):
        weight = random(2).requires_grad_()
        with pytest.raises(InvalidType, match="inside the closure"):
            GaussNewton(weight.detach(), torch.sum, [weight])

    def test_outputs_that_are_no_tensor(self):
        with pytest.raises(InvalidType, match="got: tuple"):
            GaussNewton((1, 2), torch.sum, [random(2).requires_grad_()])

    def test_a_loss_without_outputs(self):
        weight = random(2).requires_grad_()
        with pytest.raises(InvalidValue, match="does not depend on the outputs"):
            GaussNewton(weight * 2, lambda o: torch.zeros(()), [weight])

    def test_a_loss_of_many_numbers(self):
        weight = random(2).requires_grad_()
        with pytest.raises(InvalidValue, match="one number"):
            GaussNewton(weight * 2, lambda o: o, [weight])

    def test_parameters_of_two_types(self):
        weights = [random(2).requires_grad_(), torch.zeros(1, requires_grad=True)]
        with pytest.raises(InvalidType, match="one dtype"):
            GaussNewton(weights[0] * 2, torch.sum, weights)

    def test_a_vector_of_another_size(self):
        weight = random(2).requires_grad_()
        with pytest.raises(InvalidShape, match=r"\(2,\), got \(3,\)"):
            GaussNewton(weight * 2, torch.sum, [weight])(random(3))
