"""Files as people really have them: exports with titles and totals, dates of many hands, columns that slipped."""

import random
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from shared.datasets.dialect import find_dialect
from shared.errors import RunFailed
from shared.specs import TrainSpec
from workers.core.dataset import understand_dataset
from workers.core.names import typed
from workers.core.reading import read_like, read_table

DAYS = [datetime(2024, 1, 1) + timedelta(days=k) for k in range(60)]  # noqa: DTZ001 - as a file says it


def sales(rows: int = 60) -> list[str]:
    """Lines of a table: a day, a shop, units, revenue."""
    chance = random.Random(1)
    return [
        f"{DAYS[k]:%Y-%m-%d},{chance.choice(('north', 'south'))},{chance.randint(1, 99)},{chance.uniform(1, 99):.2f}"
        for k in range(rows)
    ]


def warnings_of(path: Path, **words: str) -> list[str]:
    """What is said of a file."""
    return list(understand_dataset(path, TrainSpec.model_validate({"dataset": "data", **words})).warnings)


def test_titles_that_a_spreadsheet_pads_to_the_width_of_the_table_are_no_header(write):
    """Several lines with nothing but their first cell filled stand above the header."""
    above = "Account statement,,,\nAccount: DE12 3456,,,\n,,,\n"
    table = read_table(write(above + "day,shop,units,revenue\n" + "\n".join(sales())))
    assert (table.names, table.height) == (("day", "shop", "units", "revenue"), 60)
    assert table.warnings == ("3 lines above the table were skipped, first 'Account statement,,,'.",)


def test_quotes_that_are_letters_are_said(write):
    """Where they do not pair they are read as letters, and make other words of words."""
    lines = [line.replace(",north,", ',"north,') for line in sales()]
    (said,) = read_table(write("day,shop,units,revenue\n" + "\n".join(lines))).warnings
    what = "The double quotes do not pair around cells, so they are letters like any other"
    assert said == f"{what}; first in line 2: '\"north'."


@pytest.mark.parametrize(
    ("total", "row", "why"),
    [
        (",,3000,2500.00", 61, "`day` is empty in no other row"),
        ("Grand total,,3000,2500.00", 61, "'Grand total' in `day`"),
        ("Summe:,,3000,2500.00", 61, "'Summe:' in `day`"),
    ],
)
def test_a_total_below_the_rows_is_said(write, total, row, why):
    """A row that sums up the others would be learnt from like any other."""
    said = warnings_of(write("\n".join(["day,shop,units,revenue", *sales(), total])))
    assert f"Row {row} looks like a total: {why}. Take such rows out of the file; they mislead the model." in said


def test_subtotals_between_the_rows_are_said(write):
    """They stand in the first column, beside cells that no other row lacks."""
    lines = sales()
    for k in (40, 20):
        lines.insert(k, "Subtotal,,500,400.00")
    said = warnings_of(write("\n".join(["day,shop,units,revenue", *lines])))
    assert any(text.startswith("2 rows look like totals, first in row 21: 'Subtotal' in `day`.") for text in said)


def test_a_category_that_is_called_total_is_none(write):
    """The word alone proves nothing where it is common and nothing is missing beside it."""
    lines = [f"{('total', 'partial')[k % 2]},{k},{k * 7 % 13}.5" for k in range(60)]
    assert not any("total:" in text for text in warnings_of(write("\n".join(["scope,x,y", *lines]))))


def test_dates_of_several_formats_are_called_what_they_are(write):
    """A column that no single format reads is not used, or used as words, with the reason."""
    forms = ("%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y")
    lines = [f"{day:{forms[k % 3]}},{k % 7},{k * 7 % 13}.5" for k, day in enumerate(DAYS)]
    reason = "its cells are dates of several formats (20 of 60 are YYYY-MM-DD, '02.01.2024' is not); write them in one"
    assert f"Not used: `day`, text: {reason}." in warnings_of(write("\n".join(["day,x,y", *lines])))
    repeated = [f"{DAYS[k % 6]:{forms[k % 3]}},{k % 7},{k * 7 % 13}.5" for k in range(60)]
    assert any("dates of several formats" in text for text in warnings_of(write("\n".join(["day,x,y", *repeated]))))


