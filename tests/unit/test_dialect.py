"""How a CSV file is written is found from its first bytes."""

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.datasets.dialect import HEAD_BYTES, column_names, decode, find_dialect, like
from shared.errors import RunFailed


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", ":", " "])
def test_each_delimiter_is_found(delimiter):
    """The delimiter is the one that gives rows of one width."""
    text = "\n".join(delimiter.join(row) for row in (("x", "y", "z"), ("1", "2", "3"), ("4", "5", "6")))
    dialect = find_dialect(text.encode())
    assert dialect.delimiter == delimiter
    assert dialect.columns == ("x", "y", "z")


def test_quoted_delimiters_and_newlines_do_not_mislead():
    """What stands in quotes separates nothing."""
    head = b'a;b\n"x, y, z\nnext, line, of";1\n"p, q";2\n"r, s, t";3\n'
    assert find_dialect(head).delimiter == ";"
    assert find_dialect(b"a;b\n1,5;2,5\n2,5;3,5\n").delimiter == ";"
    assert find_dialect(b"time,v\n12:30:00,1\n12:31:00,2\n").delimiter == ","


def test_single_quotes_are_found():
    """A file that quotes with apostrophes is read with them."""
    dialect = find_dialect(b"'name','text'\n'a','x, y'\n'b','z, w'\n")
    assert dialect.quote == "'"
    assert dialect.columns == ("name", "text")


@pytest.mark.parametrize(
    ("head", "encoding", "columns"),
    [
        ("né,b\n1,2\n".encode(), "utf-8", ("né", "b")),
        ("né,b\n1,2\n".encode("utf-8-sig"), "utf-8-sig", ("né", "b")),
        ("né,b\n1,2\n".encode("utf-16"), "utf-16", ("né", "b")),
        ("name,b\n1,2\n".encode("utf-16-le"), "utf-16-le", ("name", "b")),
        ("name,b\n1,2\n".encode("utf-16-be"), "utf-16-be", ("name", "b")),
        ("né,b\n1,2\n".encode("cp1252"), "cp1252", ("né", "b")),
    ],
)
def test_encodings(head, encoding, columns):
    """A byte order mark, UTF-8, zero bytes, and else Windows-1252 decide the encoding."""
    dialect = find_dialect(head)
    assert (dialect.encoding, dialect.columns) == (encoding, columns)
    assert bool(dialect.warnings) == (encoding == "cp1252")


@pytest.mark.parametrize(
    ("encoding", "text", "found"),
    [
        ("shift_jis", "名前,数\n東京の人,1\nさくら,2\n", "cp932"),
        ("gb18030", "名字,数\n北京市人民,1\n上海市人民,2\n", "gb18030"),
        ("cp1251", "имя,число\nМосква,1\nСамара,2\n", "cp1251"),
        ("cp1252", "Straße,b\nÖlmühle,1\nFrühstück,2\n", "cp1252"),
        ("latin-1", "año,b\nniñez,1\ncorazón,2\n", "cp1252"),
    ],
)
def test_what_is_not_utf8_is_told_by_its_letters(encoding, text, found):
    """A short list of encodings, each only where the letters look like it; the choice is always said."""
    dialect = find_dialect(text.encode(encoding))
    assert dialect.encoding == found
    assert dialect.columns[0] == text.split(",")[0]
    assert "say encoding=..." in dialect.warnings[0]


@pytest.mark.parametrize("stray", [b"K\xf6ln", b"Gr\xfc\xdfe", b"\xe9", b"\x81"])
def test_a_stray_byte_leaves_a_file_utf8(stray):
    """Few bytes that are not UTF-8 make no Chinese of the letters around them."""
    dialect = find_dialect(b"city,y\n" + "Köln,1\nMünchen,0\nGießen,1\n".encode() * 10 + stray + b",1\n")
    assert (dialect.encoding, dialect.columns, dialect.warnings) == ("utf-8", ("city", "y"), ())


