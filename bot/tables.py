"""The tables of a card, and numbers as people read them. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Table:
    """Numbers side by side; every row is as long as the header."""

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


_METRIC_ORDER = ("accuracy", "precision", "recall", "f1", "roc_auc", "log_loss", "r2", "rmse", "mse", "mae")

_MOST_ROWS = 12
_MOST_BESIDE = 5
"""As many runs stand beside each other in a comparison; more of them below each other."""
_SIZES = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


def result_tables(kind: str, result: dict[str, Any]) -> tuple[Table, ...]:
    """What a run found out, the most important first; a part that the result lacks has no table."""
    if kind == "compare" and result.get("runs"):
        return (_comparison_table(result),)
    tables = (_metrics_table(result), _candidates_table(result), _classes_table(result), _coefficients_table(result))
    return tuple(table for table in tables if table is not None)


def number_text(value: float | int | None) -> str:
    """A number for a person: four significant digits, a dash where there is none."""
    if value is None:
        return "–"
    if value == 0 or 0.1 <= abs(value) < 10:
        return f"{value:.4f}"
    if 10 <= abs(value) < 1e6:
        return f"{value:,.2f}"
    return f"{value:.4g}"


def spread_text(mean: float | int | None, sd: float | None) -> str:
    """A mean for a person, with the standard deviation where there is one, both as exact as each other."""
    told = number_text(mean)
    if mean is None or sd is None:
        return told
    digits = len(told.partition(".")[2]) if "e" not in told else None
    exact = f"{sd:,.{digits}f}" if digits is not None else f"{sd:.2g}"
    return f"{told} ± {exact if float(exact.replace(',', '')) or not sd else f'{sd:.1g}'}"


def interval_text(interval: Sequence[float] | None) -> str:
    """An interval for a person, as exact as its width deserves; a dash where there is none."""
    if interval is None:
        return "–"
    low, high = interval
    if not high > low or max(abs(low), abs(high)) >= 1e6:
        return f"{number_text(low)} to {number_text(high)}"
    digits = max(0, math.ceil(-math.log10((high - low) / 2)))
    if digits > 6:
        return f"{low:.4g} to {high:.4g}"
    digits = max(digits, 2 if abs(high) < 10 else 0)
    return f"{low:z,.{digits}f} to {high:z,.{digits}f}"


def duration_text(seconds: float) -> str:
    """A duration for a person."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def size_text(size_bytes: float) -> str:
    """A size for a person."""
    for unit, name in _SIZES:
        if size_bytes >= unit:
            return f"{size_bytes / unit:.3g} {name}"
    return f"{size_bytes:.0f} B"


def _metrics_table(result: dict[str, Any]) -> Table | None:
    metrics = result.get("metrics")
    if not metrics:
        return None
    parts = [part for part in ("test", "validation", "train", "baseline") if metrics.get(part)]
    names = _in_order({name for part in parts for name in metrics[part]})
    header: list[str] = ["metric", *parts]
    rows = [[name, *(number_text(metrics[part].get(name)) for part in parts)] for name in names]
    intervals, sds = ((result.get(name) or {}).get("test") for name in ("intervals", "sd"))
    if intervals and parts[0] == "test":
        header.insert(2, "95 % interval")
        for row in rows:
            row.insert(2, interval_text(intervals.get(row[0])))
    if sds and parts[0] == "test":
        header[1] = "test, mean ± sd"
        for row in rows:
            row[1] = spread_text(metrics["test"].get(row[0]), sds.get(row[0]))
    caption = "Metrics, means over the seeds" if sds else "Metrics"
    return Table(caption=caption, header=tuple(header), rows=tuple(map(tuple, rows)))


def _candidates_table(result: dict[str, Any]) -> Table | None:
    """What each candidate reached on the validation part, the best first; none where nothing was chosen from."""
    candidates, metric = result.get("candidates") or {}, str(result.get("headline", ""))
    if len(candidates) < 2:
        return None
    blended = sum(bool(facts.get("weight")) for facts in candidates.values()) > 1

    def reached(name: str) -> float | None:
        return (candidates[name].get("validation") or {}).get(metric)

    def used(name: str) -> str:
        weight = candidates[name].get("weight")
        if blended:
            return f"{weight:.0%} of the blend" if weight else "–"
        return "kept" if name == result.get("model") else "–"

    def seconds(name: str) -> str:
        value = candidates[name].get("seconds")
        return "–" if value is None else duration_text(value)

    # Every headline metric is better when it is higher.
    names = sorted(candidates, key=lambda name: -math.inf if (value := reached(name)) is None else value, reverse=True)
    return Table(
        caption="Candidates on the validation rows" + _of_seed(result),
        header=("model", "used", metric, "took"),
        rows=tuple((name, used(name), number_text(reached(name)), seconds(name)) for name in names),
    )


