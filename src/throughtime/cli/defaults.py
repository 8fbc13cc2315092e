"""What ``train lm`` and ``compare-cells`` do when nothing is said.

The classes' own defaults are for the library; these make a small text a good model in
about two minutes on two cores.
"""

DEFAULTS: dict[str, object] = {
    "hidden_size": 256,
    "num_layers": 1,
    "tau": 64,
    "batch_size": 16,
    "epochs": 8,
    "max_norm": 1.0,
    "optimizer": "adam",
    "learning_rate": 0.004,
    "schedule": "linear",
    "seed": 0,
}

# The cells that are compared: one of every kind.
COMPARED = ("elman", "indrnn", "gru", "mgu", "lstm", "slstm", "min_gru", "qrnn")
COMPARED_PARAMETERS = 200_000
COMPARED_EPOCHS = 3