@pytest.mark.parametrize(
    ("encoding", "cells"),
    [
        ("gb18030", ("女", "女", "女", "男")),  # the first is a letter of UTF-8 as well
        ("gb18030", ("北京市人民", "上海市", "广州市")),
        ("cp932", ("とうきょう", "カナ", "東京")),
        ("cp1251", ("Москва", "Казань", "Уфа", "Киров")),
        ("cp1252", ("Köln", "Ã©", "Gießen", "Zoë")),
    ],
)
def test_bytes_that_pair_up_by_chance_make_no_utf8(encoding, cells):
    """Where bytes that are not UTF-8 are frequent, the file is none, though some of them could be."""
    text = "a,b\n" + "".join(f"{cell},1\n" for cell in cells * 20)
    assert find_dialect(text.encode(encoding)).encoding == encoding


def test_a_header_with_another_delimiter_than_the_rows_names_them():
    """Names that are as many as the cells of the rows are no title, also where another file is read alike."""
    rows = b"1,2.5,3\n4,5.5,6\n7,8.5,9\n"
    dialect = find_dialect(b"a;b;y\n" + rows)
    assert (dialect.delimiter, dialect.columns, dialect.first_line, dialect.preamble) == (",", ("a", "b", "y"), 1, 0)
    assert dialect.warnings == ("The header separates its names by ';' and the rows do not; it was taken as such.",)
    for header in (b"a;b;y\n", b"a,b,y\n"):
        assert like(header + rows, dialect).columns == ("a", "b", "y")


@pytest.mark.parametrize(
    ("head", "columns", "preamble"),
    [
        (b"Sales; Berlin\na,b\n1,2\n3,4\n", ("a", "b"), 1),  # a title above a header
        (b"Sales; Berlin\n1,2,3\n4,5,6\n7,8,9\n", ("column_1", "column_2", "column_3"), 1),  # of another width
        (b"2023; 2024\n1,2\n3,4\n5,6\n", ("column_1", "column_2"), 1),  # numbers are no names
    ],
)
def test_a_title_with_another_delimiter_is_no_header(head, columns, preamble):
    """Only names that fit the rows, above rows that have no other header, are taken."""
    dialect = find_dialect(head)
    assert (dialect.columns, dialect.preamble) == (columns, preamble)


def test_a_mark_above_a_wrong_byte():
    """A file that says UTF-8 and holds another byte is read; one that says UTF-16 and is not is refused."""
    assert find_dialect(b"\xef\xbb\xbfn\xe9,b\n1,2\n").columns == ("né", "b")
    with pytest.raises(RunFailed, match="as utf-16 it cannot be read") as caught:
        find_dialect(b"\xff\xfea,b\n1,2\n3")
    assert caught.value.code == "encoding_wrong"


def test_the_delimiter_that_excel_reads_from_the_first_line():
    """`sep=;` above the header is no header."""
    dialect = find_dialect(b"sep=;\nx;y\n1,5;2\n2,5;3\n")
    assert (dialect.delimiter, dialect.columns, dialect.first_line) == (";", ("x", "y"), 2)


def test_a_character_cut_by_the_end_of_the_head_is_no_error():
    """64 KB may end inside a character of two bytes; the file is UTF-8 all the same."""
    for start in (b"a,b\n", b"aa,b\n", b"aaa,b\n", b"aaaa,b\n", b"aaaaa,b\n", b"aaaaaa,b\n"):
        head = (start + "é,é\n".encode() * HEAD_BYTES)[:HEAD_BYTES]
        assert find_dialect(head).encoding == "utf-8"
    assert decode(b"\xc3", "utf-8", final=False) == ""


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"x,y\n1,2\n3,4\n", True),
        (b"1,2\n3,4\n5,6\n", False),
        (b"A11,6,x\nA12,7,y\nA11,8,x\n", False),
        (b"p,x,s\ne,x,y\np,b,s\n", False),
        (b"name,city\nAnn,Rome\nBob,Paris\n", True),
        (b"same,same\na,b\nc,d\n", False),
        (b"day,note\n2024-01-01,a\n2024-01-02,b\n", True),
        (b"2019,2020,kind\n" + b"1.5,2.5,a\n3.5,1.25,b\n" * 10, True),
        (b"id,2019,2020,2021\n" + b"1,1.5,2.5,3\n2,3.5,1.25,4\n" * 10, True),
        (b"land,2019,2020\n" + b"".join(b"n%d,1.5,2.5\n" % k for k in range(20)), True),
        (b"".join(b"n%d,%d,%d\n" % (k, k + 3, k + 4) for k in range(20)), False),
        (b"".join(b"n%d,%d,%d\n" % (k, k + 1990, k + 1991) for k in range(20)), False),
        (b"1,2,a\n" + b"2,3,a\n3,4,b\n" * 10, False),
        (b"1,2,3\n" + b"2,3,4\n3,4,5\n" * 10, False),
    ],
)
def test_header_or_none(head, expected):
    """Types, repetition and duplicates decide whether the first row names the columns, with the reason in words."""
    dialect = find_dialect(head)
    assert dialect.has_header is expected
    assert dialect.header_reason
    if not expected:
        assert dialect.columns[0] == "column_1"


