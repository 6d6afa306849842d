"""Dates and times as people write them; a column has one format, found on a sample and verified on every cell.

A date is read as days since 1970-01-01 with the time as a fraction, a time of day alone as the fraction. The calendar
is counted by arithmetic (Hinnant, "chrono-compatible low-level date algorithms"), which the graph (`graph_dates.py`)
repeats operation by operation; so 31 February is 3 March in both.
"""

import re
from collections import Counter
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
import polars as pl

from workers.core.numbers import by_chunks, spread
from workers.core.words import BLANK, NUMBER, SPACE, padded, whole

DAY_S = 86_400.0
_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
_DAY, _MONTH = r"(?:0?[1-9]|[12][0-9]|3[01])", r"(?:0?[1-9]|1[0-2])"
_ANY = (
    r"[0-9]{1,4}[-/.][0-9]{1,2}[-/.][0-9]{1,4}|[0-9]{1,2}[-/ ][A-Za-z]{3,9}[-/ ][0-9]{2,4}|[A-Za-z]{3,9} [0-9]{1,2},? "
)
# Dates that no format reads: months without a day, names of weekdays, months of other languages.
_NAME = r"(?:jan|feb|fév|m[aä]r|apr|avr|ma[iy]|jun|jui|jul|aug|aoû|sep|o[ck]t|nov|de[czé])[a-zä-ü]{0,7}"
_UNREAD = (
    rf"(?:[a-z]{{2,10}}\.?,? )?(?:[0-9]{{1,2}}\.?[-/ ]?)?{_NAME}\.?[-/., ]{{1,2}}"
    r"(?:[0-9]{1,2},? )?[0-9]{2,4}(?:[ T,].*)?"
    r"|[0-9]{4}[-/.](?:0[1-9]|1[0-2])|(?:0?[1-9]|1[0-2])[-/.](?:19|20)[0-9]{2}"
)
_ANY_TIME = r"[0-9]{1,2}:[0-9]{2}"
_ZONE = r"(?:UTC|GMT)?[+-][0-9]{1,2}(?::?[0-9]{2})?|UTC|GMT|Z"
_SAMPLE = 2_000
# Seconds and milliseconds since 1970 between 1990 and 2070; smaller and larger numbers are something else.
_EPOCH_S = (631_152_000.0, 3_155_760_000.0)


class Order(StrEnum):
    """What follows what in a date."""

    YMD = "year, month, day"
    DMY = "day, month, year"
    MDY = "month, day, year"
    NAMED_DMY = "day, name of the month, year"
    NAMED_MDY = "name of the month, day, year"
    COMPACT = "YYYYMMDD"
    SECONDS = "seconds since 1970"
    MILLISECONDS = "milliseconds since 1970"
    TIME = "time of day"


_NAMED = (Order.NAMED_DMY, Order.NAMED_MDY)
_COUNTED = (Order.COMPACT, Order.SECONDS, Order.MILLISECONDS)


@dataclass(frozen=True)
class DateFormat:
    """How the dates of a column are written; as it stands, YYYY-MM-DD with a time or without."""

    order: Order = Order.YMD
    sep: str = "-"
    short_year: bool = False
    """Whether a year has two digits: 70 to 99 are the last century's."""
    half_days: bool = False
    """Whether times end with AM or PM."""
    zoned: bool = False
    """Whether each time has an offset from UTC behind it (+02:00, GMT+1); else Z may stand there. It is left out: what
    is read is what the clock of its place showed, in summer and in winter."""
    comma: bool = False
    """Whether a comma stands before the fractions of a second, as in German files and the logs of Python."""

    @property
    def is_counted(self) -> bool:
        """Whether a date is a single number."""
        return self.order in _COUNTED

    @property
    def pattern(self) -> str:
        """What a cell looks like, with seven groups: the three parts of the date, hours, minutes, seconds, AM or PM."""
        if self.is_counted:
            digits = r"[0-9]{4}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])"
            return padded(digits if self.order is Order.COMPACT else NUMBER)
        if self.order is Order.TIME:
            return rf"()()(){BLANK}*{self._time}{BLANK}*"
        year, sep = "([0-9]{2})" if self.short_year else "([0-9]{4})", re.escape(self.sep)
        day, month = f"({_DAY})", f"({_MONTH})"
        name = f"({'|'.join(month_names())})"
        parts = {
            Order.YMD: (year, sep, month, sep, day),
            Order.DMY: (day, sep, month, sep, year),
            Order.MDY: (month, sep, day, sep, year),
            Order.NAMED_DMY: (day, sep, name, sep, year),
            Order.NAMED_MDY: (name, sep, day, ",?", sep, year),
        }[self.order]
        date = "".join(parts) + f"(?:[ T]{self._time})?"
        # A name of a month is found by cutting at blanks, so there are none around it.
        return date if self.order in _NAMED else f"{BLANK}*{date}{BLANK}*"

    @property
    def _time(self) -> str:
        hours = "(0?[0-9]|1[0-2])" if self.half_days else "([01]?[0-9]|2[0-3])"
        half = " ?([AaPp])[Mm]" if self.half_days else "()"
        zone, dot = f" ?(?:{_ZONE})" if self.zoned else "Z?", "," if self.comma else r"\."
        return rf"{hours}:([0-5][0-9])(?::([0-5][0-9](?:{dot}[0-9]{{1,9}})?))?{half}{zone}"

    @property
    def fullest(self) -> str:
        """A cell with every part; it cuts into as many pieces as any."""
        time = "11:00:00" + (" AM" if self.half_days else "") + (" GMT+02:00" if self.zoned else "Z")
        year = "70" if self.short_year else "1970"
        parts = {
            Order.YMD: (year, "01", "01"),
            Order.DMY: ("01", "01", year),
            Order.MDY: ("01", "01", year),
            Order.NAMED_DMY: ("01", "Jan", year),
            Order.NAMED_MDY: ("Jan", "01,", year),
        }
        if self.is_counted:
            return "19700101"
        return time if self.order is Order.TIME else f"{self.sep.join(parts[self.order])}T{time}"

    def said(self) -> str:
        """The format in words."""
        if self.is_counted or self.order is Order.TIME:
            return self.order.value
        if self == DateFormat():
            return "YYYY-MM-DD"
        return self.order.value + (f" with {self.sep!r} between" if self.order not in _NAMED else "")


