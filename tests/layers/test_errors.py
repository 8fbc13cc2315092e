"""Bad input at the door of a layer: which argument, what was expected, what came."""

import pytest
import torch
from torch.nn.utils.rnn import pack_sequence

import throughtime as tt
from throughtime.errors import InvalidShape, InvalidType, InvalidValue

X = torch.zeros(5, 2, 3)
WIDE = pack_sequence([torch.zeros(5, 7), torch.zeros(2, 7)])
MASK = torch.zeros(5, 2, dtype=torch.bool)
META = torch.zeros(2, dtype=torch.int64, device="meta")
PACKED = pack_sequence([torch.zeros(5, 3), torch.zeros(2, 3)])


def cell(inputs=3, hidden=4):
    return tt.cells.LSTM(inputs, hidden)


@pytest.mark.parametrize(
    ("arguments", "options", "error", "says"),
    [
        (
            ([1.0],),
            {},
            InvalidType,
            "x should be a Tensor or a PackedSequence, got list",
        ),
        ((X[0, 0],), {}, InvalidShape, "x must have 3 dimensions"),
        ((X[None],), {}, InvalidShape, "x must have 3 dimensions"),
        ((torch.zeros(5, 2, 4),), {}, InvalidShape, "Expected 3, got 4"),
        ((X.double(),), {}, InvalidValue, r"does not match weight dtype .* input.to"),
        ((X,), {"lengths": [1.0, 2.0]}, InvalidType, "lengths should be integers"),
        ((X,), {"lengths": [1]}, InvalidShape, r"shape \(2,\), got \(1,\)"),
        ((X,), {"lengths": [6, 1]}, InvalidValue, r"in \[0, 5\].* from 1 to 6"),
        ((X,), {"lengths": [-1, 1]}, InvalidValue, "from -1 to 1"),
        ((X,), {"reset": X[..., 0]}, InvalidType, "bool tensor, got torch.float32"),
        ((X,), {"reset": [True]}, InvalidType, "bool tensor, got list"),
        (
            (X,),
            {"reset": torch.zeros(2, 5, dtype=torch.bool)},
            InvalidShape,
            r"shape \(5, 2\) time first, got \(2, 5\)",
        ),
        ((X, torch.zeros(1)), {}, InvalidShape, "tuple of 1 cell states.*got Tensor"),
        ((X, ()), {}, InvalidShape, "tuple of 1 cell states.*got 0"),
        (
            (X, (torch.zeros(2, 4),)),
            {},
            InvalidShape,
            r"state\[0\] must be a tuple \(h",
        ),
        (
            (X, ((torch.zeros(2, 4), torch.zeros(3, 4)),)),
            {},
            InvalidShape,
            r"state\[0\].c must have shape \(2, 4\), got torch.Size\(\[3, 4\]\)",
        ),
        ((X, ((torch.zeros(2, 4), None),)), {}, InvalidShape, "got NoneType"),
        ((X,), {"perturbation": ()}, InvalidShape, "perturbation must have 1 entries"),
        ((PACKED,), {"lengths": [5, 2]}, InvalidValue, "lengths given together with"),
        ((WIDE,), {}, InvalidShape, "Expected 3, got 7"),
        ((X.to("meta"),), {}, InvalidValue, "x is on meta, but the weights are on cpu"),
        ((X.to_sparse(),), {}, InvalidType, "x should be dense, got torch.sparse_coo"),
        ((X,), {"lengths": ["a", "b"]}, InvalidType, "lengths should be integers"),
        ((X,), {"lengths": [2**70, 1]}, InvalidType, "lengths should be integers"),
        ((X,), {"lengths": META}, InvalidValue, "lengths is on the meta device"),
        ((X,), {"reset": MASK.to("meta")}, InvalidValue, "reset is on the meta device"),
        ((X,), {"reset": MASK.to_sparse()}, InvalidType, "reset should be dense"),
        (
            (X, ((torch.zeros(2, 4).double(), torch.zeros(2, 4)),)),
            {},
            InvalidValue,
            r"state\[0\].h must have the dtype of the weights, torch.float32, got",
        ),
        (
            (X, ((torch.zeros(2, 4, device="meta"), torch.zeros(2, 4)),)),
            {},
            InvalidValue,
            r"state\[0\].h must have the device of the weights, cpu, got meta",
        ),
        ((X[:, 0], "state"), {}, InvalidShape, "tuple of 1 cell states.*got str"),
        ((X,), {"perturbation": X}, InvalidShape, "1 entries, .* got Tensor"),
        ((X,), {"perturbation": (X,)}, InvalidShape, r"must be a tuple \(h, c\)"),
        (
            (X,),
            {"perturbation": ((X, None),)},
            InvalidShape,
            r"perturbation\[0\].h must have shape \(5, 2, 4\), time first, got",
        ),
        (
            (X,),
            {"perturbation": ((torch.zeros(5, 2, 4).double(), None),)},
            InvalidValue,
            r"perturbation\[0\].h must have the dtype of the weights",
        ),
    ],
)
def test_forward(arguments, options, error, says):
    with pytest.raises(error, match=says):
        tt.Recurrent(cell())(*arguments, **options)


