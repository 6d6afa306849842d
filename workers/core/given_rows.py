"""A table that is given to a trained model: its rows, what happened in them, and which the model has learnt from."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from shared.specs import Task
from workers.core.columns import trimmed
from workers.core.numbers import read_numbers
from workers.core.progress import Progress
from workers.core.stored import StoredModel
from workers.core.table import Table
from workers.core.target import spellings_of
from workers.core.words import MISSING_WORDS


@dataclass(frozen=True)
class GivenRows:
    """The rows of a file as one model reads them."""

    table: Table
    frame: pl.DataFrame
    """Strings, written as in the training file."""
    actual: np.ndarray | None
    """[rows] float64 class numbers or values, NaN where the row cannot be scored; None for a file without the
    target."""
    known: np.ndarray
    """[rows] bool: the model has learnt from them."""
    unscored: tuple[str, ...]
    """What a person should know of how the rows were read, and of those that cannot be scored."""
    left_out: tuple[str, ...]
    """The same of those that the model has learnt from."""

    @property
    def said(self) -> tuple[str, ...]:
        """Everything that a person should know."""
        return (*self.table.warnings, *self.unscored, *self.left_out)

    @property
    def scorable(self) -> np.ndarray:
        """[rows] bool: rows with a target that the model has not learnt from."""
        if self.actual is None:
            return np.zeros(self.frame.height, dtype=bool)
        scorable: np.ndarray = np.isfinite(self.actual) & ~self.known
        return scorable


def given_rows(stored: StoredModel, data: Path) -> GivenRows:
    """Read a file for a model. Raises RunFailed `columns_missing`, or as reading does."""
    table = stored.read(data, tolerate=False)
    frame, as_read = stored.as_trained(table)
    target = stored.model.target
    actual, unusable = _actual(stored, frame) if target in frame.columns else (None, [])
    known, left_out = _known_rows(stored, frame, has_target=actual is not None)
    return GivenRows(table, frame, actual, known, (*as_read, *unusable), tuple(left_out))


def outputs_of(stored: StoredModel, rows: pl.DataFrame, progress: Progress) -> tuple[np.ndarray, np.ndarray]:
    """What the model says of rows, as `Model.run`, and [rows] bool where that is finite: of a number beyond the range
    of float32 nothing can be said, and it must not spoil the scores of the others.
    """
    outputs = stored.model.run(rows, progress)
    finite = np.isfinite(outputs.reshape(len(outputs), -1)).all(axis=1) & ~stored.model.overflows(rows)
    return outputs, finite


def counted(count: int) -> str:
    """`1 row was` or `3 rows were`."""
    return "1 row was" if count == 1 else f"{count} rows were"


def _actual(stored: StoredModel, frame: pl.DataFrame) -> tuple[np.ndarray, list[str]]:
    """[rows] float64 class numbers or values, NaN where the row cannot be scored; and what a person should know of
    those.
    """
    target = stored.model.target
    cells = frame.select(trimmed(target)).to_series()
    missing = cells.is_in(MISSING_WORDS).to_numpy()
    if stored.model.task is Task.REGRESSION:
        actual = read_numbers(cells, stored.target_style)
        what = "is no number"
    else:
        numbers = {name: float(k) for k, name in enumerate(stored.model.classes)}
        known = spellings_of(stored.model.classes)
        actual = np.array([numbers.get(known.get(cell.lower(), cell), np.nan) for cell in cells])
        unseen = sorted(set(cells.filter(pl.Series(np.isnan(actual) & ~missing))))
        shown = ", ".join(f"`{value}`" for value in unseen[:5]) + (" and more" if len(unseen) > 5 else "")
        what = f"is no class that the model knows ({shown})"
    actual[missing] = np.nan
    sentences = []
    if missing.any():
        sentences.append(f"{counted(int(missing.sum()))} set aside: the target `{target}` is missing.")
    foreign = int((np.isnan(actual) & ~missing).sum())
    if foreign:
        sentences.append(f"{counted(foreign)} set aside: the target `{target}` {what}.")
    return actual, sentences


def _known_rows(stored: StoredModel, frame: pl.DataFrame, *, has_target: bool) -> tuple[np.ndarray, list[str]]:
    """[rows] bool: rows that the model has learnt from; and what a person should know of those."""
    hashes = stored.row_hashes(frame)
    if hashes is None:
        return np.zeros(frame.height, dtype=bool), [
            "Columns of the training file are missing here, so rows that the model has learnt from "
            "cannot be told apart."
        ]
    learnt = stored.learnt_hashes()
    if stored.counts_equal_rows and not learnt.issubset(hashes):
        # Any table of these few combinations has rows like the learnt ones; only the training file has all of them.
        return np.zeros(frame.height, dtype=bool), [
            "The model learnt from few different rows, and new ones equal them: every row of this file counts."
        ]
    known = np.array([row_hash in learnt for row_hash in hashes], dtype=bool)
    if not known.any() or not has_target:
        return known, []
    return known, [f"{counted(int(known.sum()))} left out: the model was trained or chosen with the same features."]
