"""Files that are not as they should be are repaired, with every repair counted and said, or refused."""

import random

import pytest

from shared.errors import RunFailed
from workers.core.reading import read_table

ROWS = "".join(f"{k},{k}.5,w{k % 3}\n" for k in range(40))
TABLE = f"x,y,kind\n{ROWS}"


@pytest.mark.parametrize(
    ("text", "code", "rows", "sentence"),
    [
        (TABLE + "7,8\n" + ROWS, "rows_padded", (41,), "1 row has fewer cells than the 3 columns"),
        (TABLE + "7,8,9,10\n" + ROWS, "rows_dropped", (41,), "set aside, for their cells may be shifted: row 41."),
        (TABLE + "7,8,9,,\n" + ROWS, "cells_cut", (41,), "all empty; they were cut off"),
        (TABLE + '7,"8,9\n' + ROWS, "quote_unclosed", (41,), "opened and never closed"),
        (TABLE + '7,"8"8,9\n' + ROWS, "quote_stray", (41,), "text beside a closed quote"),
        (TABLE + "7,8\0,9\n" + ROWS, "nul_removed", (41,), "zero bytes"),
        (TABLE + "\ufeff7,8,9\n" + ROWS, "mark_removed", (41,), "byte order mark"),
        (TABLE + "7,8,9\r7,8,9\n" + ROWS, "rows_split", (41,), "lone carriage return"),
        (TABLE + "# a remark\n" + ROWS, "comments_dropped", (), "1 line that begins with #"),
        (TABLE + "Total,780\n", "footer_dropped", (41,), "first row 41 (line 42): 'Total,780'"),
        (TABLE + "\nSource: the office, the house, the yard, the barn\n", "footer_dropped", (41,), "(line 43)"),
        (TABLE.replace("\n", ",\n"), "column_dropped", (), "no name and no filled cell"),
        (TABLE.replace("\n", ",\n").replace("kind,", "kind"), "column_dropped", (), "The last column"),
    ],
)
def test_each_repair_is_counted_and_said(write, text, code, rows, sentence):
    """The table keeps its columns and its other rows, and the repair names the first rows that it met."""
    table = read_table(write(text))
    assert table.names == ("x", "y", "kind")
    assert table.frame.rows()[:40] == [(f"{k}", f"{k}.5", f"w{k % 3}") for k in range(40)]
    assert table.frame.tail(1).row(0) == ("39", "39.5", "w0")
    assert [(repair.code, repair.first_rows) for repair in table.repairs] == [(code, rows)]
    assert sentence in table.repairs[0].sentence
    assert table.repairs[0].sentence in table.warnings


def test_two_quotes_opened_by_mistake_do_not_swallow_the_rows_between(write):
    """By the rules they would enclose one long cell; rows inside a cell prove them wrong."""
    table = read_table(write(TABLE + '7,8,"w\n' + ROWS + '7,8,w"\n' + ROWS))
    assert table.height == 122
    assert table.frame.row(40) == ("7", "8", '"w')
    assert table.repairs[0].code == "quote_unclosed"


def test_a_cell_of_many_lines_is_kept(write):
    """Lines of prose inside quotes are no rows, however many."""
    prose = "\n".join(f"line {k} of a letter" for k in range(50))
    table = read_table(write(TABLE + f'7,8,"{prose}"\n' + "9,10\n" + ROWS))
    assert table.frame["kind"][40] == prose
    assert [repair.code for repair in table.repairs] == ["rows_padded"]


@pytest.mark.parametrize(
    ("above", "lines", "shown"),
    [
        ("Sales report 2024\n\n", 2, "'Sales report 2024'"),
        ("Exported on Monday, 3 March\n", 1, "'Exported on Monday, 3 March'"),
        ("Sales report,,\n", 1, "'Sales report,,'"),
        ("# made by a, b\n# and more\n", 2, "'# made by a, b'"),
    ],
)
def test_lines_above_the_table_are_skipped_and_said(write, above, lines, shown):
    """Titles, notes and comments are no header."""
    table = read_table(write(above + TABLE))
    assert (table.names, table.height) == (("x", "y", "kind"), 40)
    assert f"{lines} line" in table.warnings[0]
    assert shown in table.warnings[0]


