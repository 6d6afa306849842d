"""Dates inside the model file, operation by operation as `dates.py` reads them."""

import numpy as np
from onnx import TensorProto

from workers.core.dates import DAY_S, DateFormat, Order, month_names
from workers.core.graph_nodes import Graph
from workers.core.graph_strings import before, ended, guarded, number_of, piece, without_last, word
from workers.core.words import NUMBER, padded


def date_column(graph: Graph, cells: str, form: DateFormat) -> str:
    """[rows, 1] string to [rows, 1] float64 days, or fractions of a day for times; NaN where a cell is none."""
    is_date, text = guarded(graph, cells, pattern=form.pattern, fullest=form.fullest)
    if form.is_counted:
        days = _counted(graph, text, form.order)
    elif form.order is Order.TIME:
        days = _fraction(graph, _without_zone(graph, text, form), form)
    else:
        days = _date(graph, text, form)
    return graph.add("Where", is_date, without_last(graph, days), graph.number(np.nan))


def _date(graph: Graph, text: str, form: DateFormat) -> str:
    """[rows, 1] float64 of dates with a time or without."""
    cut = graph.split(text, form.sep, 2)  # [rows, 1, 3]
    first, second, rest = (piece(graph, cut, k) for k in range(3))
    with_t = graph.split(_without_zone(graph, rest, form), "T", 1)
    # "05T12:30" falls apart at the T; "05 12:30", and "05 " with a blank behind it, at the blank.
    start, after = piece(graph, with_t, 0), piece(graph, with_t, 1)
    spaced = graph.split(ended(graph, start, " "), " ", 1)
    third = piece(graph, spaced, 0)
    time = graph.add("Where", graph.add("Equal", after, word(graph, "")), piece(graph, spaced, 1), after)
    match form.order:
        case Order.YMD:
            year, month, day = (number_of(graph, part) for part in (first, second, third))
        case Order.DMY:
            day, month, year = (number_of(graph, part) for part in (first, second, third))
        case Order.MDY:
            month, day, year = (number_of(graph, part) for part in (first, second, third))
        case Order.NAMED_DMY:
            day, month, year = number_of(graph, first), _named_month(graph, second), number_of(graph, third)
        case _:
            day, month = number_of(graph, before(graph, second, ",")), _named_month(graph, first)
            year = number_of(graph, third)
    days = _civil_days(graph, _full_years(graph, year, short=form.short_year), month, day)
    return graph.add("Add", days, _fraction(graph, time, form))


def _fraction(graph: Graph, time: str, form: DateFormat) -> str:
    """A time, '' where there is none, as a fraction of the day."""
    # Blanks behind the time go; missing parts of it become zeros.
    has_time = graph.add("RegexFullMatch", time, pattern=r"(?s:.*)[0-9]:[0-9](?s:.*)")
    clock = graph.add("Where", has_time, time, word(graph, "00:00:00"))
    if form.half_days:
        for letter in "AaPp":
            clock = before(graph, clock, letter)
    parts = graph.split(ended(graph, clock, ":"), ":", 3)
    clocked = [piece(graph, parts, k) for k in range(3)]
    if form.comma:
        clocked[2] = _with_point(graph, clocked[2])
    hour, minute, second = (_part(graph, part) for part in clocked)
    if form.half_days:
        afternoon = graph.add("RegexFullMatch", time, pattern=r"(?s:.*)[Pp][Mm](?s:.*)")
        twelve = graph.add("Where", afternoon, graph.number(12), graph.number(0))
        halves = graph.add("Mul", _quotient(graph, hour, 12), graph.number(12))
        hour = graph.add("Add", graph.add("Sub", hour, halves), twelve)
    minutes = graph.add("Add", graph.add("Mul", hour, graph.number(60)), minute)
    seconds = graph.add("Add", graph.add("Mul", minutes, graph.number(60)), second)
    return graph.add("Div", seconds, graph.number(DAY_S))


def _without_zone(graph: Graph, text: str, form: DateFormat) -> str:
    """What stands in front of the zone. It goes before the date is cut at a T, which UTC and GMT hold too."""
    for mark in "UGZ+-" if form.zoned else "Z":
        text = before(graph, text, mark)
    return text


def _with_point(graph: Graph, seconds: str) -> str:
    """Seconds with a comma before their fractions, or without fractions, as a number."""
    cut = graph.split(ended(graph, seconds, ","), ",", 1)
    fraction = before(graph, piece(graph, cut, 1), ",")
    pointed = graph.add("StringConcat", word(graph, "."), fraction)
    has_none = graph.add("Equal", fraction, word(graph, ""))  # a blank may stand behind whole seconds
    return graph.add("StringConcat", piece(graph, cut, 0), graph.add("Where", has_none, word(graph, ""), pointed))


def _counted(graph: Graph, text: str, order: Order) -> str:
    """The counterpart of `dates._read_counted`."""
    value = number_of(graph, text)
    if order is Order.SECONDS:
        return graph.add("Div", value, graph.number(DAY_S))
    if order is Order.MILLISECONDS:
        return graph.add("Div", value, graph.number(DAY_S * 1000.0))
    year = _quotient(graph, value, 10_000)
    hundreds = _quotient(graph, value, 100)
    month = graph.add("Sub", hundreds, graph.add("Mul", year, graph.number(100)))
    day = graph.add("Sub", value, graph.add("Mul", hundreds, graph.number(100)))
    return _civil_days(graph, year, month, day)


def _named_month(graph: Graph, name: str) -> str:
    names = month_names()
    return graph.cast(
        graph.add(
            "LabelEncoder",
            name,
            domain="ai.onnx.ml",
            keys_strings=list(names),
            values_floats=list(names.values()),
            default_float=0.0,
        ),
        TensorProto.DOUBLE,
    )


def _full_years(graph: Graph, year: str, *, short: bool) -> str:
    """The counterpart of `dates.full_years`."""
    if not short:
        return year
    centuries = _quotient(graph, graph.add("Sub", graph.number(169), year), 100)
    hundreds = graph.add("Mul", centuries, graph.number(100))
    return graph.add("Add", graph.add("Add", year, graph.number(1900)), hundreds)


def _civil_days(graph: Graph, year: str, month: str, day: str) -> str:
    """The counterpart of `dates.civil_days`."""
    shifted = _quotient(graph, graph.add("Sub", graph.number(14), month), 12)
    y = graph.add("Sub", year, shifted)
    m = graph.add("Sub", graph.add("Add", month, graph.add("Mul", shifted, graph.number(12))), graph.number(3))
    leap = graph.add("Sub", _quotient(graph, y, 4), _quotient(graph, y, 100))
    leap = graph.add("Add", leap, _quotient(graph, y, 400))
    months = _quotient(graph, graph.add("Add", graph.add("Mul", m, graph.number(153)), graph.number(2)), 5)
    years = graph.add("Add", graph.add("Mul", y, graph.number(365)), leap)
    return graph.add("Sub", graph.add("Add", graph.add("Add", day, months), years), graph.number(719_469))


def _quotient(graph: Graph, value: str, divisor: float) -> str:
    return graph.add("Floor", graph.add("Div", value, graph.number(divisor)))


def _part(graph: Graph, cells: str) -> str:
    """A part of a time as a number; 0 where it is not there."""
    known = graph.add("RegexFullMatch", cells, pattern=padded(NUMBER))
    return number_of(graph, graph.add("Where", known, cells, word(graph, "0")))