def _classes_table(result: dict[str, Any]) -> Table | None:
    """The scores of each class against the rest, the most frequent ones only where there are many."""
    found = result.get("per_class")
    if not found:
        return None
    shown = sorted(found, key=lambda one: -one["support"])[:_MOST_ROWS]
    total = max(len(result.get("classes") or ()), len(found))
    names = ("precision", "recall", "f1", "roc_auc")
    return Table(
        caption=_caption("Classes on the test rows" + _of_seed(result), len(shown), total, "the most frequent"),
        header=("class", "rows", *names),
        rows=tuple(
            (str(one["class"]), f"{one['support']:,}", *(number_text(one.get(name)) for name in names)) for one in shown
        ),
    )


def _coefficients_table(result: dict[str, Any]) -> Table | None:
    """The weights of a linear model in the units of the columns, the largest ones only where there are many."""
    found = result.get("coefficients")
    if not found:
        return None
    by_class = any("class" in one for one in found)
    intercept = result.get("intercept")
    room = _MOST_ROWS - (intercept is not None)
    shown = sorted(found, key=lambda one: -abs(one["weight"] or 0.0))[:room]
    rows = [_weight_row(one["feature"], one.get("class"), one["weight"], by_class=by_class) for one in shown]
    if intercept is not None:
        rows.append(_weight_row("(intercept)", None, intercept, by_class=by_class))
    return Table(
        caption=_caption("Weights in the columns' own units" + _of_seed(result), len(shown), len(found), "the largest"),
        header=("feature", "class", "weight") if by_class else ("feature", "weight"),
        rows=tuple(rows),
    )


def _weight_row(feature: str, class_name: str | None, weight: float | None, *, by_class: bool) -> tuple[str, ...]:
    return (feature, *((class_name or "–",) if by_class else ()), number_text(weight))


def _of_seed(result: dict[str, Any]) -> str:
    """Says that something is of one seed's model, where there are several."""
    kept = result.get("kept")
    return f", seed {kept['seed']}" if kept else ""


def _caption(text: str, shown: int, total: int, which: str) -> str:
    return text if shown == total else f"{text}: {which} {shown} of {total:,}"


def _comparison_table(result: dict[str, Any]) -> Table:
    names = _in_order({name for entry in result["runs"] for name in entry["metrics"]})
    costs = {"train_s": "trained in", "model_bytes": "file", "parameters": "parameters"}
    costs = {name: text for name, text in costs.items() if any(entry.get(name) is not None for entry in result["runs"])}
    rows_of = "rows of the dataset" if result.get("rows_of") == "dataset" else "test rows that they share"
    caption = f"On the {result['rows_shared']:,} {rows_of}"
    runs = [_compared(entry, best=result.get("best")) for entry in result["runs"]]
    scores = [[number_text(entry["metrics"].get(name)) for entry in result["runs"]] for name in names]
    spent = [[_cost(entry, name) for entry in result["runs"]] for name in costs]
    columns = [runs, *scores, *spent]
    header = ["run", *names, *costs.values()]
    if len(runs) > _MOST_BESIDE:
        return Table(caption=caption, header=tuple(header), rows=tuple(zip(*columns, strict=True)))
    # A few runs stand beside each other: their scores are too many to be columns.
    lines = [(name, *cells) for name, cells in zip(header, columns, strict=True)]
    return Table(caption=caption, header=lines[0], rows=tuple(lines[1:]))


def _compared(entry: dict[str, Any], *, best: int | None) -> str:
    """A compared run in a word or two."""
    model = str(entry.get("model") or "")
    return f"{entry['run']} {model}".rstrip() + _which_seed(entry) + (" (best)" if entry["run"] == best else "")


def _which_seed(entry: dict[str, Any]) -> str:
    told = entry.get("over_seeds")
    return f", seed {told['kept_seed']}" if told else ""


def _cost(entry: dict[str, Any], name: str) -> str:
    value = entry.get(name)
    if value is None:
        return "–"
    if name == "parameters":
        return f"{value:,}"
    return duration_text(value) if name == "train_s" else size_text(value)


def _in_order(names: set[str]) -> list[str]:
    return sorted(
        names, key=lambda name: (_METRIC_ORDER.index(name) if name in _METRIC_ORDER else len(_METRIC_ORDER), name)
    )
