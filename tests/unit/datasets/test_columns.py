"""Names, first bytes and columns of files: what they are, whatever they are called."""

import gzip

import pytest

from shared.datasets.columns import columns_of
from shared.datasets.dialect import HEAD_BYTES
from shared.datasets.first_bytes import FileKind, kind_of, peeked
from shared.datasets.names import plain_name
from shared.errors import RunFailed

CSV = b"customer_id,tenure,churned\n" + b"1,12,yes\n2,3,no\n" * 20_000


def test_columns_of_a_csv() -> None:
    """The names of the columns come from the beginning of the file, as the reader finds them."""
    assert columns_of(CSV[:HEAD_BYTES], "churn.csv") == ["customer_id", "tenure", "churned"]
    assert columns_of("größe;preis\n1;2\n3;4\n".encode("cp1252"), "a.csv") == ["größe", "preis"]


def test_columns_of_a_packed_csv() -> None:
    """A gzip is unpacked as far as it came, and never further than is needed."""
    packed = gzip.compress(CSV)
    assert columns_of(packed[: len(packed) // 2], "churn.csv.gz") == ["customer_id", "tenure", "churned"]
    bomb = gzip.compress(b"a,b\n" + b"1,2\n" * 25_000_000)
    assert columns_of(bomb[:HEAD_BYTES], "bomb.csv.gz") == ["a", "b"]


@pytest.mark.parametrize(
    ("head", "why"),
    [
        (b"PAR1\x15\x04", "a Parquet file names them at its end"),
        (b"\x28\xb5\x2f\xfd\x04", "it is packed as Zstandard"),
        (b"PK\x03\x04\x14", "it is a workbook or an archive"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "it is a workbook or an archive"),
        (b"<!DOCTYPE html>", "it is a web page"),
        (b"\x1f\x8b\x00damaged", "its gzip is damaged"),
    ],
)
def test_files_without_columns_to_see(head: bytes, why: str) -> None:
    """Where the beginning of a file does not tell its columns, the reason is said, whatever the file is called."""
    with pytest.raises(RunFailed, match=why) as met:
        columns_of(head, "churn.csv")
    assert met.value.code == "columns_unseen"


@pytest.mark.parametrize(
    ("head", "code"), [(b"", "dataset_empty"), (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 9, "dataset_binary")]
)
def test_files_that_are_no_tables(head: bytes, code: str) -> None:
    """What the reader would refuse is refused here with the same words."""
    with pytest.raises(RunFailed) as met:
        columns_of(head, "churn.csv")
    assert met.value.code == code


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("churn.csv", "churn.csv"),
        ("../../etc/passwd", "passwd"),
        ("..\\..\\a.csv", "a.csv"),
        ("a\x00b\n.csv", "ab.csv"),
        ("evil\u202evsc.exe", "evilvsc.exe"),
        ("\u200b", "dataset"),
        ("/", "dataset"),
        ("..", "dataset"),
        ("  ", "dataset"),
        ("x" * 999, "x" * 255),
    ],
)
def test_names_become_plain(name: str, plain: str) -> None:
    """A name keeps neither folders nor letters that nobody sees."""
    assert plain_name(name) == plain


def test_first_bytes_come_once_more() -> None:
    """Looking at the first bytes takes none away, however small the pieces are in which they come."""
    pieces = [b"<", b"html", b">", b"x" * 2000, b"y"]
    head, chunks = peeked(pieces)
    assert kind_of(head) is FileKind.PAGE
    assert b"".join(chunks) == b"".join(pieces)
    head, chunks = peeked([])
    assert (head, b"".join(chunks)) == (b"", b"")
