"""Where is the square going? A label for every frame of short synthetic videos.

A single frame shows where the square is and never where it is going: without a memory
nothing better than a guess is possible. About fifteen seconds.
"""

import torch
from torch import Tensor

import throughtime as tt
from throughtime.models import ImageFrontEnd, Tagger, TaggerConfig

DIRECTIONS = {"up": (-2, 0), "down": (2, 0), "left": (0, -2), "right": (0, 2)}
SIDE, FRAMES = 16, 12


def main(count: int = 600, epochs: int = 8, hidden_size: int = 64) -> None:
    torch.manual_seed(0)
    train, unseen = videos(count), videos(200)
    print(f"{count} videos of {FRAMES} frames; frames labelled rightly in 200 others:")
    for cell in ("none", "lstm"):
        torch.manual_seed(0)
        front_end = ImageFrontEnd(1, SIDE, SIDE, features=48)
        config = TaggerConfig(cell=cell, hidden_size=hidden_size)
        model = Tagger(front_end, len(DIRECTIONS), config)
        training = tt.training.TrainingConfig(epochs=epochs, learning_rate=0.005)
        for _ in tt.training.train(model, train, training):
            pass
        batch = unseen.batch(range(len(unseen)))
        labels = model.eval().predict(batch)
        counted = batch["targets_mask"]
        right = (labels == batch["targets"])[counted].float().mean()
        print(f"  cell {cell}: {right:.1%}")
    names = list(DIRECTIONS)
    print("One video:", " ".join(names[label] for label in labels[1:, 0]))
    print("    truth:", " ".join(names[label] for label in batch["targets"][1:, 0]))


def videos(count: int) -> tt.data.Examples:
    made = [video() for _ in range(count)]
    # Before the first frame nothing moved: it has no label.
    mask = torch.arange(FRAMES) > 0
    return tt.data.Examples(
        {
            "inputs": [frames for frames, _ in made],
            "targets": [labels for _, labels in made],
            "targets_mask": [mask] * count,
        }
    )


def video() -> tuple[Tensor, Tensor]:
    """A square that turns now and then and comes in again on the other side."""
    frames = torch.zeros(FRAMES, 1, SIDE, SIDE, dtype=torch.uint8)
    labels = torch.randint(len(DIRECTIONS), (FRAMES,))
    row, column = torch.randint(SIDE, (2,)).tolist()
    for t in range(FRAMES):
        if torch.rand(()) < 0.7:  # mostly it goes on as before
            labels[t] = labels[max(t - 1, 0)]
        down, right = list(DIRECTIONS.values())[labels[t]]
        row, column = (row + down) % SIDE, (column + right) % SIDE
        square = torch.zeros(SIDE, SIDE, dtype=torch.uint8)
        square[:4, :4] = 255
        frames[t, 0] = square.roll((row, column), (0, 1))
    return frames, labels


if __name__ == "__main__":
    main()