def test_two_header_rows_become_one(write):
    """Years stand over quarters, units below names."""
    quarters = "".join(f"r{k},{k},{k + 1},{k + 2},{k + 3}\n" for k in range(12))
    table = read_table(write("region,2019,,2020,\n,Q1,Q2,Q1,Q2\n" + quarters))
    assert table.names == ("region", "2019 Q1", "2019 Q2", "2020 Q1", "2020 Q2")
    assert table.height == 12
    table = read_table(write("time,speed,place\ns,m/s,\n" + "".join(f"{k},{k}.5,p{k}\n" for k in range(12))))
    assert table.names == ("time s", "speed m/s", "place")


def test_words_for_missing_numbers_are_no_second_header(write):
    """A first row of data with `n/a`, or with a word in its only column of numbers, stays a row."""
    rows = "".join(f"{k},{k}.5\n" for k in range(12))
    assert read_table(write("a,b\nn/a,n/a\n" + rows)).height == 13
    assert read_table(write("a,b\nabsent,1\n" + rows)).height == 13


def test_the_row_names_of_r_are_a_column_of_their_own(write):
    """R writes a header with one name less than the rows have cells: nothing may shift."""
    table = read_table(write('"mpg","cyl"\n' + "".join(f'"car {k}",{k}.1,{k % 3}\n' for k in range(20))))
    assert table.names == ("column_1", "mpg", "cyl")
    assert table.frame.row(4) == ("car 4", "4.1", "1")
    assert "one name less" in table.warnings[0]


def test_a_backslash_escapes_a_quote_only_where_it_does(write):
    """MySQL writes quotes so; a Windows path merely ends with a backslash."""
    table = read_table(write("x,t\n" + "".join(f'{k},"say \\"hi, {k}\\" now"\n' for k in range(20))))
    assert table.frame["t"][3] == 'say "hi, 3" now'
    table = read_table(write("x,t\n" + "".join(f'{k},"C:\\dir\\"\n' for k in range(20))))
    assert table.frame["t"][3] == "C:\\dir\\"


def test_quotes_that_never_pair_are_letters(write):
    """Inches and half-open quotations stand as they are, without a repair where the whole file has them."""
    table = read_table(write("x\tt\n" + "".join(f'{k}\t"hello {k}\n' for k in range(20))))
    assert (table.frame["t"][3], table.repairs) == ('"hello 3', ())
    assert read_table(write("x,t\n" + "".join(f'{k},{k}" pipe\n' for k in range(20)))).frame["t"][3] == '3" pipe'


def test_up_to_a_tenth_of_the_rows_may_be_ragged(write):
    """Above that share the columns cannot be trusted, and the file is refused."""
    assert read_table(write("x,y\n" + "1,2\n" * 89 + "1\n" * 10 + "1,2\n")).height == 100
    with pytest.raises(RunFailed, match=r"11 rows do not, more than 10% of 100: row 89 \(line 90\) has 1") as caught:
        read_table(write("x,y\n" + "1,2\n" * 88 + "1\n" * 11 + "1,2\n"))
    assert caught.value.code == "dataset_ragged"


def test_a_cell_of_a_megabyte_and_five_thousand_columns(write):
    """Neither is beyond what a table may hold."""
    table = read_table(write(f'x,y,kind\n{ROWS}1,2,"{"z, " * 400_000}"\n{ROWS}'))
    assert (table.height, len(table.frame["kind"][40])) == (81, 1_200_000)
    names = ",".join(f"a rather long name {k}" for k in range(5000))
    table = read_table(write(f"{names}\n" + (",".join(["1.25"] * 5000) + "\n") * 20))
    assert (len(table.names), table.height) == (5000, 20)


def test_unseen_characters_are_no_part_of_a_name(write):
    """Zero-width spaces and marks around a name would make it another name."""
    assert read_table(write("\u200bx,y\ufeff, kind \n" + ROWS)).names == ("x", "y", "kind")


def test_both_paths_read_the_same(write):
    """One fault changes how every row is read, and none of the other rows' cells."""
    chance, rows = random.Random(3), list[str]()
    for k in range(400):
        cell = chance.choice(('"a, b"', '"say ""hi"""', '""', "", "plain", '"two\nlines"', "é", " spaced "))
        rows.append(f"{k},{cell},{chance.choice(('', 'z'))}\n")
    clean = read_table(write("a,b,c\n" + "".join(rows)))
    faulty = read_table(write("a,b,c\n" + "".join(rows) + "1,2,3,4\n1,2,3\n", "faulty"))
    assert clean.repairs == ()
    assert faulty.frame.rows()[:-1] == clean.frame.rows()
