"""Dates and times: which format a column has, and which day its cells are."""

from datetime import datetime

import numpy as np
import polars as pl
import pytest

from workers.core.dates import find_format, read_dates
from workers.core.kinds import Kind, column_values, find_kind

DAY = 19_727.0  # 2024-01-05


def _find(cells, name="x", *, day_first=False):
    return find_format(pl.Series(cells), name=name, day_first=day_first)


@pytest.mark.parametrize(
    ("cells", "days"),
    [
        (["2024-01-05", "2024-01-06 12:00", "2024-01-05T06:00:00Z"], [DAY, DAY + 1.5, DAY + 0.25]),
        (["05.01.2024", "13.1.2024 06:00"], [DAY, DAY + 8.25]),
        (["1/5/2024 9:00", "1/15/2024 6:00 PM", "1/6/2024"], [None, DAY + 10.75, DAY + 1]),
        (["1/5/2024 12:00 AM", "1/15/2024 6:00 PM"], [DAY, DAY + 10.75]),
        (["5/1/2024", "15/1/2024"], [DAY, DAY + 10]),
        (["05-01-2024", "15-01-2024"], [DAY, DAY + 10]),
        (["2024/01/05", "2024/1/6"], [DAY, DAY + 1]),
        (["15/1/24", "15/1/99"], [DAY + 10, 10_606]),
        (["20240105", "20240106"], [DAY, DAY + 1]),
        (["05-Jan-2024", "6-FEB-2024"], [DAY, DAY + 32]),
        (["Jan 5, 2024", "February 6, 2024 12:00"], [DAY, DAY + 32.5]),
        (["5 Jan 2024", "6 February 2024"], [DAY, DAY + 32]),
        (["05/Jan/24 6:00 AM", "06/Feb/24 12:00 PM"], [DAY + 0.25, DAY + 32.5]),
        (["2024-01-05 12:00:00+02:00", "2024-01-06 12:00:00+02:00"], [DAY + 0.5, DAY + 1.5]),
        (["2024-01-05 12:00:00 UTC", "2024-01-06 12:00:00 UTC"], [DAY + 0.5, DAY + 1.5]),
        (["2024-01-05 06:00:00+00", "2024-01-06 12:00:00.000+00"], [DAY + 0.25, DAY + 1.5]),
        (["2024/01/05 6:00:00 AM GMT+1", "2024/01/06 6:00:00 PM GMT+1"], [DAY + 0.25, DAY + 1.75]),
        (["2024-01-05 00:00:08,640", "2024-01-05 06:00:00"], [DAY + 0.0001, DAY + 0.25]),
        (["06:00", "18:00:00"], [0.25, 0.75]),
        (["6:00 am", "6:00 PM"], [0.25, 0.75]),
    ],
)
def test_formats(cells, days):
    """Each format is found from its cells; a cell of another one is missing."""
    form, doubt = _find(cells)
    np.testing.assert_allclose(read_dates(pl.Series(cells), form), [np.nan if d is None else d for d in days])
    assert not doubt


@pytest.mark.parametrize(
    ("winter", "summer"), [("T12:00:00+01:00", "T12:00:00+02:00"), (" 12:00:00 GMT", " 12:00:00 GMT+1")]
)
def test_a_clock_that_is_put_forward_is_read_as_it_shows(winter, summer):
    """Offsets that change within a file are left out, and said; one that comes later is read as well."""
    form, doubt = _find([f"2024-01-05{winter}", f"2024-07-05{summer}", f"2024-07-06{summer}"])
    cells = [f"2024-01-05{winter}", f"2024-01-05{summer}", "2024-01-05 12:00:00-03:30", "2024-01-05 12:00:00"]
    np.testing.assert_array_equal(read_dates(pl.Series(cells), form), [DAY + 0.5] * 3 + [np.nan])
    first, second = summer[9:].strip(), winter[9:].strip()
    assert doubt == f"its offsets from UTC differ ({first}, {second}); each time is read as its clock shows it"


def test_every_day_of_two_centuries_is_the_calendars():
    """Day numbers are those of the standard library."""
    moments = [datetime.fromordinal(number) for number in range(693_596, 766_645, 7)]  # 1900 to 2100
    cells = pl.Series([f"{moment:%d.%m.%Y}" for moment in moments])
    form, _ = _find(cells)
    epoch = datetime(1970, 1, 1).toordinal()  # noqa: DTZ001 - a date without a zone
    np.testing.assert_array_equal(read_dates(cells, form), [moment.toordinal() - epoch for moment in moments])


@pytest.mark.parametrize(
    ("cell", "day_first", "day", "order"),
    [
        ("1/5/2024", False, DAY, "month, day, year"),
        ("5/1/2024", True, DAY, "day, month, year"),
        ("5.1.2024", False, DAY, "day, month, year"),
    ],
)
def test_an_ambiguous_order_is_assumed_and_said(cell, day_first, day, order):
    """Where no day is beyond 12, the usual order of the separator and the file is taken, and said."""
    form, doubt = _find([cell] * 3, day_first=day_first)
    assert read_dates(pl.Series([cell]), form)[0] == day
    assert doubt == f"nothing says whether {cell!r} starts with the day; {order} is assumed"


def test_numbers_are_moments_only_by_name_and_range():
    """Seconds and milliseconds since 1970 need a name that says so, and values of our time."""
    seconds = [str(1_704_412_800 + 3600 * k) for k in range(30)]
    form, _ = _find(seconds, "created_at")
    assert read_dates(pl.Series(seconds), form)[0] == DAY
    form, _ = _find([f"{cell}000" for cell in seconds], "timestamp")
    assert read_dates(pl.Series([f"{seconds[0]}000"]), form)[0] == DAY
    assert _find(seconds, "population") is None
    assert _find(["1200", "1300"], "created_at") is None


@pytest.mark.parametrize(
    "cells",
    [["192.168.1.1"] * 30, [f"1.{k}" for k in range(30)], [f"{k}-{k + 1}" for k in range(30)], ["Jan", "Feb"] * 15],
)
def test_what_looks_like_a_date_and_is_none(cells):
    """Addresses, decimals, ranges and bare months are no dates."""
    assert find_kind(column_values("x", pl.Series(cells)), unnamed=False, comma=False).date is None


def test_one_format_must_read_nearly_all():
    """A column with two formats is not half a date column."""
    cells = [f"{k % 28 + 1:02d}.01.2024" if k % 2 else f"2024/01/{k % 28 + 1:02d}" for k in range(60)]
    assert find_kind(column_values("x", pl.Series(cells)), unnamed=False, comma=False).kind is not Kind.DATE