def test_what_is_told_is_taken():
    """sep, encoding and header win over any evidence."""
    dialect = find_dialect(b"1;2,3\n4;5,6\n", sep=";", encoding="latin-1", header=True)
    assert (dialect.delimiter, dialect.encoding, dialect.has_header) == (";", "iso8859-1", True)
    assert dialect.columns == ("1", "2,3")


@pytest.mark.parametrize(
    ("first_row", "width", "names"),
    [
        (None, 3, ("column_1", "column_2", "column_3")),
        ([" a ", "", "b"], 3, ("a", "column_2", "b")),
        (["a", "a", "a"], 3, ("a", "a_2", "a_3")),
        (["a", "a", "a_2"], 3, ("a", "a_3", "a_2")),
        (["a"], 2, ("a", "column_2")),
    ],
)
def test_column_names(first_row, width, names):
    """Names are trimmed, unique and never empty."""
    assert column_names(first_row, width) == names


@given(st.lists(st.sampled_from(["a", "a_2", "a_3", "", "column_1", "b "]), min_size=1, max_size=8))
def test_column_names_are_always_unique(cells):
    """No header, however odd, gives two columns one name."""
    assert len(set(column_names(cells, len(cells)))) == len(cells)


@pytest.mark.parametrize(
    ("head", "told", "code", "part"),
    [
        (b"", {}, "dataset_empty", "this file is empty"),
        (b" \n\n", {}, "dataset_empty", "empty"),
        (b"PK\x03\x04rest", {}, "dataset_binary", "a ZIP or Excel file"),
        (b'{"a":' * 20_000, {}, "dataset_binary", "a JSON file"),
        (b"x," * 30_000, {}, "dataset_too_wide", "30,001 cells"),
        (b"a,b\x00\x01\x02\x00\n\x00\x00\x00", {}, "dataset_binary", "zero bytes"),
        (bytes(range(1, 32)) * 20, {}, "dataset_binary", "binary"),
        (b"x\n1\n2\n", {}, "dataset_one_column", "has one: 'x'"),
        (b"x,y\n1,2\n", {"sep": ";"}, "dataset_one_column", "with semicolon as the delimiter"),
        (b"x,y\n1,2\n", {"encoding": "klingon"}, "encoding_unknown", "'klingon' is none that is known"),
        (b"x,y\n1,2\n", {"encoding": "base64"}, "encoding_unknown", "'base64'"),
        ("né,b\n1,2\n".encode("cp1252"), {"encoding": "utf-8"}, "encoding_wrong", "as utf-8 it cannot be read"),
    ],
)
def test_what_is_no_table_is_refused(head, told, code, part):
    """Each refusal has its own code and says what was met."""
    with pytest.raises(RunFailed) as caught:
        find_dialect(head, **told)
    assert caught.value.code == code
    assert part in str(caught.value)
    assert caught.value.problems[0].hint


words = st.text(st.sampled_from("abcdefgh ,;\t|\"'é\n"), min_size=1, max_size=6).map(lambda text: f"w{text}")


@settings(max_examples=60, deadline=None)
@given(
    rows=st.integers(2, 4).flatmap(
        lambda width: st.lists(st.lists(words, min_size=width, max_size=width), min_size=4, max_size=12)
    ),
    delimiter=st.sampled_from(",;\t|"),
)
def test_what_the_csv_module_writes_is_read_back(rows, delimiter):
    """Cells with any delimiter, quote or newline survive the round trip when every cell is quoted."""
    file = io.StringIO(newline="")
    csv.writer(file, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows(rows)
    head = file.getvalue().encode()
    dialect = find_dialect(head)
    assert dialect.delimiter == delimiter
    assert list(dialect.parse(decode(head, dialect.encoding))) == rows
