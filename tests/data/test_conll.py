"""Column files as shared tasks and treebanks have them."""

import gzip

import pytest

from throughtime.data.conll import Sentence, read_conll
from throughtime.errors import DataError


def write(folder, name, text):
    path = folder / name
    content = text.encode()
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return path


UNIVERSAL = """\
# sent_id = 1
# text = I can't
1\tI\tI\tPRON\tPRP\tCase=Nom\t2\tnsubj\t_\t_
2-3\tcan't\t_\t_\t_\t_\t_\t_\t_\t_
2\tca\tcan\tAUX\tMD\t_\t0\troot\t_\t_
3\tn't\tnot\t_\tRB\t_\t2\tadvmod\t_\t_
3.1\tdo\tdo\tVERB\tVB\t_\t_\t_\t_\t_

# sent_id = 2
1\t_\t_\tSYM\tNFP\t_\t0\troot\t_\t_
"""


@pytest.mark.parametrize("name", ["a.conllu", "a.conllu.gz", "words"])
def test_universal_columns_by_name(tmp_path, name):
    path = write(tmp_path, name, UNIVERSAL)
    assert read_conll(path) == [
        Sentence(("I", "ca", "n't"), ("PRON", "AUX", None), 3),
        Sentence(("_",), ("SYM",), 10),
    ]
    assert read_conll(path, label="XPOS")[0].labels == ("PRP", "MD", "RB")
    assert read_conll(path, label="FEATS")[0].labels == ("Case=Nom", "_", "_")
    assert read_conll(path, word="LEMMA", label="5")[0].words == ("I", "can", "not")


def test_columns_that_the_file_names(tmp_path):
    text = "# global.columns = ID FORM PARSEME:NE\n# a\n1\tParis\tB-x\n2\tis\t_\n"
    path = write(tmp_path, "a.cupt", text)
    assert read_conll(path, label="PARSEME:NE")[0].labels == ("B-x", None)
    assert read_conll(path)[0].words == ("Paris", "is")


def test_plain_columns(tmp_path):
    """Documents, comments, hashtags as words, blank lines that are not empty."""
    text = (
        "\ufeff-DOCSTART- -X- O O\n\n# a comment\nEU NNP I-NP B-ORG\r\n"
        "#tag NN I-NP O\n \t \n# NFP I-NP O\n\n\n"
    )
    path = write(tmp_path, "a.conll", text)
    assert read_conll(path, label="2") == [
        Sentence(("EU", "#tag"), ("NNP", "NN"), 4),
        Sentence(("#",), ("NFP",), 7),
    ]
    assert read_conll(path)[0].labels == ("B-ORG", "O")


def test_tabs_allow_spaces_and_empty_labels(tmp_path):
    path = write(tmp_path, "a.tsv", "New York\tB-place\nis\t\nbig\t_\n\t\nx\tO")
    assert read_conll(path) == [
        Sentence(("New York", "is", "big"), ("B-place", None, None), 1),
        Sentence(("x",), ("O",), 5),
    ]


def test_words_alone(tmp_path):
    path = write(tmp_path, "a.conll", "EU\nrejects NN\n\nyes\n")
    assert [s.words for s in read_conll(path, labelled=False)] == [
        ("EU", "rejects"),
        ("yes",),
    ]


@pytest.mark.parametrize(
    ("text", "options", "says"),
    [
        ("a O\nb\nc O\n", {}, r"a\.conll:2: 1 columns instead of 2, in 'b'"),
        ("a O\nb O x\n", {}, r"a\.conll:2: 3 columns instead of 2, in 'b O x'"),
        ("a\nb\n", {}, r"a\.conll:1: words and labels would both be column 1 of 1"),
        ("a O\n", {"label": "3"}, "no column '3' for labels: there are 2, without nam"),
        ("a O\n", {"label": "UPOS"}, "no column 'UPOS' for labels.* from 1 to 2"),
        ("a O\n", {"word": "0"}, "no column '0' for words"),
        (UNIVERSAL, {"label": "POS"}, "no column 'POS' .*FORM, LEMMA, UPOS.* of these"),
        ("a\tO\n\tO\n", {}, r"a\.conll:2: no word in column 1"),
        ("", {}, r"a\.conll holds no token"),
        ("# only this\n", {}, "holds no token"),
        ("-DOCSTART- O\n\n", {}, "holds no token"),
    ],
)
def test_files_that_cannot_be_used(tmp_path, text, options, says):
    with pytest.raises(DataError, match=says):
        read_conll(write(tmp_path, "a.conll", text), **options)


def test_encoding(tmp_path):
    (tmp_path / "a.conll").write_bytes("caf\xe9 NOUN\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"a\.conll:1: not utf-8"):
        read_conll(tmp_path / "a.conll")
    found = read_conll(tmp_path / "a.conll", encoding="latin-1")
    assert found[0].words == ("caf\xe9",)


def test_missing_file(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        read_conll(tmp_path / "a.conll")


def test_real_files(data_folder):
    """The truth: the counts of the treebank's own stats and of the shared task."""
    dev = read_conll(data_folder / "ud-english-ewt" / "en_ewt-ud-dev.conllu.gz")
    assert (len(dev), sum(len(s.words) for s in dev)) == (2001, 25147)
    assert len({label for s in dev for label in s.labels}) == 17
    train = read_conll(data_folder / "wnut17" / "wnut17train.conll")
    assert (len(train), sum(len(s.words) for s in train)) == (3394, 62730)
    posts = read_conll(data_folder / "wnut17" / "emerging.dev.conll")
    assert (len(posts), sum(len(s.words) for s in posts)) == (1009, 15733)
    assert sum(label != "O" for s in posts for label in s.labels) == 1250