def read_dates(cells: pl.Series, form: DateFormat) -> np.ndarray:
    """[rows] float64 days since 1970-01-01, with the time as a fraction; NaN where the cell is no such date."""
    return by_chunks(cells, lambda part: _read(part, form))


def civil_days(year: np.ndarray, month: np.ndarray, day: np.ndarray) -> np.ndarray:
    """Days since 1970-01-01 in the Gregorian calendar, [rows] float64 in and out."""
    shifted = np.floor((14.0 - month) / 12.0)  # 1 in January and February, which end the year before
    y = year - shifted
    m = month + 12.0 * shifted - 3.0
    leap: np.ndarray = np.floor(y / 4.0) - np.floor(y / 100.0) + np.floor(y / 400.0)
    days: np.ndarray = day + np.floor((153.0 * m + 2.0) / 5.0) + 365.0 * y + leap - 719_469.0
    return days


def full_years(years: np.ndarray, *, short: bool) -> np.ndarray:
    """Years of two digits with their century: 70 to 99 are 1970 to 1999."""
    return years + 1900.0 + 100.0 * np.floor((169.0 - years) / 100.0) if short else years


def month_names() -> dict[str, float]:
    """Every spelling of an English month and its number; long names first, as a pattern wants them."""
    named: dict[str, float] = {}
    for length in (9, 4, 3):
        for k, month in enumerate(_MONTHS):
            for name in (month[:length],) if length != 4 or month == "september" else ():
                named |= dict.fromkeys((name, name.capitalize(), name.upper()), k + 1.0)
    return named


def find_format(cells: pl.Series, *, name: str, day_first: bool) -> tuple[DateFormat, str] | None:
    """The format that reads most of these trimmed cells, and what is to be said where another one reads as many.

    None where they look like no dates. `day_first` says that in doubt the day comes first.
    """
    sample = spread(cells, _SAMPLE)
    if not sample.str.contains(rf"\A(?:{_ANY}|{_ANY_TIME})").any():
        return _find_counted(sample, name)
    zones, half = _zones(sample), bool(sample.str.contains(r"(?i)[0-9] ?[ap]m\b").any())
    comma = bool(sample.str.contains(r":[0-9]{2},[0-9]").any())
    formats = [DateFormat(Order.YMD, sep) for sep in "-/."]
    formats += [
        DateFormat(order, sep, short)
        for short in (False, True)
        for sep in "./-"
        for order in ((Order.DMY, Order.MDY) if sep == "." or day_first else (Order.MDY, Order.DMY))
    ]
    formats += [DateFormat(Order.NAMED_DMY, sep, short) for sep in "- /" for short in (False, True)]
    formats += [DateFormat(Order.NAMED_MDY, " "), DateFormat(Order.TIME, "")]
    formats = [replace(form, half_days=half, zoned=bool(zones), comma=comma) for form in formats]
    reads = [int(sample.str.contains(whole(form.pattern)).sum()) for form in formats]
    most = max(reads)
    if not most:
        return None
    best = [form for form, count in zip(formats, reads, strict=True) if count == most]
    if len(best) > 1 and best[0].order in {Order.DMY, Order.MDY}:
        return best[0], f"nothing says whether {sample[0]!r} starts with the day; {best[0].order.value} is assumed"
    if len(zones) > 1:
        return best[0], f"its offsets from UTC differ ({', '.join(zones[:2])}); each time is read as its clock shows it"
    return best[0], ""