@pytest.mark.parametrize(
    ("build", "error", "says"),
    [
        (
            lambda: tt.Recurrent("lstm"),
            InvalidType,
            "cell should be a Cell, .* got str",
        ),
        (lambda: tt.Recurrent([]), InvalidValue, "cell is an empty list"),
        (lambda: tt.Recurrent([cell(), 3]), InvalidType, "got int"),
        (lambda: tt.Recurrent(cell(), 0), InvalidValue, "num_layers must be greater"),
        (
            lambda: tt.Recurrent([cell(), cell()]),
            InvalidValue,
            r"layer 1 has input_size 3, but .* gives 4 features .* input_size=4",
        ),
        (
            lambda: tt.Recurrent([cell(), cell(4)], num_layers=3),
            InvalidValue,
            "num_layers = 3 but 2 cells given",
        ),
        (
            lambda: tt.Recurrent([cell(), cell(4, 5)], residual=True),
            InvalidValue,
            "residual=True needs layers of equal width",
        ),
        (
            lambda: tt.Recurrent(cell(), zoneout={"k": 0.1}),
            InvalidValue,
            "unknown state field in zoneout 'k': known are c, h",
        ),
        (
            lambda: tt.Recurrent(cell(), dropout=1.5),
            InvalidValue,
            r"dropout should be a number in range \[0, 1\]",
        ),
        (
            lambda: tt.Recurrent(cell(), backend="fused"),
            InvalidValue,
            "unknown backend 'fused': known are auto, loop, native",
        ),
        (
            lambda: tt.Recurrent(cell(), bidirectional=1),
            InvalidType,
            "bidirectional should be of type bool, got: int",
        ),
    ],
)
def test_constructor(build, error, says):
    with pytest.raises(error, match=says):
        build()


@pytest.mark.parametrize(
    ("hx", "error", "says"),
    [
        (torch.zeros(1, 2, 4), InvalidShape, r"pair \(h_0, c_0\), got Tensor"),
        (
            (torch.zeros(1, 2, 4), 3),
            InvalidType,
            "initial c should be a Tensor, got int",
        ),
        (
            (torch.zeros(1, 2, 4), torch.zeros(1, 2, 5)),
            InvalidShape,
            r"Expected hidden c size \(1, 2, 4\), got \[1, 2, 5\]",
        ),
    ],
)
def test_drop_in_states(hx, error, says):
    with pytest.raises(error, match=says):
        tt.LSTM(3, 4)(X, hx)


def test_cell_states():
    with pytest.raises(
        InvalidType, match=r"hx should be the pair \(h, c\), got Tensor"
    ):
        tt.LSTMCell(3, 4)(X[0], torch.zeros(2, 4))  # pyright: ignore[reportArgumentType]
    with pytest.raises(InvalidType, match="hidden should be a Tensor, got list"):
        tt.GRUCell(3, 4)(X[0], [])  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("name", "shape"), [("weight_hh_l0", (3, 3)), ("bias_ih_l0", (3,))]
)
def test_replaced_parameters(name, shape):
    """They never reach the compiled core, which would read past their end."""
    layer = tt.Recurrent(cell())
    with pytest.raises(RuntimeError, match="shape"):
        torch.func.functional_call(layer, {name: torch.zeros(shape)}, (X,))


def test_replaced_initial_state():
    layer = tt.Recurrent(cell(), learned_initial_state=True)
    with pytest.raises(RuntimeError, match="expanded size"):
        torch.func.functional_call(layer, {"initial_h_l0": torch.zeros(2)}, (X,))


@pytest.mark.parametrize("backend", ["auto", "loop"])
def test_nan_stays_in_its_sequence(backend):
    layer = tt.Recurrent(cell(), backend=backend)
    x = torch.randn(5, 2, 3)
    whole, _ = layer(x)
    x[2, 0] = float("nan")
    outputs, _ = layer(x)
    assert torch.isnan(outputs[2:, 0]).all()
    torch.testing.assert_close(outputs[:, 1], whole[:, 1])
    torch.testing.assert_close(outputs[:2], whole[:2])


def test_no_sequences_and_no_lengths():
    outputs, _ = tt.Recurrent(cell())(torch.zeros(5, 0, 3), lengths=[])
    assert outputs.shape == (5, 0, 4)
