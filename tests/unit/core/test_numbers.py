"""Numbers as people write them: which style a column has, and what its cells are worth."""

import numpy as np
import polars as pl
import pytest

from workers.core.kinds import Kind, column_values, find_kind
from workers.core.numbers import PLAIN, NumberStyle, find_style, has_decimal_commas, read_numbers
from workers.core.target import understand_target

N = 60


@pytest.mark.parametrize(
    ("cells", "values", "said"),
    [
        (["1.234,5", "12,5", "3"], [1234.5, 12.5, 3], "a decimal comma, a point between thousands"),
        (["1,234.5", "-12", "+1,000,000"], [1234.5, -12, 1e6], "a comma between thousands"),
        (["1 234", "12", "1 234 567,5"], [1234, 12, 1234567.5], "a decimal comma, a blank between thousands"),
        (["1\u00a0234,50 €", "5 €"], [1234.5, 5], "a decimal comma, a blank between thousands, `€`"),
        (["1'234.50", "5.00"], [1234.5, 5], "an apostrophe between thousands"),
        (["$1,234.50", "-$3", "$-4", "- $ 5", "($7)"], [1234.5, -3, -4, -5, -7], None),
        (["EUR 5,50", "EUR 1.200,00"], [5.5, 1200], "a decimal comma, a point between thousands, `EUR`"),
        (["12 kg", "13.5kg", "9"], [12, 13.5, 9], "`kg`"),
        (["5%", "6.5 %"], [5, 6.5], "`%`"),
        (["$1.5K", "$950", "-$2M"], [1500, 950, -2e6], "`$`, `K` for 1,000, `M` for 1,000,000"),
        (["1,5k", "950"], [1500, 950], "a decimal comma, `k` for 1,000"),
        (["3 m", "2 bn"], [3e6, 2e9], "`bn` for 1,000,000,000, `m` for 1,000,000"),
        (["34k", "42k"], [34, 42], "`k`"),
        (["12 m", "13.5 m", "9"], [12, 13.5, 9], "`m`"),
        (["512 B", "64 B", "9"], [512, 64, 9], "`B`"),
        (["5 kg", "6 kg", "7 K"], [5, 6, np.nan], "`kg`"),
        (["\u22125", "3.2"], [-5, 3.2], "a long minus"),
        (
            ["1.234,50-", "5,00", "7,5 -"],
            [-1234.5, 5, np.nan],
            "a decimal comma, a point between thousands, a minus behind",
        ),
        (["5- EUR", "3.2 EUR"], [-5, 3.2], "`EUR`, a minus behind"),
        (["0,123", "0,456"], [0.123, 0.456], "a decimal comma"),
        (["1.234.567", "12"], [1234567, 12], "a decimal comma, a point between thousands"),
        (["1.234", "5.678"], [1.234, 5.678], ""),
        (["1e5", "2,5"], [1e5, 2.5], "a decimal comma"),
    ],
)
def test_styles(cells, values, said):
    """Each style is found from its cells and read to the last digit."""
    style, doubt = find_style(pl.Series(cells), comma=False)
    np.testing.assert_array_equal(read_numbers(pl.Series(cells), style), values)
    assert said is None or style.said() == said
    assert not doubt


@pytest.mark.parametrize(
    ("cells", "comma", "value", "doubted"),
    [
        (["1,234", "2,345"], False, 1234, True),
        (["1,234", "2,345"], True, 1.234, True),
        (["1,234", "950"], True, 1234, False),  # short whole numbers: a comma starts where there are thousands
        (["1,234", "9500"], False, 1.234, False),  # whole thousands without a comma
        (["1.234", "950"], True, 1234, True),
        (["1.234 €", "2.345 €"], True, 1234, True),
        (["1.234", "950"], False, 1.234, False),
        (["1.234", "9500"], True, 1.234, False),
        (["1.234", "0.950"], True, 1.234, False),
    ],
)
def test_an_ambiguous_mark_is_decided_by_evidence(cells, comma, value, doubted):
    """Where nothing decides what a comma or a point is, what was assumed is said."""
    style, doubt = find_style(pl.Series(cells), comma=comma)
    assert read_numbers(pl.Series(cells), style)[0] == value
    assert bool(doubt) == doubted
    what = "comma" if "," in cells[0] else "point"
    assert not doubt or f"nothing says what the {what} of {cells[0]!r} is" in doubt


@pytest.mark.parametrize(
    ("columns", "delimiter", "commas"),
    [
        ([["1", "2"]], ";", True),
        ([["1", "2"]], ",", False),
        ([["1.50", "2.25"]], ";", False),
        ([["12.345", "0.345"]], ";", False),
        ([["12.345", "1234.567"]], ";", False),
        ([["1,50 €", "2"]], ",", True),
        ([["1.234,5"], ["2,5%"], ["1.5"]], ",", True),
        ([["1,234.5"], ["2.5"], ["1,5"]], ";", False),
        ([["31.12.22", "10.0.0.1", "[1,2]", "12,345", "1.234"]], ",", False),
    ],
)
def test_a_table_tells_what_its_commas_are(columns, delimiter, commas):
    """Columns that leave nothing open tell about those that do; the delimiter only where there is none."""
    assert has_decimal_commas(map(pl.Series, columns), delimiter=delimiter) is commas


