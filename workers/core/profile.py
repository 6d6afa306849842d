"""What the rows looked like that a model learnt from, kept small: by it later data is told apart from them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from workers.core.columns import trimmed
from workers.core.dataset import Dataset
from workers.core.dates import DateFormat, read_dates
from workers.core.equal_cells import date_from_plain
from workers.core.kinds import Kind
from workers.core.numbers import NumberStyle, read_numbers
from workers.core.split import TRAIN, VALIDATION
from workers.core.words import FALSE_WORDS, MISSING_WORDS, TRUE_WORDS

PROFILE = "profile.json"
MOST_ROWS = 100_000
"""Of more rows, so many are looked at, evenly spaced."""
MOST_WORDS = 1_000
"""A column with more different words tells of the most frequent ones only."""
_POINTS = 129  # of the distribution of a number
_MOST_VALUES = 64  # a number with no more different values is counted value by value
_MOST_COLUMNS = 2_000


def write_profile(out: Path, dataset: Dataset) -> None:
    """Write `profile.json`: for each feature the distribution of the rows that train or validate.

    A number or date: its `values` and their `counts`, or its quantiles at evenly spaced shares (`points`); a date as
    days since 1970. Words: each with its count; `is_whole` says whether these are all. `missing` counts cells that are
    missing or unreadable. `rows` were looked at, of 100,000 at most.
    """
    learnt = np.flatnonzero((dataset.parts == TRAIN) | (dataset.parts == VALIDATION))
    learnt = learnt[:: max(1, -(-len(learnt) // MOST_ROWS))]
    columns = {}
    for feature in dataset.features[:_MOST_COLUMNS]:
        cells = dataset.table.take(learnt, [feature.name])
        columns[feature.name] = profile_of(cells, feature.name, feature.kind, style=feature.style, date=feature.date)
    text = json.dumps({"rows": len(learnt), "columns": columns}, ensure_ascii=False, allow_nan=False)
    (out / PROFILE).write_text(text, encoding="utf-8")


def read_profile(folder: Path) -> dict[str, Any] | None:
    """The profile of a model; None for one that was trained before there were any."""
    try:
        profile = json.loads((folder / PROFILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return profile if isinstance(profile, dict) and isinstance(profile.get("columns"), dict) else None


def profile_of(
    frame: pl.DataFrame, name: str, kind: Kind, *, style: NumberStyle, date: DateFormat | None
) -> dict[str, Any]:
    """The distribution of one column of strings."""
    if kind in {Kind.NUMBER, Kind.DATE}:
        return {"kind": kind.value, **_of_numbers(as_numbers(frame[name], style=style, date=date))}
    words = as_words(frame, name, kind)
    counts = words.drop_nulls().value_counts(sort=True).rows()
    counts.sort(key=lambda one: (-one[1], one[0]))
    return {
        "kind": kind.value,
        "missing": int(words.null_count()),
        "words": dict(counts[:MOST_WORDS]),
        "is_whole": len(counts) <= MOST_WORDS,
    }


def as_numbers(cells: pl.Series, *, style: NumberStyle, date: DateFormat | None) -> np.ndarray:
    """[rows] float64, NaN where a cell is missing or no such number or date."""
    values = read_dates(cells, date) if date is not None else read_numbers(cells, style)
    return np.where(np.isfinite(values), values, np.nan)


def as_words(frame: pl.DataFrame, name: str, kind: Kind) -> pl.Series:
    """[rows] String, null where a cell is missing; true and false by one word each, however they are written."""
    words = frame.select(trimmed(name)).to_series()
    words = words.set(words.is_in(MISSING_WORDS), None)
    if kind is Kind.BOOLEAN:
        lower = words.str.to_lowercase()
        words = lower.replace({**dict.fromkeys(TRUE_WORDS, "yes"), **dict.fromkeys(FALSE_WORDS, "no")})
        words = words.replace({"1": "yes", "0": "no", "1.0": "yes", "0.0": "no"})
    return words


def readings(columns: Sequence[dict[str, Any]]) -> dict[str, tuple[Kind, NumberStyle, DateFormat | None]]:
    """How a report says that the cells of each feature are read."""
    return {
        c["name"]: (
            Kind(c["kind"]),
            NumberStyle(**c.get("style", {})),
            date_from_plain(c["date"]) if "date" in c else None,
        )
        for c in columns
        if c["used"]
    }


def _of_numbers(values: np.ndarray) -> dict[str, Any]:
    known = values[np.isfinite(values)]
    missing = len(values) - len(known)
    different, counts = np.unique(known, return_counts=True)
    if len(different) <= _MOST_VALUES:
        return {"missing": missing, "values": different.tolist(), "counts": counts.tolist()}
    points = np.quantile(known, np.linspace(0, 1, _POINTS))
    return {"missing": missing, "points": points.tolist()}
