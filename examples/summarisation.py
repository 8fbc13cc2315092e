"""Reports of football matches become headlines: an encoder, a decoder, and attention.

A report of three or four sentences names the teams, who won is to be found out from the
goals, and the rest does not matter. The first sentence, a good summary of real news, is
printed beside what is learnt. About half a minute.
"""

import random

import torch

import throughtime as tt
from throughtime.models import EncoderDecoder, EncoderDecoderConfig, TokenFrontEnd
from throughtime.tasks.text_scores import text_scores

TEAMS = [
    *("ajax", "basel", "benfica", "bremen", "celtic", "everton", "genoa", "leeds"),
    *("lille", "lyon", "milan", "nantes", "parma", "porto", "rangers", "sevilla"),
]
OTHERS = (
    "the pitch was {weather} .",
    "{count} thousand people came on this {weather} {day} .",
    "{home} play {other} next {day} .",
    "{away} had lost to {other} last {day} .",
    "a goal of {away} in minute {count} did not count .",
    "the keeper of {home} was hurt in minute {count} .",
)
DAYS = ["saturday", "sunday", "tuesday", "wednesday"]
WEATHERS = ["rainy", "sunny", "frozen", "windy", "warm"]


def main(count: int = 3000, epochs: int = 6, hidden_size: int = 96) -> None:
    draw = random.Random(0)
    train, unseen = ([match(draw) for _ in range(n)] for n in (count, 300))
    headlines = [headline for _, headline in unseen]
    words = sorted({word for pair in train for text in pair for word in text.split()})
    words = ["<end>", *words]
    print(f"{count} reports to learn from, such as\n  {train[0][0]}\n  {train[0][1]}")
    print("Headlines of 300 others:")
    report("first sentence", [text.split(" .")[0] for text, _ in unseen], headlines)
    for cell in ("none", "gru"):
        torch.manual_seed(0)
        config = EncoderDecoderConfig(
            cell=cell, hidden_size=hidden_size, bidirectional=cell != "none"
        )
        front_end = TokenFrontEnd(len(words), 64)
        model = EncoderDecoder(front_end, len(words), 0, config)
        training = tt.training.TrainingConfig(epochs=epochs, learning_rate=0.01)
        for _ in tt.training.train(model, examples(train, words), training):
            pass
        batch = examples(unseen, words).batch(range(len(unseen)))
        found = model.eval().search(batch, longest=12, beam_size=3)
        rows = [best[0].tokens.tolist() for best in found]
        said = [" ".join(words[token] for token in row if token) for row in rows]
        report(f"cell {cell}", said, headlines)
    print(f"  {unseen[0][0]}\n  {said[0]}")


def report(name: str, said: list[str], headlines: list[str]) -> None:
    scores = text_scores(said, [[h] for h in headlines], tokenise="none")
    print(f"  {name}: {scores['exact %']:.1f} % exact, chrF {scores['chrF']:.1f}")


def match(draw: random.Random) -> tuple[str, str]:
    home, away, other = draw.sample(TEAMS, 3)
    goals, more = draw.randint(0, 4), draw.randint(0, 4)
    chosen = [
        text.format(
            home=home,
            away=away,
            other=other,
            day=draw.choice(DAYS),
            weather=draw.choice(WEATHERS),
            count=draw.randint(10, 40),
        )
        for text in draw.sample(OTHERS, draw.randint(1, 2))
    ]
    chosen.append(f"{home} shot {goals} goals and their guests {more} .")
    draw.shuffle(chosen)
    text = " ".join([f"{home} received {away} .", *chosen])
    if goals == more:
        return text, f"{home} and {away} draw {goals} - {more}"
    if goals > more:
        return text, f"{home} beat {away} {goals} - {more}"
    return text, f"{away} win {more} - {goals} at {home}"


def examples(pairs: list[tuple[str, str]], words: list[str]) -> tt.data.Examples:
    index = {word: i for i, word in enumerate(words)}
    return tt.data.Examples(
        {
            "inputs": [
                torch.tensor([index[w] for w in text.split()]) for text, _ in pairs
            ],
            "targets": [
                torch.tensor([*(index[w] for w in headline.split()), 0])
                for _, headline in pairs
            ],
        }
    )


if __name__ == "__main__":
    main()
