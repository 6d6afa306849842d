"""A file becomes a table of strings, or an error that names what is wrong."""

from pathlib import Path

import polars as pl
import pytest

from shared.datasets.dialect import Dialect
from shared.errors import RunFailed
from workers.core.reading import read_like, read_table
from workers.core.report import dialect_as_plain, dialect_from_plain


def test_cells_stand_as_in_the_file(write):
    """Nothing is trimmed, parsed or turned into null."""
    table = read_table(write('a,b,c\n 1 ,"x, ""y""",\n02,,1e5\n'))
    assert table.frame.columns == ["a", "b", "c"]
    assert table.frame.rows() == [(" 1 ", 'x, "y"', ""), ("02", "", "1e5")]


def test_missing_and_quoted_empty_cells_are_the_same(write):
    """An empty cell and a pair of quotes are both ''."""
    table = read_table(write('a,b\n"",1\n,2\n3,""\n4,\n'))
    assert table.frame.rows() == [("", "1"), ("", "2"), ("3", ""), ("4", "")]


def test_blank_lines_are_no_rows(write):
    """Blank lines are skipped; a line of empty cells is a row."""
    assert read_table(write("a,b\n1,2\n\n,\n\r\n3,4\n\n\n")).frame.rows() == [("1", "2"), ("", ""), ("3", "4")]


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_every_newline_ends_a_row(write, newline):
    """Files of any system are read."""
    assert read_table(write(newline.join(["a,b", "1,2", "3,4"]))).frame.rows() == [("1", "2"), ("3", "4")]


def test_parquet_is_recognised_by_its_bytes(tmp_path: Path):
    """A Parquet file needs no suffix; its values become strings, null becomes ''."""
    path = tmp_path / "data"
    pl.DataFrame({"a": [1, None], "b": [1.5, 2.0], "c": [True, False], "d": ["x", None]}).write_parquet(path)
    table = read_table(path)
    assert table.dialect is None
    assert table.frame.rows() == [("1", "1.5", "true", "x"), ("", "2.0", "false", "")]


def test_a_nan_of_parquet_is_missing(tmp_path: Path):
    """Libraries write a missing number as NaN; it is an empty cell, as null is."""
    pl.DataFrame({"a": [1.5, float("nan"), None], "b": [1, 2, 3]}).write_parquet(tmp_path / "data")
    assert read_table(tmp_path / "data").frame["a"].to_list() == ["1.5", "", ""]


def test_a_quote_that_is_never_closed_swallows_nothing(write):
    """It is read as a letter, and said; the rows below stay rows."""
    table = read_table(write('a,b,c\n1,x,2\n3,"y,4\n5,z,6\n'))
    assert table.frame.rows() == [("1", "x", "2"), ("3", '"y', "4"), ("5", "z", "6")]
    assert [(repair.code, repair.first_rows) for repair in table.repairs] == [("quote_unclosed", (2,))]
    assert table.warnings == ("1 row has a quote that is opened and never closed; it was read as a letter: row 2.",)


def test_utf16_is_read(write):
    """An export of a spreadsheet in UTF-16 with tabs is read."""
    assert read_table(write("a\tb\n1\té\n".encode("utf-16"))).frame.rows() == [("1", "é")]


def test_a_late_byte_that_is_not_utf8_is_said(write):
    """The head was UTF-8, the rest is not: the file is read as Windows-1252, with a warning."""
    table = read_table(write(b"a,b\n" + b"1,2\n" * 20_000 + "é,3\n".encode("cp1252")))
    assert table.frame["a"][-1] == "é"
    assert "Windows-1252" in table.warnings[0]


def test_an_early_byte_that_is_not_utf8_spoils_no_other(write):
    """The letters of the other rows stay what they are, and the row of the byte is told."""
    table = read_table(write(b"name,y\n" + "Müller,1\nWeiß,0\n".encode() * 20 + b"Gr\xfc\xdfe,1\n"))
    assert set(table.frame["name"]) == {"Müller", "Weiß", "Grüße"}
    assert [(repair.code, repair.count, repair.first_rows) for repair in table.repairs] == [("bytes_guessed", 1, (41,))]


