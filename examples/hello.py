"""A network of three hidden units learns to spell "hello", character by character."""

import torch

import throughtime as tt

LETTERS = "helo"
text = torch.tensor([LETTERS.index(letter) for letter in "hello"])
x, targets = text[:-1, None], text[1:, None]  # h e l l -> e l l o, one sequence

print("The loss of each step: -ln softmax(logits)[target]")
logits = torch.tensor(
    [[1.0, 2.2, -3.0, 4.1], [0.5, 0.3, -1.0, 1.2], [0.1, 0.5, 1.9, -1.1]]
    + [[0.2, -1.5, -0.1, 2.2]]
).unsqueeze(1)
losses = tt.losses.cross_entropy(logits, targets, reduction="none")
for read, wanted, row, loss in zip(x, targets, logits, losses, strict=True):
    best = LETTERS[int(row.argmax())]
    print(
        f"  read {LETTERS[int(read)]}: likeliest {best}, wanted "
        f"{LETTERS[int(wanted)]}, loss {float(loss):.4f}"
    )
print(f"  mean {tt.losses.cross_entropy(logits, targets):.4f}")

# h_t = tanh(W_xh x_t + b_h + W_hh h_{t-1}), y_t = W_hy h_t + b_y, x_t one-hot. b_h is
# kept as a sum of two, b_ih + b_hh, as in torch.
torch.manual_seed(0)
config = tt.models.LanguageModelConfig(cell="elman", hidden_size=3, one_hot=True)
model = tt.models.LanguageModel(len(LETTERS), config)
print("\nParameters")
for name, parameter in model.named_parameters():
    print(f"  {name} {tuple(parameter.shape)}")

training = tt.training.TrainingConfig(
    truncation="full", epochs=150, optimizer="adam", learning_rate=0.05, batch_size=1
)
steps = [step.loss for step in tt.training.train(model, (x, targets), training)]
print(f"\nTraining: loss {steps[0]:.3f} -> {steps[-1]:.3f}")
model.eval()
spelt = tt.models.generate(model, text[:1], 4, method="greedy")
print("From h on:", "h" + "".join(LETTERS[int(letter)] for letter in spelt))
