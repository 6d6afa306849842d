"""Numbers that stand for a missing value: -999 among temperatures, 999 among ages.

As numbers they move the mean and the deviation of their column so far that the others look alike to a linear model or a
network.
"""

from collections.abc import Sequence

import numpy as np

from workers.core.columns import Kind
from workers.core.encode import Cells, Feature, number_features
from workers.core.findings import Finding
from workers.core.target import Target

_LEAST_ROWS = 3
_LEAST_NINES = 2


def sentinel_findings(cells: Cells, features: Sequence[Feature], target: Target) -> list[Finding]:
    """A finding for each number, the target among them, whose lowest or highest value looks like none."""
    found = list[Finding]()
    for feature, values in zip(number_features(features), cells.numbers, strict=True):
        if feature.kind is Kind.NUMBER and feature.date is None:
            found += _found(feature.name, values[np.isfinite(values)].astype(np.float64))
    if not target.classes:
        found += _found(target.name, target.values[target.usable])
    return found


def _found(name: str, values: np.ndarray) -> list[Finding]:
    """The findings of one column's known values [n]."""
    found = list[Finding]()
    while len(values):
        ends = [end for end in (float(values.min()), float(values.max())) if _is_nines(end)]
        code = next((end for end in ends if _stands_apart(end, values)), None)
        if code is None:
            return found
        count, values = int((values == code).sum()), values[values != code]
        sentence = (
            f"`{name}`: {count} cells are {code:.0f}, far from the others ({values.min():.6g} to {values.max():.6g}). "
            "If that stands for a missing value, leave those cells empty; as a number it can mislead a model."
        )
        found.append(Finding("sentinel", sentence, name, {"value": code, "rows": count}))
    return found


def _is_nines(value: float) -> bool:
    """Whether it is a whole number written with nothing but nines, two or more."""
    digits = f"{abs(value):.0f}"
    return value % 1.0 == 0 and len(digits) >= _LEAST_NINES and set(digits) == {"9"}


def _stands_apart(end: float, values: np.ndarray) -> bool:
    """Whether several rows have this lowest or highest value, and it is further from the others than they are from
    each other.
    """
    others = values[values != end]
    if len(values) - len(others) < _LEAST_ROWS or len(np.unique(others)) < _LEAST_ROWS:
        return False
    low, high = others.min(), others.max()
    return bool(max(low - end, end - high) > high - low)
