"""Something about a table that a person should know before trusting a model of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from shared.specs import Task
from workers.core.columns import Column, Kind
from workers.core.kinds import quote
from workers.core.split import hash_numbers
from workers.core.target import Target

SHOWN_COLUMNS = 12
_RARE_SHARE = 0.05
_RARE_OF_MANY, _FEW_ROWS = 0.01, 10  # of several classes: a share, or rows
_MANY_COPIES_SHARE = 0.01
_MANY_CONTRADICTIONS_SHARE = 0.005
_HARDLY_VARIES = 0.995


@dataclass(frozen=True)
class Finding:
    """One thing that was found."""

    code: str
    sentence: str
    column: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)


def column_findings(columns: Sequence[Column], rows: int) -> list[Finding]:
    """What is to be said of single columns: those that are not used, and what was taken for missing or assumed."""
    unused = [c for c in columns if not c.used and not c.reason.startswith(("left out with", "it groups the rows"))]
    found = [
        Finding("column_unused", f"Not used: `{c.name}`, {c.kind.value}: {c.reason}.", c.name)
        for c in unused[:SHOWN_COLUMNS]
    ]
    if len(unused) > SHOWN_COLUMNS:
        more = len(unused) - SHOWN_COLUMNS
        found.append(Finding("column_unused", f"Not used: {more} columns more; the report names them."))
    for column in (c for c in columns if c.used):
        found += _cells_of(column, rows)
    return found


def class_findings(target: Target) -> list[Finding]:
    """Classes that may be one, and a class that is rare enough for accuracy to mislead."""
    found = _alike(target)
    if target.task is Task.MULTICLASS:
        return [*found, *_rare(target)]
    if target.task is not Task.BINARY:
        return found
    counts = np.bincount(target.values[target.usable], minlength=2)
    rare, share = int(counts.argmin()), counts.min() / counts.sum()
    if share >= _RARE_SHARE:
        return found
    sentence = (
        f"`{target.classes[rare]}` is the class of {counts.min()} of {counts.sum()} rows: always saying "
        f"`{target.classes[1 - rare]}` is right in {1 - share:.1%}, so do not look at accuracy alone."
    )
    return [*found, Finding("imbalance", sentence, target.name, {"rows": int(counts.min()), "share": float(share)})]


def copy_findings(hashes: pl.Series, target: Target, *, kept_together: bool) -> list[Finding]:
    """Rows whose features equal another row's, and those of them that contradict it. `kept_together`: the split keeps
    equal rows on one side.
    """
    usable, found = np.flatnonzero(target.usable), list[Finding]()
    _, groups, sizes = np.unique(hash_numbers(hashes)[usable], return_inverse=True, return_counts=True)
    total, copies, twins = len(usable), len(usable) - len(sizes), sizes[groups] > 1
    if copies > _MANY_COPIES_SHARE * total:
        rows = int(twins.sum())
        sentence = f"{rows} of {total} rows equal another row in every feature, {copies} of them surplus copies"
        sentence += "; equal rows are kept on one side of the split." if kept_together else "."
        found.append(Finding("copies", sentence, None, {"rows": rows, "surplus": copies}))
    copied = pl.DataFrame({"group": groups[twins], "y": target.values[usable[twins]]})
    torn = copied.filter(pl.col("y").n_unique().over("group") > 1)
    count = torn.height
    if target.classes:
        right = torn.group_by("group", "y").len().group_by("group").agg(pl.col("len").max())["len"].sum()
        share = (count - int(right)) / total
        limit = f"no model of these features can be right in more than {1 - share:.1%} of all rows"
    else:
        y = target.values[usable]
        inner = torn.select(((pl.col("y") - pl.col("y").mean().over("group")) ** 2).sum()).item()
        with np.errstate(over="ignore", invalid="ignore"):  # squares of what a target may hold are beyond all range
            share = float(inner / np.square(y - y.mean()).sum())
        limit = f"no model of these features can explain more than {1 - share:.1%} of its variance"
    if share >= _MANY_CONTRADICTIONS_SHARE:
        sentence = f"{count} rows have equal features but different `{target.name}`: {limit}."
        found.append(Finding("contradictions", sentence, target.name, {"rows": count, "least_error": share}))
    return found


def _rare(target: Target) -> list[Finding]:
    """A finding where classes have too few rows to be learnt or judged."""
    counts = np.bincount(target.values[target.usable], minlength=len(target.classes))
    rare = np.flatnonzero((counts < _FEW_ROWS) | (counts < _RARE_OF_MANY * counts.sum()))
    if not len(rare):
        return []
    rare = rare[np.argsort(counts[rare], kind="stable")]
    shown = ", ".join(f"`{target.classes[k]}` ({counts[k]})" for k in rare[:5].tolist())
    more = " and more" if len(rare) > 5 else ""
    sentence = (
        f"{len(rare)} of {len(target.classes)} classes of `{target.name}` {'has' if len(rare) == 1 else 'have'} few of "
        f"the {counts.sum()} rows: {shown}{more}. Scores of so few rows say little, and accuracy hides them."
    )
    facts = {"rows": int(counts[rare[0]]), "share": float(counts[rare[0]] / counts.sum()), "classes": len(rare)}
    return [Finding("imbalance", sentence, target.name, facts)]


def _alike(target: Target) -> list[Finding]:
    """A finding where classes differ only in capitals and blanks."""
    spelled = dict[str, list[str]]()
    for name in target.classes:
        spelled.setdefault("".join(name.casefold().split()), []).append(name)
    alike = [names for names in spelled.values() if len(names) > 1]
    if not alike:
        return []
    shown = ", ".join(map(quote, alike[0])) + (f", and {len(alike) - 1} more such" if len(alike) > 1 else "")
    sentence = (
        f"Classes of `{target.name}` differ only in capitals or blanks: {shown}. Write them alike if they are one."
    )
    return [Finding("classes_alike", sentence, target.name, {"classes": alike[0]})]


def _cells_of(column: Column, rows: int) -> list[Finding]:
    found = []
    if column.others:
        what = "date" if column.kind is Kind.DATE else "number" if column.date is None else "time"
        cells = "1 cell is" if column.others == 1 else f"{column.others} of {rows - column.missing} cells are"
        row, cell = column.first_other or (0, "")
        sentence = (
            f"`{column.name}`: {cells} no {what} and {'counts' if column.others == 1 else 'count'} as missing, "
            f"first in row {row}: {quote(cell)}."
        )
        facts = {"cells": column.others, "first_row": row, "first_cell": cell}
        found.append(Finding("cells_unreadable", sentence, column.name, facts))
    if column.numbers:
        row, cell = column.first_other or (0, "")
        sentence = (
            f"`{column.name}`: {column.numbers} of {rows - column.missing} cells are numbers, too few to read it as "
            f"numbers; the first that is none is in row {row}: {quote(cell)}. Check that its cells stand in the right "
            "column."
        )
        found.append(Finding("numbers_among_words", sentence, column.name, {"numbers": column.numbers}))
    if column.doubt:
        found.append(Finding("format_assumed", f"`{column.name}`: {column.doubt}.", column.name))
    if column.most_common > _HARDLY_VARIES * rows:
        sentence = (
            f"`{column.name}` has the same value in {column.most_common} of {rows} rows; it is used all the same."
        )
        found.append(Finding("hardly_varies", sentence, column.name, {"rows": column.most_common}))
    if column.reason.startswith("looks like an identifier"):
        found.append(Finding("identifier_used", f"`{column.name}` {column.reason}; it is used.", column.name))
    return found
