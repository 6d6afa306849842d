"""Numbers as people write them: which style a column has, and what its cells are worth."""

import numpy as np
import polars as pl
import pytest

from workers.core.kinds import Kind, column_values, find_kind
from workers.core.numbers import PLAIN, NumberStyle, find_style, read_numbers

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
        (["\u22125", "3.2"], [-5, 3.2], "a long minus"),
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
    ],
)
def test_an_ambiguous_comma_is_decided_by_evidence(cells, comma, value, doubted):
    """Where nothing decides what a comma is, what was assumed is said."""
    style, doubt = find_style(pl.Series(cells), comma=comma)
    assert read_numbers(pl.Series(cells), style)[0] == value
    assert bool(doubt) == doubted
    assert not doubt or "nothing says what the comma of '1,234' is" in doubt


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
