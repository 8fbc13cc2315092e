"""Backpropagation through time, term by term, on networks small enough to print."""

import torch

from throughtime import gradients

print("One unit, every derivative by hand\n")
scalar = gradients.scalar_network(
    [1.0, 0.5, -0.5, 0.8],
    input_weight=0.6,
    recurrent_weight=0.9,
    output_weight=1.2,
    initial=0.5,
    targets=[0.0, 0.2, 0.1, 0.6],
)
print(scalar)

print(
    "\nA linear network: the closed form is the recursion, and the truth autograd's\n"
)
torch.manual_seed(0)
x, y = torch.randn(6, 2).double(), torch.randn(6, 1).double()
W_hx, W_hh, W_qh = (
    torch.randn(*shape).double().requires_grad_() for shape in ((3, 2), (3, 3), (1, 3))
)
net = gradients.linear_network(
    x, weight_hx=W_hx, weight_hh=W_hh, weight_qh=W_qh, targets=y
)
h, loss = torch.zeros(3).double(), torch.zeros(()).double()
for x_t, y_t in zip(x, y, strict=True):
    h = W_hx @ x_t + W_hh @ h
    loss = loss + ((W_qh @ h - y_t) ** 2).sum() / len(x)
loss.backward()
difference = net.hidden_gradients - net.hidden_gradients_closed_form
print(f"∂L/∂h_t, recursion against closed form: {difference.abs().max():.0e} apart")
for name, weight in (("weight_hx", W_hx), ("weight_hh", W_hh), ("weight_qh", W_qh)):
    apart = (net.weight_gradients[name] - weight.grad).abs().max()
    print(f"∂L/∂{name}, formula against autograd: {apart:.0e} apart")
norms = ", ".join(f"{part.norm():.3f}" for part in net.per_lag["weight_hh"])
print(f"‖∂L/∂weight_hh‖ by lag 0, 1, 2, ...: {norms}")

print("\nThe paths from W to the loss over 3 steps\n")
for path in gradients.paths(3):
    print(path)
total = gradients.count_paths(100)
print(f"Through L_j lead j paths; over 100 steps there are {total} in all.")
