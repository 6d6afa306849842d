"""Rows that do not stand alone: in the order of time, or several of one customer. What follows for the split is
proposed, never done unasked.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl

from workers.core.columns import Column
from workers.core.findings import Finding
from workers.core.kinds import Kind, name_parts, names_an_id
from workers.core.names import typed
from workers.core.table import Table
from workers.core.target import Target

_LEAST_ROWS = 50
_LEAST_MOMENTS = _LEAST_GROUPS = 10
_SORTED_SHARE = 0.99
_SORTED_CHANGES = 0.05  # of the changes from one class to another that rows in no order would show
_EARLIEST, _LATEST = 0.6, 0.8  # the shares of the rows up to which those that train go, and from which those that test
_DRIFT_DEVIATIONS = 5.0
# A drift in rows that stand in no order: by how many deviations of the target, over how many stretches of time, and how
# much of the way between them may go back, as a season does.
_CLEAR_DRIFT, _STRETCHES, _MOST_BACK = 0.8, 5, 0.25
_RUNS_PER_GROUP = 1.1  # rows of a group that stand one below the other, but for a few
_GROUP_SHARE = 0.05  # of the target's variance that the other rows of a group explain
_GROUP_NAMES = frozenset(
    ("customer", "client", "user", "patient", "subject", "person", "member", "household", "session", "account",
     "student", "driver", "device", "machine", "employee", "speaker")
)  # fmt: skip
_BIRTH_NAMES = frozenset(
    ("birth", "birthday", "birthdate", "born", "dob", "bday", "geburt", "geburtsdatum", "geburtstag", "naissance",
     "nacimiento")
)  # fmt: skip


def time_finding(name: str, days: np.ndarray, target: Target) -> list[Finding]:
    """Whether the rows are in the order of the dates of a column, [rows], or the target drifts along them clearly.

    Nothing where its order parts the classes of the target: later rows of one class test nothing.
    """
    known = np.isfinite(days) & target.usable
    order = _order(days[known])
    if not _holds_classes(days[known], target, known):
        return []
    if not order:
        return _drift_along(name, days[known], target, known)
    return [_in_order(name, order, *_drift(days[known], target, known))]


def drift_finding(name: str, values: np.ndarray, target: Target) -> list[Finding]:
    """Whether the rows are in the order of a number, [rows], and the target drifts along it, as along years or steps.

    Nothing where the target is sorted itself: then the file was sorted by it.
    """
    known = np.isfinite(values) & target.usable
    order = _order(values[known])
    if not order or _is_sorted(target, known) or not _holds_classes(values[known], target, known):
        return []
    drift, facts = _drift(values[known], target, known)
    return [_in_order(name, order, drift, facts)] if drift else []


def group_findings(table: Table, columns: Sequence[Column], target: Target) -> list[Finding]:
    """Columns that name whom a row belongs to, where rows of the same one have similar targets."""
    found = []
    for column in columns:
        sizes = target.usable.sum() / max(1, column.distinct)
        named = names_an_id(column.name) or bool(_GROUP_NAMES & set(name_parts(column.name)))
        if (
            not (named or _in_blocks(table, column))
            or column.kind is Kind.DATE
            or column.distinct < _LEAST_GROUPS
            or sizes < 2
        ):
            continue
        share = _explained(table.column(column.name), target)
        if share < _GROUP_SHARE:
            continue
        sentence = (
            f"Rows with the same `{column.name}` have similar `{target.name}` (the others of a group explain "
            f"{share:.0%} of its variance): to be tested on new ones, say {typed('group', column.name)}."
        )
        found.append(Finding("group_rows", sentence, column.name, {"variance_share": round(share, 4)}))
    return found


def clearest_drift(found: Sequence[Finding]) -> list[Finding]:
    """The findings of several columns without the drifts that another one tells better: one split by time is enough."""
    drifts = [finding for finding in found if finding.code == "time_drift"]
    others = [finding for finding in found if finding.code != "time_drift"]
    if not drifts or any(finding.code == "time_order" for finding in others):
        return others
    return [*others, max(drifts, key=lambda finding: finding.facts["deviations"])]


def _drift_along(name: str, days: np.ndarray, target: Target, known: np.ndarray) -> list[Finding]:
    """Whether the target drifts along the dates [n] of rows that stand in no order: in one direction, and far."""
    moments = np.unique(days)
    if len(days) < _LEAST_ROWS or len(moments) < _LEAST_MOMENTS or _BIRTH_NAMES & set(name_parts(name)):
        return []
    drift, facts = _drift(days, target, known, along=" along it")
    if not drift:
        return []
    y = target.values[known].astype(np.float64)[np.argsort(days, kind="stable")]
    means = np.array([stretch.mean() for stretch in np.array_split(y, _STRETCHES)])
    steps, way = np.diff(means), float(means[-1] - means[0])
    cut = int(len(y) * _LATEST)
    within = (y[:cut].var() * cut + y[cut:].var() * (len(y) - cut)) / len(y)
    deviations = abs(facts["late_mean"] - facts["early_mean"]) / float(np.sqrt(within))
    if deviations < _CLEAR_DRIFT or np.abs(steps[steps * way < 0]).sum() > _MOST_BACK * abs(way):
        return []
    sentence = (
        f"The rows are not in the order of `{name}`{drift}: if it says when a "
        f"row came about, a model that is to predict later rows is tested honestly on the latest; say "
        f"{typed('time', name)}. If it is another date, one of birth say, leave it so."
    )
    return [Finding("time_drift", sentence, name, {**facts, "deviations": round(deviations, 2)})]


def _in_order(name: str, order: str, drift: str, facts: dict[str, float]) -> Finding:
    sentence = (
        f"The rows are in the order of `{name}`{drift}: a model that is to predict later rows is tested "
        f"honestly on the latest; say {typed('time', name)}."
    )
    return Finding("time_order", sentence, name, {"order": order, **facts})


def _order(values: np.ndarray) -> str:
    """`ascending` or `descending` where nearly all values [n] stand so, '' where they do not, or are too few."""
    steps = np.diff(values)
    if len(values) < _LEAST_ROWS or np.sum(steps != 0) < _LEAST_MOMENTS:
        return ""
    if np.mean(steps >= 0) >= _SORTED_SHARE:
        return "ascending"
    return "descending" if np.mean(steps <= 0) >= _SORTED_SHARE else ""


def _is_sorted(target: Target, known: np.ndarray) -> bool:
    """Whether the file was sorted by its target: numbers ascend or descend, the rows of a class stand together."""
    y = target.values[known]
    if not target.classes:
        return bool(_order(y))
    shares = np.bincount(y, minlength=len(target.classes)) / max(1, len(y))
    by_chance = len(y) * (1.0 - float(np.square(shares).sum()))
    return int(np.sum(np.diff(y) != 0)) <= max(len(target.classes) - 1, _SORTED_CHANGES * by_chance)


def _holds_classes(days: np.ndarray, target: Target, known: np.ndarray) -> bool:
    """Whether the earliest and the latest rows, which would train and test, hold at least two classes, if there are."""
    if not target.classes:
        return True
    y = target.values[known][np.argsort(days, kind="stable")]
    parts = y[: int(len(y) * _EARLIEST)], y[int(len(y) * _LATEST) :]
    return all(len(np.unique(part)) > 1 for part in parts)


def _in_blocks(table: Table, column: Column) -> bool:
    """Whether the rows with the same word stand one below the other, as those of one site or one batch do."""
    if column.kind is not Kind.CATEGORY or not _LEAST_GROUPS <= column.distinct <= table.height / 2:
        return False
    cells = table.column(column.name)
    return int((cells != cells.shift(1)).sum()) + 1 <= _RUNS_PER_GROUP * column.distinct


def _drift(days: np.ndarray, target: Target, known: np.ndarray, along: str = "") -> tuple[str, dict[str, float]]:
    """Whether the target of the latest fifth differs from the rest, in words; for numbers and two classes."""
    if len(target.classes) > 2:
        return "", {}
    y = target.values[known].astype(np.float64)[np.argsort(days, kind="stable")]
    cut = int(len(y) * _LATEST)
    early, late = y[:cut], y[cut:]
    error = np.sqrt(early.var() / len(early) + late.var() / len(late))
    facts = {"early_mean": float(early.mean()), "late_mean": float(late.mean())}
    if not error or abs(late.mean() - early.mean()) < _DRIFT_DEVIATIONS * error:
        return "", facts
    what = f"the share of `{target.classes[1]}`" if target.classes else f"the mean of `{target.name}`"
    return f", and {what} drifts{along} ({early.mean():.3g} at first, {late.mean():.3g} in the latest fifth)", facts


def _explained(cells: pl.Series, target: Target) -> float:
    """The share of the target's variance that the mean of the other rows of a row's group explains."""
    rows = target.usable & (cells != "").to_numpy()
    if rows.sum() < _LEAST_ROWS:
        return 0.0
    groups = cells.filter(pl.Series(rows)).rank("dense").to_numpy().astype(np.int64) - 1
    values, counts = target.values[rows], np.bincount(groups).astype(np.float64)
    best = 0.0
    for k in range(min(len(target.classes), 10)) if target.classes else [None]:
        y = values if k is None else (values == k).astype(np.float64)
        y = y - y.mean()
        sums = np.bincount(groups, weights=y)
        # Drawn towards the mean of all by one row, so that small groups do not speak too loud.
        guess = (sums[groups] - y) / counts[groups]
        total = float((y**2).sum())
        best = max(best, 1.0 - float(((y - guess) ** 2).sum()) / total) if total else best
    return best
