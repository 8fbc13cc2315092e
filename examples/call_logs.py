"""Which callers of a call centre complain: what counts is the order of events.

A log is a ragged list of events with durations. Waiting annoys a caller, being
transferred doubles what has gathered, and talking to somebody soothes; whether a
complaint follows depends on the annoyance that is left. A bag of events, how often and
how long each kind, cannot know whether the talk came before or after the wait. Beside
an LSTM stand a logistic regression on this bag and the same network without a hidden
state. About a quarter of a minute on two cores.
"""

import torch
from sklearn.linear_model import LogisticRegression

import throughtime as tt
from throughtime.models import Classifier, ClassifierConfig, VectorFrontEnd

KINDS = ("menu", "ring", "hold", "transfer", "talk")
CHANCES = torch.tensor([0.15, 0.15, 0.3, 0.2, 0.2])
# Minutes that an event of each kind takes on average.
MINUTES = torch.tensor([0.3, 0.5, 2.0, 0.2, 3.0])


def log() -> tuple[torch.Tensor, bool]:
    """Events (T, kinds + 1), the last number the minutes; and whether they complain."""
    kinds = torch.multinomial(CHANCES, int(torch.randint(4, 25, ())), replacement=True)
    minutes = MINUTES[kinds] * torch.empty(len(kinds)).exponential_()
    annoyance = 0.0
    for kind, time in zip(kinds.tolist(), minutes.tolist(), strict=True):
        if KINDS[kind] == "transfer":
            annoyance *= 2
        elif KINDS[kind] == "talk":
            annoyance *= 0.5 if time < 2 else 0.1
        else:
            annoyance += time
    complains = bool(torch.rand(()) < torch.sigmoid(torch.tensor(2 * (annoyance - 3))))
    events = tt.data.one_hot(kinds, len(KINDS))
    return torch.cat([events, minutes.log1p()[:, None]], 1), complains


def logs(count: int) -> tt.data.Examples:
    """Calls and how they ended."""
    events, complains = zip(*(log() for _ in range(count)), strict=True)
    return tt.data.Examples(
        {"inputs": events}, {"labels": torch.tensor(complains, dtype=torch.long)}
    )


def bags(examples: tt.data.Examples) -> torch.Tensor:
    """How often each kind of event occurs, and for how many minutes in all."""
    rows = []
    for events in examples.sequences["inputs"]:
        kinds, minutes = events[:, :-1], events[:, -1:].expm1()
        rows.append(torch.cat([kinds.sum(0), (kinds * minutes).sum(0)]))
    return torch.stack(rows)


def main(count: int = 3000, epochs: int = 10) -> None:
    torch.manual_seed(0)
    train, test = logs(count), logs(1000)
    labels = test.values["labels"]
    most = labels.float().mean()
    print(f"always the commoner answer: {max(most, 1 - most):.1%} right")
    linear = LogisticRegression(max_iter=1000)
    linear.fit(bags(train).numpy(), train.values["labels"].numpy())
    score = linear.score(bags(test).numpy(), labels.numpy())
    print(f"bag of events, logistic regression: {score:.1%} right")
    for name, config in (
        ("no hidden state", ClassifierConfig("none", hidden_size=64, pooling="mean")),
        ("LSTM", ClassifierConfig("lstm", hidden_size=32)),
    ):
        model = Classifier(VectorFrontEnd(len(KINDS) + 1), 2, config)
        training = tt.training.TrainingConfig(
            epochs=epochs, batch_size=32, learning_rate=0.01
        )
        for _ in tt.training.train(model, train, training):
            pass
        model.eval()
        with torch.no_grad():
            guesses = torch.cat(
                [model(batch).argmax(-1) for batch in test.batches(100)]
            )
        print(f"{name}: {(guesses == labels).float().mean():.1%} right")


if __name__ == "__main__":
    main()
