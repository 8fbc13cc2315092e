"""Is the installed package whole? Runs a small layer on the compiled core."""

import torch

import throughtime as tt

layer = tt.LSTM(3, 5)
x = torch.randn(7, 2, 3, requires_grad=True)
outputs, _ = layer(x, lengths=[7, 4])
outputs.sum().backward()
assert layer.backend_used == "native", layer.backend_used
layer.backend = "loop"
assert torch.allclose(outputs, layer(x, lengths=[7, 4])[0], atol=1e-6)