@pytest.mark.parametrize(
    ("content", "code", "parts"),
    [
        (b"", "dataset_empty", ["this file is empty"]),
        (b"a,b\n", "dataset_header_only", ["2 column names and no row", "say header=no"]),
        (
            b"a,b\n1,2\n3,4,5\n6\n7,8\n",
            "dataset_ragged",
            ["first, 2; 2 rows do not, more than 10% of 4: row 2 (line 3) has 3, row 3 (line 4) has 1"],
        ),
        (b"a,b\n" + b"1,2,3\n" + b"1,2\n" * 9 + b"1\n" * 7, "dataset_ragged", ["8 rows do not", "and 3 more"]),
        (b"a,b,c\n" + b"1,2\n" * 9, "dataset_ragged", ["first, 3", "row 1 (line 2) has 2"]),
        (b"a,b\n" + b"1,2,3,4\n" * 9, "dataset_ragged", ["first, 2", "row 1 (line 2) has 4"]),
        (b"x," * 3_000_000, "dataset_unreadable", ["The first line may be 4 MB long"]),
        (b"a,b\n" * 20_000 + b"1," * 9_000_000, "dataset_unreadable", ["16 MB long; the one in line 20,001"]),
        (b"x," * 30_000 + b"\n" + b"1," * 30_000 + b"\n", "dataset_too_wide", ["20,000 columns", "30,001 cells"]),
        (b"<!doctype html><p>Log in, please</p>", "dataset_binary", ["a web page"]),
        (b'{"a": 1, "b": 2}\n{"a": 2, "b": 3}\n', "dataset_binary", ["a JSON file"]),
        (b"%PDF-1.7 a,b\n1,2\n", "dataset_binary", ["a PDF file"]),
        (b"x\n1\n", "dataset_one_column", ["at least two columns"]),
        (b"a,b\x00\x00\x00\n\x00\x01", "dataset_binary", ["binary"]),
        (b"PAR1 broken, but 12 bytes PAR1", "dataset_unreadable", ["Parquet"]),
    ],
)
def test_what_is_no_table_is_refused(write, content, code, parts):
    """Each kind of broken file has its own code, and its message names the rule and what was met."""
    with pytest.raises(RunFailed) as caught:
        read_table(write(content))
    assert caught.value.code == code
    for part in parts:
        assert part in str(caught.value)


def test_like_an_earlier_file_with_wrong_rows_kept(write):
    """For predictions, a row of a wrong width keeps its place and is named."""
    dialect = Dialect("utf-8", ";", '"', True, ("a", "b"))
    table = read_like(write("\ufeffa;b\n1;2\n3\n4;5;6\n7;8\n"), dialect, tolerate=True)
    assert table.frame.columns == ["a", "b"]
    assert table.frame.rows() == [("1", "2"), ("3", ""), ("4", "5"), ("7", "8")]
    assert table.unreadable == {1: "has 1 cell where 2 are expected", 2: "has 3 cells where 2 are expected"}


def test_a_file_with_a_single_column_may_be_like_an_earlier_one(write):
    """A model of one feature is asked with one column."""
    assert read_like(write("x\n1\n2\n"), Dialect("utf-8", ",", '"', True, ("x", "y")), tolerate=True).frame.height == 2


def test_a_nested_column_of_parquet_is_refused(tmp_path: Path):
    """A list in a cell is no value; every such column is named."""
    pl.DataFrame({"a": [1, 2], "b": [[1], [2, 3]], "c": [{"d": 1}, {"d": 2}]}).write_parquet(tmp_path / "data")
    with pytest.raises(RunFailed, match=r"hold several: `b` \(List\(Int64\)\), `c` \(Struct") as caught:
        read_table(tmp_path / "data")
    assert caught.value.code == "dataset_nested"


def test_a_late_byte_that_is_not_utf8_is_an_error_where_the_encoding_was_told(write):
    """Who says encoding=utf-8 wants to hear of the one byte that is not."""
    path = write(b"a,b\n" + b"1,2\n" * 20_000 + "é,3\n".encode("cp1252"))
    with pytest.raises(RunFailed, match="as utf-8 it cannot be read") as caught:
        read_table(path, encoding="utf-8")
    assert caught.value.code == "encoding_wrong"


def test_a_later_file_keeps_the_layout_of_the_first(write):
    """Two header rows, escapes and lines above the table are found again, also where the lines above are others."""
    body = "".join(f'{k},{k}.5,"a \\"{k}\\" b"\n' for k in range(12))
    first = read_table(write("Made in May\n\ntime,speed,note\ns,m/s,\n" + body))
    assert first.names == ("time s", "speed m/s", "note")
    later = write("speed,time,note\nm/s,s,\n" + body, "later")
    stored = dialect_from_plain(dialect_as_plain(first.dialect))
    table = read_like(later, stored, tolerate=True)
    assert table.names == ("speed m/s", "time s", "note")
    assert table.frame.row(1) == ("1", "1.5", 'a "1" b')
    assert (table.height, table.unreadable) == (12, {})


def test_a_dialect_of_an_older_report_is_understood():
    """Reports that were written before a dialect had a layout say nothing of it."""
    plain = {"encoding": "utf-8", "delimiter": ",", "quote": '"', "has_header": True, "columns": ["a", "b"]}
    assert dialect_from_plain(plain) == Dialect("utf-8", ",", '"', True, ("a", "b"))
