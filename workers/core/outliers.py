"""Single cells so far beyond all others of their column that they alone decide: a slip of the hand, a lost point.

One cell thirty times as far out as any other of some hundred rows is all that the deviation of its column consists of:
scaled by it, the other cells look alike to a linear model or a network; and in a target, it is the whole of the error.
Heavy tails alone, as incomes have, hardly ever make such a gap.
"""

from collections.abc import Collection, Sequence

import numpy as np

from workers.core.columns import Kind
from workers.core.encode import Cells, Feature, number_features
from workers.core.findings import Finding
from workers.core.table import Table
from workers.core.target import Target

_LEAST_ROWS = 20
_MOST_CELLS, _MOST_SHARE = 5, 0.05
_DECIDES = 0.99  # of the sum of the squared distances from the median
# How many times as far out as the furthest of the others; the second where half of the cells or more are equal, for
# there the few others may be anything.
_GAP, _GAP_OF_FEW = 30.0, 1e4


def outlier_findings(
    table: Table, cells: Cells, features: Sequence[Feature], target: Target, *, told: Collection[str | None] = ()
) -> list[Finding]:
    """A finding for each number, the target among them, a few cells of which alone decide; none for columns in `told`,
    of which something like it was said.
    """
    found, usable = list[Finding](), np.flatnonzero(target.usable)
    for feature, values in zip(number_features(features), cells.numbers, strict=True):
        if feature.kind is Kind.NUMBER and feature.date is None and feature.name not in told:
            what = "a linear model or a network sees little else of the column; correct such cells, or leave them empty"
            found += _found(table, feature.name, values[usable].astype(np.float64), usable, what)
    if not target.classes and target.name not in told:
        what = "nothing else counts in what is learnt and how it scores; correct such cells, or take their rows out"
        found += _found(table, target.name, target.values[usable], usable, what)
    return found


def _found(table: Table, name: str, values: np.ndarray, rows: np.ndarray, what: str) -> list[Finding]:
    """The finding of one column's cells [n] in the `rows` [n] of the table."""
    known = np.isfinite(values)
    values, rows = values[known], rows[known]
    far = _far(values)
    if not len(far):
        return []
    others, numbers, cell = np.delete(values, far), table.file_rows(rows[far]).tolist(), float(values[far[0]])
    holds = f"row {numbers[0]} holds {cell:.6g}"
    if len(numbers) > 1:
        holds = f"rows {', '.join(map(str, numbers[:-1]))} and {numbers[-1]} hold {cell:.6g} and the like"
    sentence = f"`{name}`: {holds}, so far beyond the others ({others.min():.6g} to {others.max():.6g}) that {what}."
    return [Finding("outlier", sentence, name, {"rows": numbers, "value": cell})]


def _far(values: np.ndarray) -> np.ndarray:
    """The places, ascending, of the few of the values [n] that alone decide; none where there are no such."""
    most, none = min(_MOST_CELLS, int(_MOST_SHARE * len(values))), np.zeros(0, dtype=np.int64)
    if len(values) < _LEAST_ROWS:
        return none
    away = np.abs(values - np.median(values))
    if not 0.0 < away.max() < np.inf:
        return none
    away /= away.max()
    top = np.argpartition(-away, most)[: most + 1]
    top = top[np.argsort(-away[top], kind="stable")]
    # How many there are: the furthest place at which the distance falls off steeply.
    counts = [k for k in range(1, most + 1) if away[top[k]] > 0 and away[top[k - 1]] > _GAP * away[top[k]]]
    if not counts:
        return none
    far = np.sort(top[: counts[-1]])
    low, high = np.quantile(np.delete(values, far), (0.25, 0.75))
    gap = away[far].min() / np.delete(away, far).max()
    decides = np.square(away[far]).sum() > _DECIDES * np.square(away).sum()
    return far if decides and (high > low or gap > _GAP_OF_FEW) else none
