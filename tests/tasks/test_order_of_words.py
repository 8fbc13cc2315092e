"""What a bag of words cannot know and a recurrent network can."""

from collections.abc import Sequence

import torch

from throughtime.data.examples import Examples
from throughtime.data.order_pairs import order_pairs
from throughtime.models.classifier import Classifier, ClassifierConfig
from throughtime.models.naive_bayes import NaiveBayes
from throughtime.tasks.inputs.text import TextInputs
from throughtime.tasks.inputs.text_options import TextOptions
from throughtime.tasks.task import RawExample
from throughtime.training import TrainingConfig, train

LABELS = ("negative", "positive")
# Held out: the words are those of the pairs, and none of these sentences is among them.
CONCERT = (
    ("the concert was boring but the band was terribly exciting", "positive"),
    ("the band was terribly exciting but the concert was boring", "negative"),
)


def examples(raw: Sequence[RawExample], inputs: TextInputs) -> Examples:
    rows = [inputs.encode(example)["inputs"] for example in raw]
    labels = [LABELS.index(example.target) for example in raw]
    return Examples({"inputs": rows}, {"labels": torch.tensor(labels)})


def test_the_order_of_words():
    """Naive Bayes is right on exactly one half, an LSTM on all but a few."""
    raw = [
        RawExample(text, label, "", group) for text, label, group in order_pairs(250)
    ]
    concert = [RawExample(text, label, "") for text, label in CONCERT]
    raw_train, held_out = raw[:400], [*raw[400:], *concert]
    bayes = NaiveBayes().fit(
        [e.input for e in raw_train], [e.target for e in raw_train]
    )
    answers = bayes.predict([e.input for e in held_out])
    right = [a == e.target for a, e in zip(answers, held_out, strict=True)]
    assert sum(right) == len(held_out) / 2

    inputs = TextInputs.fit(raw_train, TextOptions())
    config = ClassifierConfig(hidden_size=24)
    torch.manual_seed(0)
    model = Classifier(inputs.front_end(config), 2, config)
    settings = TrainingConfig(batch_size=16, epochs=6, learning_rate=0.02)
    for _ in train(model, examples(raw_train, inputs), settings):
        pass
    batch = examples(held_out, inputs).batch(range(len(held_out)))
    with torch.no_grad():
        found = model.eval()(batch).argmax(1)
    right = found == batch["labels"]
    assert right.double().mean() > 0.95
    assert right[-2:].all()
