"""Models of counts, of a window and recurrent ones: trained, compared, put to use."""

import gzip
import io
import json
import math

import pytest
import torch

from tests.cli.conftest import SMALL, TEXT
from tests.cli.test_bad_input import refused, snapshot
from throughtime.cli.lm_run import open_run
from throughtime.data import build_vocabulary, split
from throughtime.models import NGramLM, fit_weights, token_log_probs
from throughtime.models.mixture import mix
from throughtime.models.ngram import read_arpa

WORDS = ["--unit", "word"]


@pytest.fixture
def ngram(command, text, tmp_path):
    outcome = command(
        *("train", "lm", text, "--model", "ngram", "--order", "3", *WORDS),
        *("--out", "ngram"),
    )
    assert outcome.status == 0, outcome.err
    return tmp_path / "ngram"


@pytest.fixture
def words(command, text, tmp_path):
    outcome = command("train", "lm", text, *SMALL, *WORDS, "--out", "words")
    assert outcome.status == 0, outcome.err
    return tmp_path / "words"


@pytest.fixture
def test_text(tmp_path):
    path = tmp_path / "test.txt"
    path.write_text("the cat sat on the mat\nline 7 went home\nthe mat sat\n" * 5)
    return path


@pytest.mark.parametrize("unit", ["char", "word", "bpe"])
def test_an_ngram_run_is_the_model_from_python(command, text, unit):
    result = command(
        *("train", "lm", text, "--model", "ngram", "--unit", unit, "--out", "n"),
        "--json",
    ).last
    train, held_out = split(TEXT, 0.1, unit=unit)
    vocabulary = build_vocabulary(train, unit)
    model = NGramLM(5, vocabulary_size=len(vocabulary)).fit(vocabulary.encode(train))
    tokens = vocabulary.encode(held_out)
    # Files hold single precision.
    assert result["loss"] == pytest.approx(-model.score(tokens).mean().item(), rel=1e-6)
    assert result["ngrams"] == [row.ngrams for row in model.storage()]
    assert command("evaluate", "n", "--json").last["loss"] == result["loss"]
    text_ = command("generate", "n", "--length", "5")
    assert text_.status == 0, text_.err


@pytest.mark.parametrize(
    ("smoothing", "options"),
    [
        ("additive", {"delta": 0.1}),
        ("interpolation", {}),
        ("interpolation", {"weights": [0.5, 0.3, 0.15, 0.05]}),
        ("katz", {}),
        ("stupid-backoff", {"alpha": 0.3}),
        ("absolute", {}),
        ("witten-bell", {}),
        ("kneser-ney-single", {"discount": 0.5}),
    ],
)
def test_smoothings_by_name(command, text, smoothing, options):
    settings = [f"--set={key}={json.dumps(value)}" for key, value in options.items()]
    outcome = command(
        *("train", "lm", text, "--model", "ngram", "--order", "3", *WORDS),
        *("--smoothing", smoothing, *settings, "--out", "n", "--json"),
    )
    assert outcome.status == 0, outcome.err
    # Better than guessing among the words, and repeated by evaluate.
    assert outcome.last["perplexity"] < len(set(TEXT.split()))
    assert command("evaluate", "n", "--json").last["loss"] == outcome.last["loss"]


def test_pruned_models_are_smaller(command, text):
    plain = [*("train", "lm", text, "--model", "ngram", "--order", "3", *WORDS)]
    sizes = {}
    for name, setting in (
        ("whole", []),
        ("counts", ["--set", "prune=[1,1,2]"]),
        ("entropy", ["--set", "prune_entropy=1e-4"]),
    ):
        outcome = command(*plain, *setting, "--out", name, "--json")
        assert outcome.status == 0, outcome.err
        sizes[name] = sum(outcome.last["ngrams"])
    assert sizes["counts"] < sizes["whole"]
    assert sizes["entropy"] < sizes["whole"]


def test_zero_probabilities_are_counted_and_told(command, text, tmp_path):
    (tmp_path / "other.txt").write_text("mat the on sat cat\n")
    arguments = ["--model", "ngram", *WORDS, "--smoothing", "maximum-likelihood"]
    assert command("train", "lm", text, *arguments, "--out", "n").status == 0
    outcome = command("evaluate", "n", "other.txt", "--json")
    assert outcome.last["impossible"] > 0
    assert outcome.last["perplexity"] is None
    assert "probability 0" in outcome.out


