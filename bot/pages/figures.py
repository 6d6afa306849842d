"""What of a run's result is drawn: losses, calibration, classes or residuals, slices, and differences of runs. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bot.pages import charts
from bot.pages.charts import Chart, Series
from bot.pages.predictions import Matrix
from bot.tables import Table, interval_text, number_text

_LOSSES = ("train_loss", "validation_loss")
_MOST_MODELS = 6
_MOST_SLICES = 8
_WIDE = 30.0
"""A loss that falls to less than one in so many is drawn on a logarithmic axis."""

Curves = Mapping[str, Sequence[tuple[int, float]]]


@dataclass(frozen=True)
class Cell:
    """A cell of a matrix, with the share of its row, from 0 to 10, as its shade."""

    count: int
    shade: int


@dataclass(frozen=True)
class ShownMatrix:
    """A matrix of classes as a page shows it."""

    alt: str
    classes: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]


def loss_charts(curves: Curves, result: Mapping[str, Any]) -> list[Chart]:
    """A chart for each model with more than one point, those that were kept first."""
    models = list(dict.fromkeys(series.rpartition(".")[0] for series in curves))
    kept = {name for name, facts in (result.get("candidates") or {}).items() if facts.get("weight")}
    kept |= {str(result.get("model"))}
    models.sort(key=lambda model: model not in kept)
    made = [_loss_chart(model, curves) for model in models]
    return [chart for chart in made if chart is not None][:_MOST_MODELS]


def _loss_chart(model: str, curves: Curves) -> Chart | None:
    met = {name: curves.get(f"{model}.{name}", ()) for name in _LOSSES}
    series = [Series(name.replace("_", " "), points) for name, points in met.items() if points]
    if max((len(one.points) for one in series), default=0) < 2:
        return None
    values = [value for one in series for _, value in one.points]
    falls = min(values) > 0 and max(values) / min(values) > _WIDE
    first, last = series[-1].points[0], series[-1].points[-1]
    return charts.lines(
        f"Loss of {model}",
        series,
        x="epoch",
        y="loss (logarithmic)" if falls else "loss",
        logarithmic=falls,
        alt=f"Loss of {model} by epoch: the {series[-1].name} goes from {number_text(first[1])} in epoch {first[0]} "
        f"to {number_text(last[1])} in epoch {last[0]}.",
    )


def calibration_chart(result: Mapping[str, Any]) -> Chart | None:
    """How often what is said to be so is so."""
    found = result.get("calibration") or {}
    bins = [one for one in found.get("bins") or () if one.get("predicted") is not None]
    if len(bins) < 2:
        return None
    points = sorted((one["predicted"], one["observed"]) for one in bins)
    rows = tuple(
        (
            number_text(one["predicted"]),
            number_text(one["observed"]),
            interval_text(one.get("interval")),
            f"{one['count']:,}",
        )
        for one in bins
    )
    table = Table("Calibration", ("predicted", "observed", "95 % interval", "rows"), rows)
    alt = f"Observed share by predicted probability in {len(bins)} bins"
    if found.get("ece") is not None:
        alt += f"; the expected calibration error is {number_text(found['ece'])}"
    series = Series("observed", points)
    return charts.calibration(
        "Calibration", series, x="predicted probability", y="observed share", alt=f"{alt}.", table=table
    )


def matrix(found: Matrix) -> ShownMatrix:
    """Counts with their shades."""
    rows = tuple(
        (name, tuple(Cell(count, round(10 * count / (sum(counts) or 1))) for count in counts))
        for name, counts in zip(found.classes, found.counts, strict=True)
    )
    return ShownMatrix(f"{found.right:,} of {found.rows:,} test rows are predicted right.", found.classes, rows)


def residual_chart(rows: int, points: Sequence[charts.Point], target: str) -> Chart | None:
    """Predicted over true values."""
    if len(points) < 2:
        return None
    shown = "" if rows == len(points) else f", {len(points):,} of {rows:,} rows"
    return charts.points(
        f"Predicted and true{shown}",
        Series("rows", points),
        x="true value",
        y="predicted",
        alt=f"Predicted over true values of {target} on the test rows{shown}; on the diagonal both are the same.",
    )


def slices_chart(result: Mapping[str, Any]) -> Chart | None:
    """How much worse the worst slices are, by their place in the table."""
    found = result.get("slices") or {}
    worst = [one for one in found.get("worst") or () if one.get("difference") is not None][:_MOST_SLICES]
    if not worst:
        return None
    metric = str(found.get("metric", "score"))
    rows = [(str(place), one["difference"], one.get("interval")) for place, one in enumerate(worst, start=1)]
    chart = charts.intervals(
        f"Difference of {metric} of the worst slices",
        rows,
        y="difference",
        alt="; ".join(f"{place}: {one['slice'].replace('`', '')}" for place, one in enumerate(worst, start=1)) + ".",
        zero=True,
        x="slice",
    )
    names = tuple(f"{place}: {one['slice'].replace('`', '')}" for place, one in enumerate(worst, start=1))
    return Chart(chart.title, chart.alt, chart.svg, (), chart.table, notes=names)


def runs_chart(metric: str, reached: Sequence[charts.Reached]) -> Chart | None:
    """What each of several runs reached."""
    if len(reached) < 2:
        return None
    told = ", ".join(f"run {name} {number_text(value)}" for name, value, _ in reached)
    return charts.intervals(f"{metric} on the test rows", reached, x="run", y=metric, alt=f"{metric}: {told}.")
