"""An LSTM learns English letter by letter from Python's own help texts, and writes.

What it makes of text it has not seen stands beside what pairs of letters (all that a
network without memory could know) and triples of letters say. About half a minute.
"""

import torch

import throughtime as tt
from throughtime.models import LanguageModel, LanguageModelConfig, NGramLM


def main(characters: int = 250_000, epochs: int = 6, hidden_size: int = 128) -> None:
    torch.manual_seed(0)
    text = " ".join(tt.data.default_corpus().split())[:characters]
    cut = int(0.9 * len(text))
    vocabulary = tt.data.build_vocabulary(text[:cut])
    train, held_out = vocabulary.encode(text[:cut]), vocabulary.encode(text[cut:])
    print(f"{len(train)} characters to learn from, {len(vocabulary)} different ones")

    print("Perplexity of the next character, held-out text:")
    for order in (2, 3):
        counts = NGramLM(order, vocabulary_size=len(vocabulary)).fit(train)
        print(f"  {order}-gram {perplexity(counts, held_out):.2f}")

    config = LanguageModelConfig(hidden_size=hidden_size, embedding_size=32)
    model = LanguageModel(len(vocabulary), config)
    training = tt.training.TrainingConfig(
        tau=50, batch_size=16, epochs=epochs, learning_rate=0.005
    )
    for _ in tt.training.train(model, tt.data.streams(train, 16), training):
        pass
    model.eval()
    print(f"  LSTM {perplexity(model, held_out):.2f}")

    start = vocabulary.encode("The following ")
    generator = torch.Generator().manual_seed(1)
    written = tt.models.generate(
        model, start, 300, temperature=0.6, generator=generator
    )
    print("\nThe following " + vocabulary.decode(written))


def perplexity(model: tt.models.LanguageModelProtocol, tokens: torch.Tensor) -> float:
    return tt.models.evaluate(model, *tt.data.evaluation_streams(tokens)).perplexity


if __name__ == "__main__":
    main()
