"""What a run predicted on its test rows, from the CSV among its artifacts: a matrix of classes, or true and predicted.

Only small files are read, and each once: they are known by their hash, and what was counted of them is kept.
"""

import csv
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from bot.pages.charts import Point
from shared.log.runs import Artifact

FILES = ("test_predictions.csv", "predictions.csv")
MOST_BYTES = 2 * 1024**2
MOST_CLASSES = 12
_MOST_POINTS = 300


@dataclass(frozen=True)
class Matrix:
    """How often each class was predicted for each."""

    classes: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    """A row for each actual class, a column for each predicted one."""

    @property
    def right(self) -> int:
        """How many rows were predicted right."""
        return sum(row[index] for index, row in enumerate(self.counts))

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return sum(map(sum, self.counts))


def predictions_file(artifacts: Sequence[Artifact]) -> Artifact | None:
    """The artifact that holds a run's predictions and the truth; None for one without, or of many megabytes."""
    found = {artifact.name: artifact for artifact in artifacts if artifact.size_bytes <= MOST_BYTES}
    return next((found[name] for name in FILES if name in found), None)


@lru_cache(maxsize=64)
def matrix_of(path: Path) -> Matrix | None:
    """The matrix of a file of classes; None where there are too many of them, or no truth."""
    counts = Counter(pair for pair in _pairs(path) if all(pair))
    classes = sorted({name for pair in counts for name in pair}, key=_by_number)
    if not 2 <= len(classes) <= MOST_CLASSES:
        return None
    return Matrix(tuple(classes), tuple(tuple(counts[actual, said] for said in classes) for actual in classes))


@lru_cache(maxsize=64)
def cloud_of(path: Path) -> tuple[int, tuple[Point, ...]]:
    """How many rows a file of numbers has, and some of them evenly: the true value and the predicted one."""
    met = [(_number(actual), _number(said)) for actual, said in _pairs(path)]
    points = [(actual, said) for actual, said in met if math.isfinite(actual) and math.isfinite(said)]
    every = -(-len(points) // _MOST_POINTS) or 1
    return len(points), tuple(points[::every])


def _pairs(path: Path) -> list[tuple[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        try:
            return [(row.get("actual") or "", row.get("prediction") or "") for row in csv.DictReader(stream)]
        except csv.Error:  # a cell of more than 128 KB
            return []


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _by_number(name: str) -> tuple[float, str]:
    number = _number(name)
    return (math.inf if math.isnan(number) else number, name)