def test_numbers_among_words_are_said(write):
    """A column that is numbers in part is read as words: that may be a column that slipped."""
    lines = [f"{k * 1.5},{'red' if k % 3 else k},{k * 7 % 13}.5" for k in range(120)]
    said = (
        "`b`: 40 of 120 cells are numbers, too few to read it as numbers; the first that is none is in row 2: 'red'. "
        "Check that its cells stand in the right column."
    )
    assert said in warnings_of(write("\n".join(["a,b,c", *lines])))


def test_a_class_that_is_too_rare_is_shown(write):
    """Who names the wrong target sees one of its cells."""
    with pytest.raises(RunFailed) as caught:
        warnings_of(write("\n".join(["day,shop,units,revenue", *sales()])), target="day")
    assert "60 of the 60 classes of `day` have fewer, first in row 1: '2024-01-01'." in str(caught.value)


def test_a_byte_that_its_encoding_does_not_know_is_shown_with_its_line(write):
    """In the head of the file and beyond it."""
    for rows in (10, 20_000):
        path = write(b"a,b\n" + b"1,2\n" * rows + "é,3\n".encode("cp1252"))
        with pytest.raises(RunFailed) as caught:
            read_table(path, encoding="utf-8")
        assert f"as utf-8 it cannot be read: the byte 0xe9 in line {rows + 2:,} (invalid continuation byte)." in str(
            caught.value
        )
    with pytest.raises(RunFailed, match=r"as utf-16-be .* in line 4") as caught:
        find_dialect("a,b\n1,2\n3,4\n".encode("utf-16-be") + b"x", encoding="utf-16-be")
    assert caught.value.problems[0].hint == "Save the file again as UTF-8, or name its encoding with encoding=..."


def test_a_first_line_of_another_width_is_suspected(write):
    """Where most rows differ from the first line, that line is probably no header."""
    with pytest.raises(RunFailed) as caught:
        read_table(write("th,21.5\n" + "\n".join(sales())))
    assert caught.value.code == "dataset_ragged"
    assert "If the line above them is no header, take it out" in caught.value.problems[0].hint


def test_durations_and_zones_of_parquet_are_read(tmp_path):
    """A duration is its seconds; a moment is what the clock of its place showed, in summer and winter."""
    zone = pl.Series([datetime(2024, month, 1, 12) for month in (1, 7)]).dt.replace_time_zone("Europe/Berlin")  # noqa: DTZ001
    pl.DataFrame({"took": [timedelta(minutes=1.5), None], "at": zone, "y": [1, 2]}).write_parquet(tmp_path / "data")
    table = read_table(tmp_path / "data")
    assert table.frame["took"].to_list() == ["90.0", ""]
    assert table.frame["at"].to_list() == ["2024-01-01 12:00:00.000000", "2024-07-01 12:00:00.000000"]


def test_the_column_of_parquet_that_cannot_be_read_is_named(tmp_path):
    """Bytes that are no text."""
    pl.DataFrame({"y": [1, 2], "photo": [b"\xff\x00", b"\xfe"]}).write_parquet(tmp_path / "data")
    with pytest.raises(RunFailed, match="cannot be read, first in column `photo`"):
        read_table(tmp_path / "data")


def test_the_line_that_tells_the_delimiter_is_no_preamble_of_a_later_file(write):
    """Excel's first line is understood in both."""
    path = write("sep=;\nx;y\n" + "".join(f"{k};{k}\n" for k in range(30)))
    dialect = read_table(path).dialect
    again = read_like(path, dialect, tolerate=True)
    assert (again.names, again.height, again.warnings) == (("x", "y"), 30, ())


@pytest.mark.parametrize(
    ("name", "word"),
    [("age", "drop=age"), ("net price", 'drop="net price"'), ("a,b", r'drop="\"a,b\""'), ("Größe", "drop=Größe")],
)
def test_a_name_is_shown_as_it_is_typed(name, word):
    """What a warning proposes can be copied into a command."""
    assert typed("drop", name) == word