def test_lines_that_are_independent(command, text, tmp_path):
    plain = [*("train", "lm", text, "--model", "ngram", *WORDS)]
    one = command(*plain, "--independent-lines", "--out", "lines", "--json").last
    vocabulary = build_vocabulary(split(TEXT, 0.1, unit="word")[0], "word")
    train, held_out = (vocabulary.encode(t) for t in split(TEXT, 0.1, unit="word"))
    model = NGramLM(5, vocabulary_size=len(vocabulary))
    model.fit(train, boundary=vocabulary.boundary_index)
    expected = -model.score(held_out).mean().item()
    assert one["loss"] == pytest.approx(expected, rel=1e-6)
    boundary = open_run(tmp_path / "lines").ngram("test").boundary
    assert boundary == vocabulary.boundary_index


def test_counting_within_a_budget_gives_the_same_model(command, text, ngram, tmp_path):
    again = command(
        *("train", "lm", text, "--model", "ngram", "--order", "3", *WORDS),
        *("--memory", "1MB", "--out", "disk"),
    )
    assert again.status == 0, again.err
    files = [path / "model.safetensors" for path in (ngram, tmp_path / "disk")]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_window_model_is_trained_like_a_network(command, text, tmp_path):
    outcome = command(
        *("train", "lm", text, *SMALL, "--model", "window", "--window", "3"),
        *("--out", "w", "--json"),
    )
    assert outcome.status == 0, outcome.err
    assert "fixed window of 3 tokens" in outcome.out
    assert open_run(tmp_path / "w").kind == "window"
    assert command("evaluate", "w", "--json").last["loss"] == outcome.last["loss"]
    page = (tmp_path / "w" / "report.html").read_text()
    assert "Parameters and the window" in page
    assert "What each place is worth" in page
    resumed = command("train", "lm", "--resume", "w", "--epochs", "2")
    assert resumed.status == 0, resumed.err


@pytest.mark.parametrize("model", ["rnn", "window"])
@pytest.mark.parametrize("output", ["adaptive", "class", "sampled"])
def test_outputs_for_large_vocabularies(command, text, model, output):
    options = {"adaptive": ["--set", "cutoffs=[10]"], "class": ["--set", "classes=4"]}
    outcome = command(
        *("train", "lm", text, *SMALL, *WORDS, "--model", model, "--out", "r"),
        *("--set", f"output={output}", *options.get(output, []), "--json"),
    )
    assert outcome.status == 0, outcome.err
    assert command("evaluate", "r", "--json").last["loss"] == outcome.last["loss"]


def test_compare_puts_all_in_one_table(command, ngram, words, test_text, tmp_path):
    outcome = command(
        *("compare", ngram, words, "--text", test_text, "--mix", "--json"),
        *("--report", "page.html"),
    )
    assert outcome.status == 0, outcome.err
    rows = {row["model"]: row for row in outcome.last["models"]}
    assert set(rows) == {"ngram", "words", "mixture"}
    # The same figures from Python.
    runs = [open_run(tmp_path / name) for name in ("ngram", "words")]
    held_out = runs[0].vocabulary.encode(split(TEXT, 0.1, unit="word")[1])
    tokens = runs[0].vocabulary.encode(test_text.read_text())
    weights = fit_weights([token_log_probs(run.model, held_out) for run in runs])
    log_probs = [token_log_probs(run.model, tokens) for run in runs]
    losses = [-values.mean().item() for values in (*log_probs, mix(log_probs, weights))]
    for name, loss in zip(("ngram", "words", "mixture"), losses, strict=True):
        assert rows[name]["loss"] == pytest.approx(loss, rel=1e-12)
    assert list(rows["mixture"]["weights"].values()) == pytest.approx(weights)
    assert rows["words"]["size"] == sum(p.numel() for p in runs[1].model.parameters())
    assert rows["ngram"]["kind"] == "ngram"
    assert "<svg" not in outcome.out
    assert "mixture" in (tmp_path / "page.html").read_text()


def test_models_of_other_units_are_ranked_by_bits(command, ngram, run):
    outcome = command("compare", ngram, run, "--json")
    bits = [row["bits_per_character"] for row in outcome.last["models"]]
    assert bits == sorted(bits)
    assert "cannot be compared" in outcome.out