def looks_dated(cells: pl.Series) -> pl.Series:
    """Which of the trimmed cells could be dates of some format, [rows] bool."""
    return cells.str.contains(rf"\A(?:{_ANY})")


def looks_unread(cells: pl.Series) -> pl.Series:
    """Which of the trimmed cells are probably dates, but of no format that is read, [rows] bool."""
    return cells.str.contains(whole(f"(?i:{_UNREAD})"))


def _read(cells: pl.Series, form: DateFormat) -> np.ndarray:
    """[rows] float64; see `read_dates`."""
    if form.is_counted:
        return _read_counted(cells, form.order)
    fields = cells.str.extract_groups(whole(form.pattern))
    parts = [fields.struct.field(name) for name in fields.struct.fields]
    if form.order is Order.TIME:
        days, known = np.zeros(len(cells)), parts[3].is_not_null().to_numpy()
    else:
        at = {
            Order.YMD: (0, 1, 2), Order.DMY: (2, 1, 0), Order.MDY: (2, 0, 1),
            Order.NAMED_DMY: (2, 1, 0), Order.NAMED_MDY: (2, 0, 1),
        }[form.order]  # fmt: skip
        year, month, day = (parts[k] for k in at)
        if form.order in _NAMED:
            month = month.replace_strict(month_names(), default=None, return_dtype=pl.Float64)
        known = year.is_not_null().to_numpy()
        days = civil_days(full_years(_floats(year), short=form.short_year), _floats(month), _floats(day))
    parts[5] = parts[5].str.replace(",", ".", literal=True) if form.comma else parts[5]
    hour, minute, second = (np.nan_to_num(_floats(part)) for part in parts[3:6])
    if form.half_days:
        afternoon = parts[6].is_in(["p", "P"]).fill_null(value=False).to_numpy()
        hour = hour - 12.0 * np.floor(hour / 12.0) + 12.0 * afternoon
    values: np.ndarray = days + ((hour * 60.0 + minute) * 60.0 + second) / DAY_S
    values[~known] = np.nan
    return values


def _find_counted(sample: pl.Series, name: str) -> tuple[DateFormat, str] | None:
    """A format whose dates are single numbers."""
    form = DateFormat(Order.COMPACT, "")
    if sample.str.contains(whole(form.pattern)).all() and sample.str.contains(r"\A[ ]*(?:19|20)").all():
        return form, ""
    words = set(re.findall(r"[a-z]+", name.lower()))
    told = words & {"time", "timestamp", "ts", "date", "epoch", "unix", "datetime", "at", "created", "updated"}
    if not told or not sample.str.contains(whole(NUMBER)).all():
        return None
    values = sample.cast(pl.Float64).to_numpy()
    for order, unit in ((Order.SECONDS, 1.0), (Order.MILLISECONDS, 1000.0)):
        if values.min() >= _EPOCH_S[0] * unit and values.max() <= _EPOCH_S[1] * unit:
            return DateFormat(order, ""), f"its name says `{min(told)}`"
    return None


def _read_counted(cells: pl.Series, order: Order) -> np.ndarray:
    pattern = DateFormat(order).pattern
    matched = pl.when(pl.col("cell").str.contains(whole(pattern))).then(pl.col("cell").str.strip_chars(SPACE))
    values = _floats(pl.DataFrame({"cell": cells}).select(matched).to_series())
    if order is Order.COMPACT:
        year = np.floor(values / 10_000.0)
        month = np.floor(values / 100.0) - 100.0 * year
        return civil_days(year, month, values - 10_000.0 * year - 100.0 * month)
    return values / (DAY_S if order is Order.SECONDS else DAY_S * 1000.0)


def _zones(sample: pl.Series) -> list[str]:
    """What stands behind the times, the most frequent first; nothing where most times have at most a Z behind them."""
    zones = sample.str.extract(rf":[0-9.,]+ ?(?:[AaPp][Mm])? ?({_ZONE})$").drop_nulls()
    timed = int(sample.str.contains(_ANY_TIME).sum())
    if 2 * len(zones) <= timed or bool((zones == "Z").all()):
        return []
    return [zone for zone, _ in Counter(zones.to_list()).most_common()]


def _floats(part: pl.Series) -> np.ndarray:
    """[rows] float64, NaN where the part is missing."""
    part = part.set(part == "", None) if part.dtype == pl.String else part
    return part.cast(pl.Float64).fill_null(np.nan).to_numpy().astype(np.float64)