def test_a_quote_inside_a_cell_is_a_letter_and_said(write):
    """Inches are written so, and so is a quote that lost its partner."""
    lines = [line.replace("th,", 'th",') if k in {7, 40} else line for k, line in enumerate(sales())]
    table = read_table(write("day,shop,units,revenue\n" + "\n".join(lines)))
    said = "2 rows have a quote inside a cell that does not begin with one; it was read as a letter: rows 8, 41."
    assert [repair.sentence for repair in table.repairs] == [said]
    assert table.frame["shop"][7].endswith('th"')


def test_a_header_between_the_rows_is_no_row(write):
    """Files that were put together hold the header again; as a class of the target it would be learnt."""
    lines = [f"{k % 9},{('yes', 'no')[k % 2]}" for k in range(60)]
    path = write("\n".join(["visits,won", *lines[:20], " visits,won", *lines[20:40], "visits,won", *lines[40:]]))
    table = read_table(path)
    said = "2 rows have the names of the columns, as files that were put together have; left out: rows 21, 42."
    assert (table.height, [repair.sentence for repair in table.repairs]) == (60, [said])
    assert table.frame["won"].unique().sort().to_list() == ["no", "yes"]
    again = read_like(path, table.dialect, tolerate=True)
    assert (again.frame.rows(), again.repairs) == (table.frame.rows(), table.repairs)


def test_a_number_that_stands_for_nothing_is_said(write):
    """Nines far from all other numbers are a code for a missing value, in features and in the target."""
    chance = random.Random(2)
    lines = [f"{chance.gauss(20, 4):.1f},{chance.randint(18, 80)},{chance.uniform(1, 9):.2f}" for _ in range(100)]
    cells = [line.split(",") for line in lines]
    for k in (3, 30, 60):
        cells[k][0], cells[k + 1][1], cells[k + 2][1], cells[k + 3][2] = "-999.0", "999", "99", "9999"
    said = warnings_of(write("\n".join(["temperature,age,cost", *(",".join(row) for row in cells)])))
    met = [text.partition(", far")[0] for text in said if "stands for a missing value" in text]
    assert met == ["`temperature`: 3 cells are -999", "`age`: 3 cells are 999", "`cost`: 3 cells are 9999"]


def test_a_number_of_nines_among_its_like_is_said_nothing_of(write):
    """A price may be 99, and a single row may hold an odd one."""
    lines = [f"{(99, 49, 149)[k % 3] + k % 7},{999 if k == 5 else k % 50},{k * 7 % 13}.5" for k in range(120)]
    assert not any("stands for" in text for text in warnings_of(write("\n".join(["price,age,y", *lines]))))


def test_a_header_below_titles_or_of_two_rows_is_told_as_such(write):
    """What is said of the header tells where it stands."""

    def said(text: str) -> str:
        dataset = understand_dataset(write(text), TrainSpec(dataset="data"))
        return next(sentence for sentence in dataset.inferred if sentence.startswith("Header"))

    body = "\n".join(["day,shop,units,revenue", *sales()])
    assert said(body).startswith("Header: the first row, because in ")
    assert said("All shops\n\n" + body).startswith("Header: the first row below the 2 lines above the table, because ")
    two = "\n".join(
        [",2022,,2023,", "shop,Q1,Q2,Q1,Q2", *(f"s{k % 3},{k},{k * 3},{k * 7 % 13},{k % 5}" for k in range(30))]
    )
    assert said(two).startswith("Header: the first two rows, because ")


def test_a_pipe_is_called_as_it_is_asked_for(write):
    """`sep=pipe` is what a person says."""
    path = write("\n".join(line.replace(",", "|") for line in ["day,shop,units,revenue", *sales()]))
    assert "Delimiter: pipe; change it with sep=..." in understand_dataset(path, TrainSpec(dataset="data")).inferred


def test_a_column_with_one_word_and_gaps_is_said_so(write):
    """Its gaps are what tells rows apart."""
    lines = [f"{('Jo', '')[k % 2]},{k},{k * 7 % 13}.5" for k in range(60)]
    dataset = understand_dataset(write("\n".join(["owner,x,y", *lines])), TrainSpec(dataset="data"))
    assert [column.reason for column in dataset.columns if column.name == "owner"] == ["a single word"]
