"""Numbers written out in German become digits: an encoder, a decoder, and attention.

"neuntausendvierundsiebzig" is read letter by letter and "9074" is said digit by digit;
German says the 4 of 74 before the 7, so order has to be learnt, too. Without attention,
all that was read has to fit into one vector. About half a minute.
"""

import random

import torch

import throughtime as tt
from throughtime.models import EncoderDecoder, EncoderDecoderConfig, TokenFrontEnd

ONES = [
    *("null", "eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht"),
    *("neun", "zehn", "elf", "zwölf"),
]
TENS = ["zwan", "drei", "vier", "fünf", "sech", "sieb", "acht", "neun"]
SHORT = {6: "sech", 7: "sieb"}
LETTERS = "abcdefghijklmnopqrstuvwxyzüöß"
END = 10  # after the digits 0 to 9


def main(count: int = 2000, epochs: int = 8, hidden_size: int = 96) -> None:
    numbers = random.Random(0).sample(range(10_000), count + 500)
    train, unseen = numbers[:-500], numbers[-500:]
    print(f"{count} numbers to learn from, such as {german(train[0])} = {train[0]}")
    print("Of 500 others are right, all digits:")
    for attention in ("none", "bilinear"):
        torch.manual_seed(0)
        config = EncoderDecoderConfig(
            hidden_size=hidden_size, bidirectional=True, attention=attention
        )
        front_end = TokenFrontEnd(len(LETTERS), 32)
        model = EncoderDecoder(front_end, END + 1, END, config)
        training = tt.training.TrainingConfig(epochs=epochs, learning_rate=0.005)
        for _ in tt.training.train(model, examples(train), training):
            pass
        said = translate(model.eval(), unseen)
        right = sum(a == str(b) for a, b in zip(said, unseen, strict=True))
        print(f"  attention {attention}: {right / len(unseen):.1%}")
    for number, digits in zip(unseen[:3], said, strict=False):
        print(f"{german(number)} -> {digits}")


def german(number: int) -> str:
    """The number in words; 0 to 999999."""
    if number >= 1000:
        head = german(number // 1000).replace("eins", "ein") + "tausend"
        return head + (german(number % 1000) if number % 1000 else "")
    if number >= 100:
        head = "ein" if number < 200 else ONES[number // 100]
        return f"{head}hundert" + (german(number % 100) if number % 100 else "")
    ten, one = divmod(number, 10)
    if number <= 12:
        return ONES[number]
    if ten == 1:
        return SHORT.get(one, ONES[one]) + "zehn"
    head = ("ein" if one == 1 else ONES[one]) + "und" if one else ""
    return head + TENS[ten - 2] + ("ßig" if ten == 3 else "zig")


def examples(numbers: list[int]) -> tt.data.Examples:
    words = [[LETTERS.index(letter) for letter in german(n)] for n in numbers]
    digits = [[*map(int, str(n)), END] for n in numbers]
    return tt.data.Examples(
        {
            "inputs": list(map(torch.tensor, words)),
            "targets": list(map(torch.tensor, digits)),
        }
    )


def translate(model: EncoderDecoder, numbers: list[int]) -> list[str]:
    batch = examples(numbers).batch(range(len(numbers)))
    found = model.search(batch, longest=8, beam_size=1)
    tokens = [best[0].tokens.tolist() for best in found]
    return ["".join(str(t) for t in row if t != END) for row in tokens]


if __name__ == "__main__":
    main()
