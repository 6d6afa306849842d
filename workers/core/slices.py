"""Where a model does worse than elsewhere: rows of one value of a category, or of one quarter of a number.

Every slice with enough rows is tested against all other rows, one-sided: by Fisher's exact test (1922) where rows are
right or wrong, by the ranks of the absolute errors (Mann & Whitney 1947) for numbers. Only those are told that are
worse beyond chance after Holm's correction (1979) for all slices that were looked at, so that the chance of telling any
that is not worse is at most 5 %.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
from scipy.stats import hypergeom, mannwhitneyu

from shared.specs import Task
from workers.core.intervals import wilson
from workers.core.kinds import Kind
from workers.core.paired import holm
from workers.core.profile import as_numbers, as_words, readings

LEAST_ROWS = 20
"""Of a slice, and of the rows outside it."""
LEVEL = 0.05
_MOST_WORDS = 20
_QUARTERS = (0.25, 0.5, 0.75)
_SHOWN = 10
_Z = 1.959964


def worst_slices(
    frame: pl.DataFrame, columns: Sequence[dict[str, Any]], task: Task, actual: np.ndarray, outputs: np.ndarray
) -> dict[str, Any]:
    """The key `slices` of a report.

    `frame` [rows] of strings and `columns` of the training report; `actual` and `outputs` as for `metrics.score`. The
    `metric` is accuracy, or the mean absolute error in the unit of the target; `whole` its value over all rows;
    `difference` that of the slice less the whole, with its 95 % interval: Newcombe's (1998, method 10) of two shares,
    or Welch's of two means.
    """
    is_numbers = task is Task.REGRESSION
    good = np.abs(outputs.astype(np.float64) - actual) if is_numbers else (outputs.argmax(axis=1) == actual) * 1.0
    found, p_values = list[dict[str, Any]](), list[float | None]()
    for told, inside in _slices(frame, columns):
        if min(inside.sum(), (~inside).sum()) < LEAST_ROWS:
            continue
        p_values.append(_errors_p(good[inside], good[~inside]) if is_numbers else _shares_p(good, inside))
        value, interval = _difference(good, inside, is_numbers=is_numbers)
        found.append(
            {
                **told,
                "rows": int(inside.sum()),
                "value": float(good[inside].mean()),
                "difference": value,
                "interval": interval,
            }
        )
    for one, p in zip(found, holm(p_values), strict=True):
        one["p_corrected"] = p
    sign = 1 if is_numbers else -1
    worse = [one for one in found if one["p_corrected"] < LEVEL and sign * one["difference"] > 0]
    worse.sort(key=lambda one: -sign * one["difference"])
    return {
        "metric": "mae" if is_numbers else "accuracy",
        "whole": float(good.mean()) if len(good) else None,
        "looked_at": len(found),
        "least_rows": LEAST_ROWS,
        "correction": "Holm",
        "worst": worse[:_SHOWN],
        "worse": len(worse),
    }


def slices_sentence(slices: dict[str, Any]) -> str:
    """How many slices are worse; '' where none was looked at."""
    looked_at, worse = slices["looked_at"], slices["worse"]
    if not looked_at:
        return ""
    if not worse:
        return f"None of {looked_at} slices is worse than the other rows beyond chance (corrected for their number)."
    first = slices["worst"][0]
    verb = "is" if worse == 1 else "are"
    return (
        f"{worse} of {looked_at} slices {verb} worse than the other rows beyond chance (corrected for their number); "
        f"the worst: {first['slice']}."
    )


def _slices(frame: pl.DataFrame, columns: Sequence[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], np.ndarray]]:
    """What a slice is, and [rows] bool: the rows in it."""
    for name, (kind, style, date) in readings(columns).items():
        if kind in {Kind.NUMBER, Kind.DATE}:
            values = as_numbers(frame[name], style=style, date=date)
            yield from _quarters(name, values, is_date=date is not None and kind is Kind.DATE)
            missing = ~np.isfinite(values)
        elif kind in {Kind.CATEGORY, Kind.BOOLEAN}:
            words = as_words(frame, name, kind)
            missing = words.is_null().to_numpy()
            counts = words.drop_nulls().value_counts(sort=True).rows()
            for word, _ in sorted(counts, key=lambda one: (-one[1], one[0]))[:_MOST_WORDS]:
                inside = (words == word).fill_null(value=False).to_numpy()
                yield {"column": name, "slice": f"`{name}` is `{word}`"}, inside
        else:
            continue
        if missing.any():
            yield {"column": name, "slice": f"`{name}` is missing"}, missing


def _quarters(name: str, values: np.ndarray, *, is_date: bool) -> Iterator[tuple[dict[str, Any], np.ndarray]]:
    known = values[np.isfinite(values)]
    if not len(known):
        return
    edges = np.unique(np.quantile(known, _QUARTERS, method="inverted_cdf"))
    ends = [-np.inf, *edges[edges < known.max()], np.inf]
    for low, high in pairwise(ends):
        above, to = (_shown(end, is_date=is_date) for end in (low, high))
        parts = [f"above {above}" if np.isfinite(low) else "", f"at most {to}" if np.isfinite(high) else ""]
        words = " and ".join(part for part in parts if part)
        if words:
            yield {"column": name, "slice": f"`{name}` is {words}"}, (values > low) & (values <= high)


def _shown(value: float, *, is_date: bool) -> str:
    if is_date and np.isfinite(value) and abs(value) < 1e6:
        return str(np.datetime64(int(np.floor(value)), "D"))
    return f"{value:.6g}"


def _shares_p(right: np.ndarray, inside: np.ndarray) -> float:
    """That so few of the slice are right, were it drawn from all rows at random."""
    hits, rows = int(right.sum()), len(right)
    return float(hypergeom.cdf(int(right[inside].sum()), rows, hits, int(inside.sum())))


def _errors_p(inside: np.ndarray, outside: np.ndarray) -> float:
    return float(mannwhitneyu(inside, outside, alternative="greater", method="asymptotic").pvalue)


def _difference(good: np.ndarray, inside: np.ndarray, *, is_numbers: bool) -> tuple[float, list[float]]:
    """Of the slice less the whole: the share of the rows outside it times the difference of both."""
    within, without = good[inside], good[~inside]
    outer = float((~inside).mean())
    value = float(within.mean() - without.mean())
    if is_numbers:
        half = _Z * float(np.sqrt(within.var(ddof=1) / len(within) + without.var(ddof=1) / len(without)))
        low, high = value - half, value + half
    else:
        (a, b), (c, d) = (wilson(float(part.sum()), len(part)) for part in (within, without))
        one, other = float(within.mean()), float(without.mean())
        low = value - float(np.hypot(one - a, d - other))
        high = value + float(np.hypot(b - one, other - c))
    return value * outer, [low * outer, high * outer]