@pytest.mark.parametrize("name", ["n.arpa", "n.arpa.gz"])
@pytest.mark.parametrize("lines", [[], ["--independent-lines"]])
def test_an_exported_model_scores_as_before(command, text, tmp_path, name, lines):
    arguments = ["--model", "ngram", "--order", "3", *WORDS, *lines, "--out", "n"]
    assert command("train", "lm", text, *arguments).status == 0
    outcome = command("export", "n", "--arpa", name, "--json")
    assert outcome.status == 0, outcome.err
    opened = gzip.open if name.endswith("gz") else open
    with opened(tmp_path / name, "rt") as file:
        assert file.readline() == "\\data\\\n"
    assert len(read_arpa(tmp_path / name)[1]) == 3
    first = command("evaluate", "n", "t.txt", "--json").last
    again = command("evaluate", name, "t.txt", "--json").last
    # A file has seven digits.
    assert again["loss"] == pytest.approx(first["loss"], rel=1e-6)
    before = (tmp_path / name).read_bytes()
    refused(command("export", "n", "--arpa", name), 1, "replace it with --overwrite")
    assert (tmp_path / name).read_bytes() == before


def test_next_words(command, ngram):
    found = command("complete", ngram, "the cat", "--json").last["suggestions"]
    assert found[0]["text"] == "sat"
    opened = open_run(ngram)
    tokens = torch.tensor([0, *opened.vocabulary.encode("the cat").tolist()[:-1]])
    p = opened.model.next_distribution(tokens)
    assert found[0]["probability"] == pytest.approx(p.max().item())
    begun = command("complete", ngram, "the m", "--json").last["suggestions"]
    assert [row["text"] for row in begun] == ["mat"]
    assert begun[0]["share"] == pytest.approx(1.0)
    whole = command("complete", ngram, "the", "--unfinished", "--json").last
    assert [row["text"] for row in whole["suggestions"]] == ["the"]


def test_a_word_that_the_prompt_begins(command, ngram):
    text = command("generate", ngram, "--prompt", "the m", "--length", "3", "--json")
    assert text.last["text"].startswith("at")
    assert "the mat" in text.out
    spaced = command("generate", ngram, "--prompt", "the ", "--length", "2")
    assert not spaced.out.startswith("the  ")


@pytest.mark.parametrize("unit", ["char", "word", "bpe"])
def test_what_is_printed_piece_by_piece_is_the_text(command, text, unit):
    arguments = ["--model", "ngram", "--unit", unit, "--out", "n"]
    assert command("train", "lm", text, *arguments).status == 0
    outcome = command(
        "generate", "n", "--prompt", "the cat", "--length", "40", "--json"
    )
    printed = outcome.out.rpartition("{")[0]
    assert printed == "the cat" + outcome.last["text"] + "\n"
    one_line = command("generate", "n", "--length", "500", "--one-line", "--json").last
    assert one_line["text"].count("\n") == 1


def test_options_of_decoding(command, ngram):
    plain = [*("generate", ngram, "--prompt", "the", "--length", "8", "--json")]
    greedy = command(*plain, "--method", "greedy").last["text"]
    assert command(*plain, "--top-k", "1").last["text"] == greedy
    # What is as likely as expected, of almost no mass, is one token a step.
    typical = {
        command(*plain, "--typical", "1e-9", "--seed", s).last["text"] for s in "12"
    }
    assert len(typical) == 1
    long = command(*plain, "--method", "beam", "--length-penalty", "1", "--one-line")
    assert long.status == 0


def test_interactive_prompts(command, ngram, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("the cat\nxyzzy\n\nthe mat\n"))
    outcome = command("generate", ngram, "-i", "--length", "4", "--json")
    texts = outcome.last["texts"]
    assert [t["prompt"] for t in texts] == ["the cat", "the cat", "the mat"]
    assert "never seen: 'xyzzy'" in outcome.err


