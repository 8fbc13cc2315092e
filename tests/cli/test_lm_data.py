"""Large texts: read in blocks, tokens in files, and the same results."""

import gzip
import hashlib
import json
from pathlib import Path

import pytest
import torch
from rich.console import Console

from tests.cli.conftest import SMALL, TEXT
from throughtime.cli.lm_data import build_vocabulary, encode, load_corpus, text_source
from throughtime.cli.reading import show_reading
from throughtime.data import split
from throughtime.errors import DataError, RunError

SIZES = {"char": {}, "word": {}, "bpe": {"size": 270}}


@pytest.fixture
def large(monkeypatch, tmp_path_factory):
    """Every text counts as one that does not fit into memory."""
    monkeypatch.setattr("throughtime.data.text.LARGE", 100)
    folder = tmp_path_factory.mktemp("temporary")
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


def tokens_of(files, unit, **options):
    corpus = load_corpus(text_source(files, "0.1", unit))
    vocabulary = build_vocabulary(corpus.train, unit, **SIZES[unit])
    parts = (("training", corpus.train), ("held-out", corpus.held_out))
    tokens = [encode(vocabulary, part, name, **options) for name, part in parts]
    return corpus, vocabulary, tokens


@pytest.mark.parametrize("unit", ["char", "word", "bpe"])
def test_large_and_small_give_the_same(text, unit, request):
    corpus, vocabulary, tokens = tokens_of([text], unit)
    request.getfixturevalue("large")
    again, same, mapped = tokens_of([text], unit)
    assert again.source == corpus.source
    assert same == vocabulary
    for small, big in zip(tokens, mapped, strict=True):
        assert (small.dtype, big.dtype) == (torch.long, torch.int16)
        assert torch.equal(small, big.long())


@pytest.mark.parametrize("unit", ["char", "word"])
def test_the_fingerprint_is_that_of_both_parts(text, unit, large):
    train, held_out = split(TEXT, 0.1, unit=unit)
    want = hashlib.sha256(f"{len(train)}\n{train}{held_out}".encode()).hexdigest()
    assert load_corpus(text_source([text], "0.1", unit)).source.sha256 == want


def test_token_files_in_a_folder_are_used_again(text, tmp_path, large, monkeypatch):
    folder = tmp_path / "tokens"
    corpus, vocabulary, tokens = tokens_of([text], "word", folder=folder)
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["held-out.safetensors", "training.safetensors"]
    times = [path.stat().st_mtime_ns for path in sorted(folder.iterdir())]
    again = encode(vocabulary, corpus.train, "training", folder=folder)
    assert torch.equal(again, tokens[0])
    assert times == [path.stat().st_mtime_ns for path in sorted(folder.iterdir())]
    other = build_vocabulary(corpus.train, "word", size=5)
    fewer = encode(other, corpus.train, "training", folder=folder)
    assert torch.equal(fewer, other.encode("".join(corpus.train)).to(torch.int16))
    (folder / "training.safetensors").write_bytes(b"x")
    with pytest.raises(DataError, match="no complete file of tokens"):
        encode(other, corpus.train, "training", folder=folder)


def test_a_large_text_that_has_changed(text, large):
    source = load_corpus(text_source([text], "0.1", "char")).source
    assert load_corpus(source).source == source
    text.write_text(TEXT.replace("cat", "dog"))
    with pytest.raises(RunError, match="has changed since its training began"):
        load_corpus(source)


def test_a_run_on_a_large_text_is_the_run_on_a_small_one(command, text, request):
    """Trained from the map, resumed, evaluated: the very same numbers."""
    commands = [
        ["train", "lm", text, *SMALL],
        ["train", "lm", "--epochs", "2"],
        ["evaluate"],
    ]

    def results(folder):
        places = [["--out", folder], ["--resume", folder], [folder]]
        outcomes = [
            command(*c, *p, "--json") for c, p in zip(commands, places, strict=True)
        ]
        assert [outcome.status for outcome in outcomes] == [0, 0, 0]
        return [{**outcome.last, "run": "", "report": ""} for outcome in outcomes]

    small = results("small")
    request.getfixturevalue("large")
    assert results("large") == small


def test_a_folder_of_packed_texts(command, tmp_path):
    folder = tmp_path / "books"
    folder.mkdir()
    for name in "ab":
        (folder / f"{name}.txt.gz").write_bytes(gzip.compress(TEXT.encode()))
    outcome = command("train", "lm", folder, *SMALL, "--out", "run", "--json")
    assert outcome.status == 0, outcome.err
    assert "text    books" in outcome.out
    config = json.loads((Path("run") / "config.json").read_text())
    assert config["data"]["files"] == [str(folder)]


def test_a_bar_for_slow_work_alone(monkeypatch):
    console = Console(force_terminal=True, width=100, record=True)
    with console.capture() as quick, show_reading(console) as seen:
        seen("reading", 10, 20)
    assert quick.get() == ""
    monkeypatch.setattr("throughtime.cli.reading.PATIENCE", -1)
    with console.capture() as slow, show_reading(console) as seen:
        seen("encoding", 10_000_000, None)
        seen("encoding", 10_000_000, 20_000_000)
    assert "encoding" in slow.get()
    assert "50%" in slow.get()
    with Console(width=100).capture() as none, show_reading(Console()) as seen:
        seen("encoding", 1, 2)
    assert none.get() == ""
