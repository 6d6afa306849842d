"""Numbers, intervals and durations as people read them."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.sample_cards import BEGAN

from bot.cards import (
    duration_text,
    number_text,
    seconds_between,
)
from bot.tables import interval_text


@pytest.mark.parametrize(
    ("interval", "shown"),
    [
        (None, "–"),
        ([0.82, 0.88], "0.82 to 0.88"),
        ([0.8235, 0.8291], "0.824 to 0.829"),
        ([0.4, 1.0], "0.40 to 1.00"),
        ([-0.05, 0.02], "-0.05 to 0.02"),
        ([11_800.0, 12_900.0], "11,800 to 12,900"),
        ([12.31, 13.4], "12.3 to 13.4"),
        ([1e-9, 3e-9], "1e-09 to 3e-09"),
        ([0.99999999, 0.999999999], "1 to 1"),
        ([1.5e8, 2.5e9], "1.5e+08 to 2.5e+09"),
        ([0.5, 0.5], "0.5000 to 0.5000"),
    ],
)
def test_intervals_for_people(interval: list[float] | None, shown: str) -> None:
    """An interval is as exact as its width deserves."""
    assert interval_text(interval) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "–"),
        (0, "0.0000"),
        (0.85123, "0.8512"),
        (-0.5, "-0.5000"),
        (9.99999, "10.0000"),
        (12.345, "12.35"),
        (12_345.678, "12,345.68"),
        (123_456, "123,456.00"),
        (1e-5, "1e-05"),
        (-2.5e-7, "-2.5e-07"),
        (1e12, "1e+12"),
        (1, "1.0000"),
        (0.0123456, "0.01235"),
    ],
)
def test_numbers_for_people(value: float | None, shown: str) -> None:
    """A number is short enough to be read and long enough to be compared."""
    assert number_text(value) == shown


@given(st.floats())
def test_any_number_is_short(value: float) -> None:
    """Whatever a number is, its text fits into a cell."""
    assert 0 < len(number_text(value)) <= 11


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0.0 s"),
        (2.04, "2.0 s"),
        (10, "10 s"),
        (119, "119 s"),
        (120, "2 min"),
        (3_600, "60 min"),
        (7_200, "2.0 h"),
        (604_800, "168.0 h"),
    ],
)
def test_durations_for_people(seconds: float, shown: str) -> None:
    """A duration is told in the unit that people would use."""
    assert duration_text(seconds) == shown


def test_the_time_between_two_moments() -> None:
    """It is in seconds, and there is none before both have come."""
    assert seconds_between(BEGAN, BEGAN + timedelta(seconds=1.23456)) == 1.235
    assert seconds_between(None, BEGAN) is None
    assert seconds_between(BEGAN, None) is None
