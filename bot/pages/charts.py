"""Charts of a page: inline SVG that pygal draws, coloured by our own style sheet, with the numbers as a table.

pygal brings a style and a script along; both are taken out, so that a page holds neither.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree as Xml

import pygal
from markupsafe import Markup
from pygal.style import Style

from bot.pages.plain import plain
from bot.tables import Table, interval_text, number_text

WIDTH, HEIGHT = 360, 240
_FONT = 12
_MOST_LABELS = 6
_GUIDE = "guide"
_FEW = 30
"""So many points of a line are marked."""

Point = tuple[float, float]
Reached = tuple[str, float, Sequence[float] | None]
"""A name, a value, and the interval around it."""


@dataclass(frozen=True)
class Series:
    """A line or a cloud of points, in the order of x."""

    name: str
    points: Sequence[Point]


@dataclass(frozen=True)
class Chart:
    """A chart as a page shows it."""

    title: str
    alt: str
    """What it shows, for those who do not see it."""
    svg: Markup
    legend: tuple[str, ...]
    """The names of the series, in the order of their colours."""
    table: Table
    notes: tuple[str, ...] = ()
    """What its labels stand for."""


def lines(title: str, series: Sequence[Series], *, x: str, y: str, alt: str, logarithmic: bool = False) -> Chart:
    """Lines over x; with `logarithmic`, y is told by its powers of ten."""
    few = max(len(one.points) for one in series) <= _FEW
    chart = _xy(x, y, dots_size=3, show_dots=few)
    for one in series:
        chart.add(one.name, [(at, math.log10(value)) for at, value in one.points] if logarithmic else list(one.points))
    if logarithmic:
        chart.y_labels = _powers([value for one in series for _, value in one.points])
        chart.zero = chart.y_labels[0]["value"]
    return _made(chart, title, series, x=x, y=y, alt=alt)


def points(title: str, series: Series, *, x: str, y: str, alt: str) -> Chart:
    """A cloud of points over the diagonal on which x and y are the same."""
    chart = _xy(x, y, dots_size=2, stroke=False)
    chart.add(series.name, list(series.points))
    numbers = [number for point in series.points for number in point]
    _add_guide(chart, (min(numbers), min(numbers)), (max(numbers), max(numbers)))
    return _made(chart, title, [series], x=x, y=y, alt=alt)


def calibration(title: str, series: Series, *, x: str, y: str, alt: str, table: Table) -> Chart:
    """A line with dots over the diagonal, from 0 to 1."""
    chart = _xy(x, y, dots_size=4, range=(0, 1), xrange=(0, 1))
    chart.add(series.name, list(series.points))
    _add_guide(chart, (0.0, 0.0), (1.0, 1.0))
    return Chart(title, alt, _svg(chart, alt), (), table)


def intervals(title: str, rows: Sequence[Reached], *, x: str, y: str, alt: str, zero: bool = False) -> Chart:
    """A dot with its interval for each name, with a line at zero where that is asked for."""
    ends = [end for _, value, interval in rows for end in (value, *(interval or ()))] + [0.0] * zero
    room = 0.08 * (max(ends) - min(ends) or abs(max(ends)) or 1.0)
    last = len(rows) + 0.5
    chart = _xy(x, y, dots_size=4, stroke=False, range=(min(ends) - room, max(ends) + room), xrange=(0.5, last))
    chart.x_labels = [{"value": place, "label": name} for place, (name, _, _) in enumerate(rows, start=1)]
    chart.add("value", [(place, value) for place, (_, value, _) in enumerate(rows, start=1)])
    for place, (_, _, interval) in enumerate(rows, start=1):
        if interval is not None:
            chart.add("interval", [(place, end) for end in interval], stroke=True, show_dots=False)
    if zero:
        _add_guide(chart, (0.5, 0.0), (last, 0.0))
    table = Table(
        caption=title,
        header=(x, y, "95 % interval"),
        rows=tuple((name, number_text(value), interval_text(interval)) for name, value, interval in rows),
    )
    return Chart(title, alt, _svg(chart, alt, one_colour=True), (), table)


def _options() -> dict[str, Any]:
    return {
        "width": WIDTH,
        "height": HEIGHT,
        "show_legend": False,
        "js": [],
        "css": [],
        "disable_xml_declaration": True,
        "no_prefix": True,
        "margin": 4,
        "margin_right": 14,
        "max_scale": 6,
        "style": Style(label_font_size=_FONT, major_label_font_size=_FONT, title_font_size=_FONT),
        "value_formatter": _label,
        "x_value_formatter": _label,
    }


def _label(value: Any) -> str:
    """A number of an axis: as short as it can be."""
    return f"{value:.4g}" if isinstance(value, int | float) else str(value)


def _xy(x: str, y: str, **more: Any) -> Any:
    return pygal.XY(**_options(), x_title=x, y_title=y, **more)


def _add_guide(chart: Any, start: Point, end: Point) -> None:
    """A line to look along."""
    chart.add(_GUIDE, [start, end], stroke=True, show_dots=False)


def _powers(values: Sequence[float]) -> list[dict[str, Any]]:
    """The powers of ten around some values, few enough to be read."""
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    every = -(-(high - low) // _MOST_LABELS) or 1
    return [{"value": power, "label": f"{10.0**power:g}"} for power in range(low, high + 1, every)]


def _made(chart: Any, title: str, series: Sequence[Series], *, x: str, y: str, alt: str) -> Chart:
    _few_labels(chart, series)
    many = len(series) > 1
    rows = tuple(
        (*((one.name,) if many else ()), number_text(at), number_text(value))
        for one in series
        for at, value in one.points
    )
    table = Table(caption=title, header=(*(("series",) if many else ()), x, y), rows=rows)
    return Chart(title, alt, _svg(chart, alt), tuple(one.name for one in series) if many else (), table)


def _few_labels(chart: Any, series: Sequence[Series]) -> None:
    """Whole steps of x that do not stand on each other on a phone."""
    ends = [at for one in series for at, _ in one.points]
    if not ends or not all(float(at).is_integer() for at in ends):
        return
    low, high = min(ends), max(ends)
    step = next(
        size for power in range(12) for size in (10**power, 2 * 10**power, 5 * 10**power) if _fits(low, high, size)
    )
    first = int(low // step) * step
    labels = [at for at in range(int(first), int(high) + 1, step) if low <= at <= high]
    chart.x_labels = labels or [low]


def _fits(low: float, high: float, step: int) -> bool:
    return (high - low) / step <= _MOST_LABELS


def _svg(chart: Any, alt: str, *, one_colour: bool = False) -> Markup:
    """The drawing alone: without pygal's style, script and notes, named by a sentence."""
    guides = {f"serie-{place}" for place, series in enumerate(chart.raw_series) if series[1].get("title") == _GUIDE}
    root: Any = chart.render_tree()
    for parent in list(root.iter()):
        for child in [child for child in parent if _is_unwanted(child)]:
            parent.remove(child)
    for element in root.iter():
        for name in ("style", "id"):
            element.attrib.pop(name, None)
        classes = element.get("class", "").split()
        if guides & set(classes):
            element.set("class", "series aid")
        elif one_colour and "series" in classes:
            element.set("class", "series color-0")
    for title in root.findall("title"):
        root.remove(title)
    root.attrib.pop("xmlns", None)
    root.set("class", "chart")
    root.set("role", "img")
    root.set("aria-label", alt)
    return Markup(plain(Xml.tostring(root, encoding="unicode")))  # noqa: S704 - ElementTree has escaped every text


def _is_unwanted(element: Any) -> bool:
    if not isinstance(element.tag, str):  # a comment
        return True
    kind = element.tag.rpartition("}")[2]
    return kind in ("style", "script", "desc") or "tooltip-overlay" in element.get("class", "").split()