def test_caches_and_learning_on_the_way(command, text, ngram, words, test_text):
    cached = command("evaluate", ngram, test_text, "--cache", "unigram", "--json").last
    assert cached["adapted"]["loss"] < cached["loss"]  # it repeats itself
    neural = command("evaluate", words, test_text, "--cache", "neural", "--json").last
    assert neural["adapted"]["how"].startswith("neural cache")
    learnt = command("evaluate", words, test_text, "--dynamic", "--json").last
    assert math.isfinite(learnt["adapted"]["loss"])
    # The weights of the run are what they were.
    again = command("evaluate", words, test_text, "--json").last
    assert again["loss"] == learnt["loss"]


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["--model", "hmm"], 1, "unknown --model 'hmm': known are rnn, window, ngram"),
        (["--model", "ngram", "--order", "0"], 1, "order must be greater than zero"),
        (["--model", "ngram", "--smoothing", "kn"], 1, "unknown smoothing 'kn'"),
        (["--order", "3"], 1, "--order is an option of --model ngram"),
        (["--model", "ngram", "--tau", "3"], 1, "--tau is no option of --model ngram"),
        (["--window", "3"], 1, "--window is no option of --model rnn"),
        (["--model", "window", "--cell", "gru"], 1, "--cell is no option of"),
        (["--model", "window", "--window", "0"], 1, "window must be greater than zero"),
        (["--model", "window", "--memory", "1GB"], 1, "memory is about recurrent"),
        (["--model", "ngram", "--set", "delta=1"], 1, "has no option 'delta'"),
        (
            ["--model", "ngram", "--smoothing", "additive", "--set", "delta=0"],
            1,
            "delta should be a number",
        ),
        (["--model", "ngram", "--memory", "much"], 1, "memory"),
        (["--set", "output=adaptive", "--set", "tied=true"], 1, "tied"),
        (["--set", "cutoffs=[3]"], 1, "unknown option in --set 'cutoffs'"),
    ],
)
def test_training_options(command, text, tmp_path, arguments, status, says):
    before = snapshot(tmp_path)
    refused(command("train", "lm", text, *arguments), status, says)
    assert snapshot(tmp_path) == before


def test_what_a_model_cannot_do(command, ngram, words, run, test_text, tmp_path):
    before = snapshot(tmp_path)
    for arguments, says in (
        (["truncations", ngram], "needs a recurrent network"),
        (["evaluate", ngram, test_text, "--dynamic"], "needs a network"),
        (["evaluate", ngram, test_text, "--cache", "neural"], "needs a network"),
        (["evaluate", ngram, test_text, "--cache", "page"], "unknown --cache 'page'"),
        (["evaluate", ngram, "--cache", "unigram"], "give a FILE"),
        (["export", words, "--arpa", "x.arpa"], "needs an n-gram model"),
        (["export", ngram], "give --arpa FILE"),
        (["export", ngram, "--arpa", "none/x.arpa"], "does not exist"),
        (["train", "lm", "--resume", ngram], "is an n-gram model"),
        (["compare", ngram, "--mix"], "at least two models"),
        (["compare", ngram, words, "--mix"], "the very text it is measured on"),
        (["compare", words, run, "--mix", "--text", test_text], "another vocabulary"),
        (["compare", "gone", words], "gone is no run folder"),
        (["complete", ngram, "the", "--count", "0"], "count must be greater than zero"),
    ):
        refused(command(*arguments), 1, says)
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "bad.arpa"),
        ("\\data\\\nngram 1=1\n\n\\1-grams:\n-x\ta\n\\end\\\n", "line 5"),
        ("\\data\\\nngram 1=1\n\n\\1-grams:\n-1\ta\n", "\\end\\"),
    ],
)
def test_a_damaged_arpa_file(command, text, tmp_path, content, says):
    (tmp_path / "bad.arpa").write_text(content)
    refused(command("evaluate", "bad.arpa", text), 1, says)


@pytest.mark.parametrize("unit", ["char", "bpe"])
def test_an_arpa_file_of_no_words(command, text, unit):
    arguments = ["--model", "ngram", "--order", "2", "--unit", unit, "--out", "n"]
    assert command("train", "lm", text, *arguments).status == 0
    assert command("export", "n", "--arpa", "n.arpa").status == 0
    refused(command("evaluate", "n.arpa", text), 1, "is a model of characters")


def test_an_arpa_file_needs_a_text(command, ngram):
    assert command("export", ngram, "--arpa", "n.arpa").status == 0
    refused(command("evaluate", "n.arpa"), 1, "comes without a text")