def test_a_point_between_thousands_is_no_decimal_point_where_commas_are():
    """1.200 among 950 is more than it in a file with decimal commas, as a feature and as a target."""
    cells = pl.Series([str(k * 50) if k < 20 else f"{k * 50 / 1000:.3f}" for k in range(1, N)])
    reading = find_kind(column_values("x", cells), unnamed=False, comma=True)
    np.testing.assert_array_equal(read_numbers(cells, reading.style), [50.0 * k for k in range(1, N)])
    assert "nothing says what the point of '1.000' is; a point between thousands is assumed" in reading.reason
    target = understand_target(cells.to_frame("t"), "t", None, comma=True)
    np.testing.assert_array_equal(target.values, [50.0 * k for k in range(1, N)])
    assert find_kind(column_values("x", cells), unnamed=False, comma=False).style == PLAIN


def test_what_is_not_of_the_style_is_missing():
    """A column has one style: a cell of another one is no number, never another number."""
    german = NumberStyle(decimal=",", thousands=".")
    cells = pl.Series(["1.234,5", "12.5", "1,2,3", "1.23.456", "--5", "", "abc", "1" * 120])
    np.testing.assert_array_equal(read_numbers(cells, german), [1234.5, *[np.nan] * 7])
    np.testing.assert_array_equal(read_numbers(pl.Series(["1,234", "inf", "0x10", "1_0"]), PLAIN), [np.nan] * 4)


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        ([f"A{k % 9}" for k in range(N)], Kind.CATEGORY),  # codes, though each holds a number
        ([("1.5", "2,5")[k % 2] for k in range(N)], Kind.CATEGORY),  # two styles in one column
        ([(f"${k}", f"€{k}")[k % 2] for k in range(N)], Kind.TEXT),  # two currencies
        ([f"{k} {('kg', 'lb')[k % 2]}" for k in range(N)], Kind.TEXT),  # two units
        ([f"{k / 4}" if k % 5 else "unknown" for k in range(N)], Kind.NUMBER),  # one word for a gap
        ([f"{k * 100:,}" if k > 9 else str(k) for k in range(N)], Kind.NUMBER),
    ],
)
def test_only_one_style_makes_a_number(cells, kind):
    """Mixed styles, currencies and units stay words; a word that repeats among numbers is a gap."""
    assert find_kind(column_values("x", pl.Series(cells)), unnamed=False, comma=False).kind is kind


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (lambda k: f"{k}{',.'[k % 2]}5", "what a comma or a point means differs between them; write them one way"),
        (lambda k: f"{'$€'[k % 2]}{k}", "different currencies are no single quantity; convert them to one currency"),
        (lambda k: f"${k}" if k % 2 else f"{k} EUR", "different currencies are no single quantity"),
        (
            lambda k: f"{k}.2 kg" if k % 2 else f"{k} g",
            "different units are no single quantity; convert them to one unit",
        ),
        (lambda k: f"{k}.2kg" if k % 2 else f"{k}g", "30 of 60 with `g`, such as '0g'; 30 with `kg`, such as '1.2kg'"),
        (lambda k: f"${k}" if k % 2 else f"{k}%", "different units are no single quantity"),
    ],
)
def test_numbers_of_several_ways_are_not_used_and_the_ways_are_told(write, said):
    """A column that no single style reads is no feature; the ways, their counts and examples are its reason."""
    reading = find_kind(column_values("x", pl.Series([write(k) for k in range(N)])), unnamed=False, comma=False)
    assert not reading.used
    assert reading.reason.startswith("its numbers are written in several ways (30 of 60 ")
    assert said in reading.reason


def test_numbers_of_several_ways_that_repeat_are_words_with_a_warning():
    """So few different sizes are categories as well; that they could be numbers is said."""
    cells = pl.Series([f"{k % 11} GB" if k % 2 else f"{k % 11}.5 MB" for k in range(400)])
    reading = find_kind(column_values("x", cells), unnamed=False, comma=False)
    assert (reading.kind, reading.used) == (Kind.CATEGORY, True)
    assert "numbers in different units" in reading.doubt


@pytest.mark.parametrize(
    "write",
    [
        lambda k: f"{k}{'ABC'[k % 3]}",  # seats
        lambda k: f"{k}" if k % 2 else f"{k}{'ab'[k // 2 % 2]}",  # numbers of houses
        lambda k: f"{k} {['Main', 'Elm', 'High', 'Park', 'Lake', 'Mill'][k % 6]}",
        lambda k: f"1.{k}.{k % 7}",  # versions
        lambda k: f"{100 + k}/{'789'[k % 3]}0",  # blood pressures
        lambda k: f"{'XAB'[k % 3]}{k}",
    ],
)
def test_codes_with_digits_are_no_numbers_of_several_ways(write):
    """Words that begin with digits are words."""
    reading = find_kind(column_values("x", pl.Series([write(k) for k in range(N)])), unnamed=False, comma=False)
    assert "several ways" not in reading.reason + reading.doubt


@pytest.mark.parametrize(
    ("cells", "style"),
    [
        (["$5", "6 €", "$7"], NumberStyle(before="$")),
        (["5%", "$6", "7%"], NumberStyle(after="%")),
        (["€5", "6 €"], NumberStyle(before="€", after="€")),
        (["$5 USD", "$6"], NumberStyle(before="$", after="USD")),
    ],
)
def test_marks_that_no_cell_has_both_are_of_two_quantities(cells, style):
    """Amounts of two currencies are never read as one, on whichever side the mark stands."""
    assert find_style(pl.Series(cells), comma=False)[0] == style
