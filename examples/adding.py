"""An LSTM learns the adding problem: the sum of two marked numbers in a sequence."""

import torch

import throughtime as tt

torch.manual_seed(0)
layer = tt.Recurrent(tt.cells.LSTM(input_size=2, hidden_size=32, forget_bias=3.0))
read = torch.nn.Linear(32, 1)
optimizer = torch.optim.Adam([*layer.parameters(), *read.parameters()], lr=0.01)
for _ in range(600):
    x, target = tt.data.adding(steps=30, count=64)
    outputs, final_state = layer(x)
    loss = tt.losses.mse(read(outputs[-1])[:, 0], target)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
flow = tt.diagnostics.gradient_flow(layer, x, lambda result: result[0][-1].sum())["l0"]
print(f"loss {loss:.4f}, gradient {flow.verdict} over {flow.horizon} steps")
