"""Files as people really have them: exports with titles and totals, dates of many hands, columns that slipped."""

import random
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
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


def test_rows_are_numbered_as_they_stand_in_the_file(write):
    """Also below rows that were set aside, and those that hold the header again."""
    lines = [f"{k},{k * 7 % 13}.5,{k * 11 % 17}" for k in range(200)]
    for k in (4, 5, 60):
        lines[k] += ",7"
    lines[2] = lines[90] = "units,cost,y"
    lines[150] = "many,3.5,8"
    path = write("\n".join(["units,cost,y", *lines]))
    table = read_table(path)
    assert [repair.first_rows for repair in table.repairs] == [(3, 91), (5, 6, 61)]
    assert table.file_rows(np.arange(table.height)).tolist() == [
        k + 1 for k in range(200) if k not in (2, 4, 5, 60, 90)
    ]
    assert "`units`: 1 cell is no number and counts as missing, first in row 151: 'many'." in warnings_of(path)


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


@pytest.mark.parametrize(
    ("above", "names", "below"),
    [
        (" day | shop | units\n-----+------+------\n", ("day", "shop", "units"), "(60 rows)\n"),
        ("+---+---+---+\n|day|shop|units|\n+---+---+---+\n", ("column_1", "day", "shop", "units"), "+---+---+---+\n"),
        ("|day|shop|units|\n|:--|---|--:|\n", ("column_1", "day", "shop", "units"), ""),
    ],
)
def test_a_line_of_dashes_below_the_header_is_no_row(write, above, names, below):
    """Databases and Markdown draw one; it is neither a row nor a part of the names, in a later file either."""
    edge = "|" if names[0] == "column_1" else ""
    rows = [[*line.split(",")[:3]] for line in sales()]
    path = write(above + "".join(f"{edge}{'|'.join(row)}{edge}\n" for row in rows) + below)
    table = read_table(path)
    assert table.names == names
    assert [list(row)[-3:] for row in table.frame.rows()] == rows
    assert read_like(path, table.dialect, tolerate=True).frame.rows()[:60] == table.frame.rows()


def test_thousands_that_look_like_decimals_are_read_as_the_other_columns_are(write):
    """In a file with decimal commas 1.200 is more than 950, and what was assumed is said."""
    lines = [f"{k * 50:,}".replace(",", ".") + f";{k * 7 % 13},5" for k in range(1, 61)]
    dataset = understand_dataset(write("\n".join(["units;y", *lines])), TrainSpec(dataset="data"))
    assert dataset.cells.numbers[0].tolist() == [50.0 * k for k in range(1, 61)]
    assert "`units`: nothing says what the point of '1.000' is; a point between thousands is assumed." in (
        dataset.warnings
    )
    lines = [line.replace(",", ".") for line in lines]
    dataset = understand_dataset(write("\n".join(["units;y", *lines])), TrainSpec(dataset="data"))
    assert dataset.cells.numbers[0].max() == 950


