"""The network between inputs and read-out, with and without a hidden state."""

import pytest
import torch

from throughtime.errors import InvalidType, InvalidValue
from throughtime.models.network import Network, NetworkConfig, valid_steps

CELLS = ["lstm", "gru", "elman", "irnn", "none"]


def ragged(lengths, size=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(
        max(lengths), len(lengths), size, generator=generator, dtype=torch.float64
    )


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("options", [{}, {"num_layers": 2}, {"bidirectional": True}])
def test_padding_and_neighbours_change_nothing(cell, options):
    """Truth: each sequence run by itself, without padding."""
    if cell == "none" and "bidirectional" in options:
        pytest.skip("has no direction")
    network = Network(3, NetworkConfig(cell=cell, hidden_size=4, **options)).double()
    lengths = [5, 0, 2]
    x = ragged(lengths)
    outputs, state = network(x, lengths=lengths)
    changed = x.masked_fill(~valid_steps(lengths, x).unsqueeze(-1), 7.0)
    torch.testing.assert_close(network(changed, lengths=lengths)[0], outputs)
    for column, length in enumerate(lengths):
        assert not outputs[length:, column].any()
        if length:
            alone, last = network(x[:length, column : column + 1])
            torch.testing.assert_close(outputs[:length, column], alone[:, 0])
            if cell != "none":
                torch.testing.assert_close(
                    network.summary(state)[column], network.summary(last)[0]
                )


def test_none_sees_one_step_only():
    """Truth: tanh(W x_t + b), twice."""
    network = Network(3, NetworkConfig(cell="none", hidden_size=4, num_layers=2))
    network = network.double()
    x = ragged([4])
    first, second = network.plain
    expected = second(first(x).tanh()).tanh()
    torch.testing.assert_close(network(x)[0], expected)
    assert network.summary(network.initial_state(2)) is None


def test_summary_is_both_directions_last_step():
    network = Network(3, NetworkConfig(hidden_size=4, bidirectional=True)).double()
    outputs, state = network(ragged([5]))
    expected = torch.cat([outputs[-1, :, :4], outputs[0, :, 4:]], -1)
    torch.testing.assert_close(network.summary(state), expected)


def test_dropout_is_for_training_only():
    network = Network(3, NetworkConfig(hidden_size=4, dropout=0.5))
    x = ragged([4]).float()
    assert not torch.equal(network(x)[0], network(x)[0])
    network.eval()
    assert torch.equal(network(x)[0], network(x)[0])


def test_config_goes_to_plain_values_and_back():
    config = NetworkConfig(cell="gru", cell_options={"reset_after": False})
    assert NetworkConfig.from_dict(config.to_dict()) == config
    assert NetworkConfig(hidden_size=7).embedded == 7
    assert NetworkConfig(hidden_size=7, embedding_size=2).embedded == 2


@pytest.mark.parametrize(
    ("error", "options", "message"),
    [
        (InvalidType, {"cell": 3}, "cell should be a name"),
        (InvalidValue, {"hidden_size": 0}, "hidden_size"),
        (InvalidValue, {"dropout": 1.5}, "dropout"),
        (InvalidType, {"bidirectional": 1}, "bidirectional"),
        (InvalidValue, {"cell": "none", "bidirectional": True}, "cell 'none' has none"),
        (InvalidValue, {"cell": "none", "zoneout": 0.1}, "cell 'none' has none"),
    ],
)
def test_wrong_entries(error, options, message):
    with pytest.raises(error, match=message):
        NetworkConfig(**options)


def test_unknown_cells_and_entries_list_the_known():
    with pytest.raises(InvalidValue, match="unknown cell 'lstn': known are"):
        Network(3, NetworkConfig(cell="lstn"))
    with pytest.raises(InvalidValue, match="hidden_size"):
        NetworkConfig.from_dict({"hiden_size": 3})
