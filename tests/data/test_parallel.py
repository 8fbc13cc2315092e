"""Pairs of texts, in the files that people have them in."""

import gzip
import json

import pytest

from throughtime.data.parallel import Pair, read_pairs, read_sources
from throughtime.errors import DataError, InvalidValue

EN, DE = "a  dog .\ntwo dogs\n", "ein hund .\nzwei hunde \n"
WANT = [("a dog .", "ein hund ."), ("two dogs", "zwei hunde")]


def write(folder, **files):
    paths = []
    for name, text in files.items():
        path = folder / name.replace("_", ".")
        content = text.encode()
        path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
        paths.append(path)
    return paths


def texts(pairs):
    return [(pair.source, pair.target) for pair in pairs]


@pytest.mark.parametrize(
    "files",
    [
        {"train_en": EN, "train_de": DE},
        {"train_en_gz": EN, "train_de": DE.replace("\n", "\r\n")},
        {"both_txt": "a dog .\tein hund .\ntwo dogs\tzwei hunde\n"},
        {"both_txt_gz": "a dog .\tein hund .\n\ntwo dogs\tzwei hunde\n"},
        {"both_tsv": "target\tsource\nein hund .\ta dog .\nzwei hunde\ttwo dogs\n"},
        {"both_csv": "a dog .,ein hund .\ntwo dogs,zwei hunde\n"},
        {"both_csv": 'id,source,target\n1,a dog .,"ein hund ."\n2,two dogs,zwei hunde'},
        {"a_csv": "a dog .,ein hund .\n", "b_csv": "two dogs,zwei hunde"},
        {
            "both_jsonl": "\n".join(
                json.dumps({"source": a, "target": b}) for a, b in WANT
            )
        },
    ],
)
def test_forms(tmp_path, files):
    assert texts(read_pairs(write(tmp_path, **files))) == WANT


def test_more_than_two_files(tmp_path):
    paths = write(tmp_path, a_en="one\n", a_de="eins", b_en="two\n", b_de="zwei\n")
    assert texts(read_pairs(paths)) == [("one", "eins"), ("two", "zwei")]


def test_where(tmp_path):
    paths = write(tmp_path, train_en=EN, train_de=DE)
    assert read_pairs(paths)[1] == Pair(
        "two dogs", "zwei hunde", f"{paths[0]}:2", f"{paths[1]}:2"
    )


@pytest.mark.parametrize(("source", "target"), [("fr", "en"), ("2", "1"), ("2", "en")])
def test_columns(tmp_path, source, target):
    (path,) = write(tmp_path, both_tsv="en\tfr\nGo.\tVa !\n")
    found = texts(read_pairs([path], source=source, target=target))
    assert found[-1] == ("Va !", "Go.")
    # With numbers alone nobody has said that there are names.
    assert len(found) == (2 if (source, target) == ("2", "1") else 1)


def test_missing(tmp_path):
    paths = write(tmp_path, train_en="one\n\nthree\n", train_de="eins\nzwei\n \n")
    assert texts(read_pairs(paths, missing="skip")) == [("one", "eins")]
    with pytest.raises(DataError, match=r"train.en:2: the source is empty.*skip"):
        read_pairs(paths)


def test_sources(tmp_path):
    path, table = write(tmp_path, new_en="a  dog\n\n", new_csv="fr,en\nVa !,Go.\n")
    assert read_sources(path) == [("a dog", f"{path}:1"), ("", f"{path}:2")]
    assert read_sources(table, source="en") == [("Go.", f"{table}:2")]


@pytest.mark.parametrize(
    ("files", "options", "says"),
    [
        ({"a_en": EN, "a_de": DE + "drei\n"}, {}, "a.en has 2 lines and .*a.de 3"),
        ({"a_en": "one\n", "a_de": "\n"}, {}, "a.de is empty"),
        ({"a_en": EN, "a_de": "x\n \n"}, {}, "a.de:2: the target is empty"),
        ({"a_en": EN}, {}, "a.en has one column.*second file"),
        ({"a_en": EN, "b_en": EN, "c_en": EN}, {}, "got 3 text files.*by twos"),
        ({"a_csv": "x,y\n", "a_en": EN}, {}, "a.csv is a table and .*a.en is not"),
        ({"a_tsv": "a\tb\nc\n"}, {}, r"a.tsv:2: 1 field instead of 2"),
        ({"a_tsv": "a\tb\nc\td\n"}, {"source": "x"}, "no column 'x': there are a, b"),
        ({"a_tsv": "a\tb\n"}, {"source": "3"}, "no column 3: there are 2"),
        ({"a_tsv": "a\tb\n"}, {"target": "1"}, "both column '1'"),
        ({"a_tsv": "\tb\n"}, {"missing": "skip"}, "no pair has both"),
        ({"a_csv": "a;b\nc;d\n"}, {}, "has one column.*--delimiter"),
    ],
)
def test_files_that_cannot_be_used(tmp_path, files, options, says):
    with pytest.raises(DataError, match=says):
        read_pairs(write(tmp_path, **files), **options)


def test_bad_arguments(tmp_path):
    (path,) = write(tmp_path, a_tsv="a\tb\n")
    with pytest.raises(InvalidValue, match="unknown way with missing texts 'drop'"):
        read_pairs([path], missing="drop")
    with pytest.raises(DataError, match="does not exist"):
        read_pairs([tmp_path / "no.en", tmp_path / "no.de"])
    with pytest.raises(DataError, match="0 text files"):
        read_pairs([])


def test_real_pairs(data_folder):
    """Line counts as counted when the files were collected."""
    folder = data_folder / "multi30k" / "tok"
    names = [folder / f"val.lc.norm.tok.{language}.gz" for language in ("en", "de")]
    pairs = read_pairs(names)
    assert len(pairs) == 1014
    assert sum(len(pair.target.split()) for pair in pairs) == 12828
    many = read_pairs([data_folder / "tatoeba-fra-eng" / "fra.txt.gz"])
    assert len(many) == 142787
    assert sum(len(pair.source.split()) for pair in many) == 880139