@pytest.mark.parametrize("form", ["%b-%y", "%Y-%m", "%a %d %b %Y", "%d. %b %Y"])
def test_dates_that_are_not_read_are_called_dates(write, form):
    """Months without a day and dates with a weekday are neither words nor texts, and how to write them is said."""
    months = [datetime(1990 + k // 12, k % 12 + 1, 1) for k in range(60)]  # noqa: DTZ001
    lines = [f"{day:{form}},{k % 7},{k * 7 % 13}.5" for k, day in enumerate(months)]
    reason = f"its cells look like dates of a format that is not read ('{months[0]:{form}}'); write them as 2024-12-31"
    assert f"Not used: `day`, text: {reason}." in warnings_of(write("\n".join(["day,x,y", *lines])))


def test_classes_that_differ_in_capitals_are_said(write):
    """A model would be asked to tell `ok` from `OK`."""
    lines = [f"{k},{k * 7 % 13},{('OK', 'ok', 'n/ok', 'O K')[k % 4]}" for k in range(60)]
    said = "Classes of `state` differ only in capitals or blanks: 'O K', 'OK', 'ok'. Write them alike if they are one."
    assert said in warnings_of(write("\n".join(["a,b,state", *lines])))
    assert not any("capitals" in text for text in warnings_of(write("\n".join(["day,shop,units,rev", *sales()]))))


def test_a_target_whose_thousands_are_assumed_is_said(write):
    """A factor of a thousand in all predictions has to be seen."""
    lines = [f"{k}.5;{1000 + k * 13:,} €".replace(",", ".").replace(".5;", ",5;") for k in range(60)]
    said = "`rent`: nothing says what the point of '1.000 €' is; a point between thousands is assumed."
    assert said in warnings_of(write("\n".join(["area;rent", *lines])))


def test_thousands_and_millions_written_with_letters_are_multiplied(write):
    """$1.8M is more than $950K and $700, as a feature and as the target."""
    values = [int(1.3 ** (20 + k % 40)) for k in range(120)]
    shown = [f"${v / 1e6:.1f}M" if v >= 1e6 else f"${v / 1e3:.1f}K" if v >= 1e3 else f"${v}" for v in values]
    lines = [f"{raised},{shown[-k]}" for k, raised in enumerate(shown)]
    dataset = understand_dataset(write("\n".join(["raised,valuation", *lines])), TrainSpec(dataset="data"))
    assert dataset.columns[0].reason == "all 120 cells are numbers written with `$`, `K` for 1,000, `M` for 1,000,000"
    assert dataset.target.values == pytest.approx([values[-k] for k in range(120)], rel=0.05)
    assert dataset.cells.numbers[0] == pytest.approx(values, rel=0.05)


def test_numbers_without_the_unit_of_the_others_are_said(write):
    """0.05 among percentages is five of them or a twentieth of one; nothing but a person can tell."""
    lines = [f"{k % 9}%,{k % 7} kg,{k * 7 % 13}.5" for k in range(58)]
    said = warnings_of(write("\n".join(["rate,weight,y", *lines, "0.05,3 kg,1.5", "0.07,0,2.5"])))
    assert "`rate`: 2 cells have no `%`, such as '0.05'; read as if there were one." in said
    assert not any("`kg`" in text for text in said)


def test_columns_of_one_name_are_said(write):
    """Which of them is which cannot be seen from the name."""
    lines = [f"{k},{k * 7 % 13}.5,{k % 2}" for k in range(60)]
    said = warnings_of(write("\n".join(["x,x,t", *lines])))
    assert "2 columns have the same name; they are called `x`, `x_2`." in said
    assert not any("same name" in text for text in warnings_of(write("\n".join(["x,z,t", *lines]))))


@pytest.mark.parametrize("words", [("Yes", "yes", "No", "no"), ("True", "FALSE", "true", "True")])
def test_a_target_of_yes_and_no_is_one_boolean_however_it_is_written(write, words):
    """Capitals make no classes; what was read as what is said."""
    lines = [f"{k},{k * 7 % 13},{words[k % 4] if k else words[0]}" for k in range(80)]
    dataset = understand_dataset(write("\n".join(["a,b,won", *lines])), TrainSpec(dataset="data"))
    assert [name.lower() for name in dataset.target.classes] == sorted({word.lower() for word in words})
    assert any(text.startswith("Target: the cells of `won` (") for text in dataset.inferred)
    assert not any("capitals" in text for text in dataset.warnings)


def test_a_column_that_is_half_words_is_no_number(write):
    """Three words in half of the cells are words, not gaps; one word in a few cells is a gap."""
    lines = [f"{('red', 'green', 'blue')[k % 3] if k % 2 else k},{'unknown' if k % 20 == 7 else k},{k * 7 % 13}.5"
             for k in range(240)]  # fmt: skip
    dataset = understand_dataset(write("\n".join(["a,b,y", *lines])), TrainSpec(dataset="data"))
    assert [column.kind.value for column in dataset.columns] == ["category", "number"]
