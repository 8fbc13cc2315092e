"""Spoken digits, several in a row, are read without being told where each one is.

Ten "digits" are spoken by a small synthesiser: each is two vowels with a stop between
them, a vowel two formants over a voice of its own pitch, in any tempo and with noise.
Every digit has a twin that says the same vowels the other way round, so no single
moment tells which digit it is. A bidirectional GRU learns from strings of digits alone
(CTC); beside it stands the same without a hidden state. About 15 seconds on two cores.
"""

import torch

import throughtime as tt
from throughtime.models import NetworkConfig, Recogniser, VectorFrontEnd

RATE = 8000
# Formants in Hz of the vowels in "beet", "bat", "father", "boot" and "bird".
VOWELS = [(270, 2290), (660, 1720), (730, 1090), (300, 870), (490, 1350)]
DIGITS = [
    (0, 1),
    (1, 0),
    (0, 2),
    (2, 0),
    (1, 3),
    (3, 1),
    (2, 4),
    (4, 2),
    (3, 4),
    (4, 3),
]
WINDOW = 160
STOP = torch.zeros(300)


def vowel(formants: tuple[int, int], pitch: float) -> torch.Tensor:
    """The overtones of a voice, those near a formant loud, for 50 to 100 ms."""
    time = torch.arange(int(RATE * (0.05 + 0.05 * torch.rand(1)))) / RATE
    tones = pitch * torch.arange(1, int(RATE / 2 / pitch))[:, None]
    loud = sum(torch.exp(-(((tones - f) / 150) ** 2)) for f in formants) + 0.02
    shift = 2 * torch.pi * torch.rand(len(tones), 1)
    return (loud * torch.sin(2 * torch.pi * tones * time + shift)).sum(0)


def spoken(digits: torch.Tensor) -> torch.Tensor:
    """Log-spectra of the digits one after the other, (T, frequencies)."""
    pitch = 90 + 110 * float(torch.rand(1))
    parts = [torch.zeros(200)]
    for digit in digits.tolist():
        first, second = (vowel(VOWELS[part], pitch) for part in DIGITS[digit])
        parts += [first, STOP, second, torch.zeros(600 + int(400 * torch.rand(1)))]
    sound = torch.cat(parts)
    sound += 0.6 * torch.randn(len(sound))
    window = torch.hann_window(WINDOW)
    spectrum = torch.stft(
        sound, WINDOW, WINDOW // 2, window=window, return_complex=True
    )
    return spectrum.abs().clamp(min=1e-3).log().T


def strings(count: int) -> tt.data.Examples:
    """Recordings and what is said in them, three to five digits each."""
    said = [torch.randint(10, (3 + n % 3,)) for n in range(count)]
    return tt.data.Examples({"inputs": [spoken(d) for d in said], "targets": said})


def errors(answer: list[int], target: list[int]) -> int:
    """The least number of digits to put in, take out or replace."""
    row = list(range(len(target) + 1))
    for i, mine in enumerate(answer, 1):
        corner, row[0] = row[0], i
        for j, theirs in enumerate(target, 1):
            changed = corner + (mine != theirs)
            corner, row[j] = row[j], min(changed, row[j] + 1, row[j - 1] + 1)
    return row[-1]


def main(count: int = 600, epochs: int = 10) -> None:
    torch.manual_seed(0)
    train, test = strings(count), strings(count // 3)
    frames = torch.cat(list(train.sequences["inputs"]))
    said = [row.tolist() for row in test.sequences["targets"]]
    print(f"{len(train)} recordings to learn from, {len(test)} others to read")
    for name, config in (
        ("bidirectional GRU", NetworkConfig("gru", hidden_size=64, bidirectional=True)),
        ("no hidden state", NetworkConfig("none", hidden_size=128)),
    ):
        front_end = VectorFrontEnd(frames.size(1), frames.mean(0), frames.std(0))
        model = Recogniser(front_end, len(DIGITS), config, subsample=2)
        training = tt.training.TrainingConfig(
            epochs=epochs, batch_size=16, learning_rate=0.005
        )
        for _ in tt.training.train(model, train, training):
            pass
        model.eval()
        heard = [answer for batch in test.batches(50) for answer in model.read(batch)]
        wrong = sum(map(errors, heard, said)) / sum(map(len, said))
        right = sum(map(list.__eq__, heard, said)) / len(said)
        print(f"{name}: digit error rate {wrong:.1%}, whole strings right {right:.1%}")
    print(f"said {said[2]}, the last one heard {heard[2]}")


if __name__ == "__main__":
    main()
