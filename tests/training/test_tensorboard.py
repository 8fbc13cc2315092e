"""TensorBoard events from the records; the package itself is optional."""

import builtins

import pytest

from tests.training.small import config, make, run_all
from throughtime.errors import RunError
from throughtime.training import EventInfo
from throughtime.training.tensorboard import open_writer, write_record


class Writer:
    def __init__(self):
        self.scalars, self.texts = [], []

    def add_scalar(self, name, value, step):
        self.scalars.append((name, value, step))

    def add_text(self, name, value, step):
        self.texts.append((name, value, step))


def test_every_kind_of_record_is_written():
    writer = Writer()
    records = run_all(make(), config(epochs=1, tau=20), validate=lambda model: 0.0)
    for record in [*records, EventInfo(2, "restored", "why")]:
        write_record(writer, record)
    assert [(n, s) for n, _, s in writer.scalars] == [
        *((f"train/{n}", 1) for n in ("loss", "grad_norm", "learning_rate")),
        ("train/tokens_per_second", 1),
        *((f"train/{n}", 2) for n in ("loss", "grad_norm", "learning_rate")),
        ("train/tokens_per_second", 2),
        ("valid/loss", 2),
        ("valid/perplexity", 2),
    ]
    assert ("valid/perplexity", 1.0, 2) in writer.scalars
    assert writer.texts == [("restored", "why", 2)]


def test_missing_package_names_the_fix(tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *args, **options):
        if name.startswith("torch.utils.tensorboard"):
            raise ImportError(name)
        return real(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(RunError, match=r"pip install 'throughtime\[tensorboard\]'"):
        open_writer(tmp_path)
