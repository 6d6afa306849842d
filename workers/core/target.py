"""What is predicted: the target column, the task, the classes, and which rows can be learnt from."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from shared.errors import Problem, RunFailed, failed
from shared.specs import Task, TrainSpec
from workers.core.columns import MOSTLY, trimmed
from workers.core.words import MISSING_WORDS, NUMBER, whole

TARGET_NAMES = ("target", "label", "y", "class")
LEAST_ROWS = 20
MOST_INTEGER_CLASSES = 20
LEAST_CLASS_ROWS = 3


@dataclass(frozen=True)
class Target:
    """The target of a table, row by row."""

    name: str
    task: Task
    classes: tuple[str, ...]
    """The cells of the target, trimmed and sorted; empty for regression."""
    usable: np.ndarray
    """[rows] bool: rows that have a target."""
    values: np.ndarray
    """[rows] float64 for regression (NaN where not usable), int64 class numbers otherwise (-1 where not usable)."""
    inferred: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def find_target(names: Sequence[str], spec: TrainSpec) -> tuple[str, tuple[str, ...]]:
    """The name of the target and what was inferred about it. Checks `drop` too, so that all wrong names are told at
    once.

    Raises RunFailed: `target_unknown`, `drop_unknown`, `target_dropped`.
    """
    problems = [unknown_column("drop_unknown", "drop=", name, names) for name in spec.drop if name not in names]
    if spec.target is not None:
        name, inferred = spec.target, tuple[str, ...]()
        if name not in names:
            problems.insert(0, unknown_column("target_unknown", "target=", name, names))
    else:
        name, why = _likely_target(names)
        inferred = (f"Target: `{name}`, {why}; change it with target=COLUMN.",)
    if name in spec.drop and name in names:
        message = f"The target cannot be left out; drop= names `{name}`, which is the target."
        problems.append(
            Problem(code="target_dropped", message=message, hint="Take it out of drop=, or name another target=.")
        )
    if problems:
        raise RunFailed(*problems)
    return name, inferred


def understand_target(frame: pl.DataFrame, name: str, told: Task | None) -> Target:
    """The target's rows, task and classes.

    Raises RunFailed: `target_all_missing`, `target_one_class`, `target_not_numeric`, `too_many_classes`,
    `task_not_binary`, `too_few_rows`.
    """
    cells = frame.select(trimmed(name)).to_series()
    present = ~cells.is_in(MISSING_WORDS)
    if not present.any():
        raise failed(
            "target_all_missing",
            f"The target must be known in some rows; every one of the {len(cells)} cells of `{name}` is missing.",
            "Name another column with target=COLUMN.",
        )
    numeric = cells.str.contains(whole(NUMBER)) & present
    task, sentence = (told, "") if told is not None else _infer_task(name, cells, present, numeric)
    inferred = (sentence,) if sentence else ()
    if task is Task.REGRESSION:
        return _regression(name, cells, present, numeric, inferred)
    return _classification(name, cells, present, told, inferred)


def unknown_column(code: str, word: str, name: str, names: Sequence[str]) -> Problem:
    """The problem of a word that names no column, with the nearest name or all of them."""
    folded = {known.lower(): known for known in names}
    near = difflib.get_close_matches(name.lower(), folded, n=1, cutoff=0.5)
    if near:
        hint = f"Did you mean `{folded[near[0]]}`?"
    else:
        shown = ", ".join(f"`{known}`" for known in names[:20])
        hint = f"The columns are {shown}{' and more' if len(names) > 20 else ''}."
    return Problem(code=code, message=f"{word} must name columns of the file; `{name}` is none of them.", hint=hint)


def _likely_target(names: Sequence[str]) -> tuple[str, str]:
    for wanted in TARGET_NAMES:
        for name in names:
            if name.strip().lower() == wanted:
                return name, "by its name"
    return names[-1], "the last column"


def _infer_task(name: str, cells: pl.Series, present: pl.Series, numeric: pl.Series) -> tuple[Task, str]:
    total = int(present.sum())
    if int(numeric.sum()) >= MOSTLY * total:
        values = cells.filter(numeric).cast(pl.Float64)
        whole_numbers, distinct = bool((values == values.floor()).all()), values.n_unique()
        change = "change it with task=multiclass or task=binary"
        if not whole_numbers and distinct > 1:
            return Task.REGRESSION, f"Task: regression, because `{name}` holds numbers with fractions; {change}."
        if distinct > MOST_INTEGER_CLASSES:
            return (
                Task.REGRESSION,
                f"Task: regression, because `{name}` holds {distinct} different whole numbers; {change}.",
            )
    classes = cells.filter(present).n_unique()
    task = Task.BINARY if classes == 2 else Task.MULTICLASS
    numbers = bool((numeric | ~present).all())
    change = "change it with task=regression" if numbers else "change the target with target=COLUMN"
    return task, f"Task: {task.value}, because `{name}` has {classes} different values; {change}."


def _regression(
    name: str, cells: pl.Series, present: pl.Series, numeric: pl.Series, inferred: tuple[str, ...]
) -> Target:
    total, numbers = int(present.sum()), int(numeric.sum())
    if numbers < MOSTLY * total:
        example = cells.filter(present & ~numeric)[0]
        raise failed(
            "target_not_numeric",
            f"Regression needs numbers; in `{name}` only {numbers} of {total} cells are numbers, and "
            f"{example!r} is none.",
            "Leave task= out or use task=multiclass; name another column with target=COLUMN.",
        )
    _refuse_few_rows(name, numbers)
    values = cells.set(~numeric, None).cast(pl.Float64)
    if values.n_unique() - int(values.null_count() > 0) < 2:
        raise failed(
            "target_one_class",
            f"The target must vary; every cell of `{name}` is {cells.filter(numeric)[0]!r}.",
            "Name another column with target=COLUMN.",
        )
    warnings = _set_aside(name, cells.filter(~present))
    if total > numbers:
        warnings += (f"{total - numbers} rows were set aside: their `{name}` is no number.",)
    return Target(
        name, Task.REGRESSION, (), numeric.to_numpy(), values.fill_null(np.nan).to_numpy(), inferred, warnings
    )


def _classification(
    name: str, cells: pl.Series, present: pl.Series, told: Task | None, inferred: tuple[str, ...]
) -> Target:
    counts = dict(cells.filter(present).value_counts().rows())
    classes, total = _in_order(counts), int(present.sum())
    if len(classes) == 1:
        raise failed(
            "target_one_class",
            f"A target needs at least two classes; every cell of `{name}` is {classes[0]!r}.",
            "Name another column with target=COLUMN.",
        )
    if told is Task.BINARY and len(classes) != 2:
        raise failed(
            "task_not_binary",
            f"task=binary needs exactly two classes; `{name}` has {len(classes)}.",
            "Use task=multiclass, or leave task= out.",
        )
    _refuse_few_rows(name, total)
    rare = sum(1 for count in counts.values() if count < LEAST_CLASS_ROWS)
    if rare > len(classes) / 2:
        raise failed(
            "too_many_classes",
            f"A class needs at least {LEAST_CLASS_ROWS} rows; {rare} of the {len(classes)} classes of "
            f"`{name}` have fewer.",
            "Name another column with target=COLUMN, or merge rare classes; for a number use task=regression.",
        )
    task = Task.BINARY if len(classes) == 2 else Task.MULTICLASS
    numbers = {value: k for k, value in enumerate(classes)}
    values = np.array([numbers.get(cell, -1) for cell in cells], dtype=np.int64)
    usable = present.to_numpy()
    values[~usable] = -1
    warnings = _set_aside(name, cells.filter(~present))
    return Target(name, task, classes, usable, values, inferred, warnings)


def _in_order(values: dict[str, int]) -> tuple[str, ...]:
    """Sorted as numbers where all are, as words otherwise."""
    if pl.Series(list(values)).str.contains(whole(NUMBER)).all():
        return tuple(sorted(values, key=lambda value: (float(value), value)))
    return tuple(sorted(values))


def _refuse_few_rows(name: str, rows: int) -> None:
    if rows < LEAST_ROWS:
        raise failed(
            "too_few_rows",
            f"Training needs at least {LEAST_ROWS} rows with a target; this file has {rows} where `{name}` is known.",
            "Send more rows.",
        )


def _set_aside(name: str, missing: pl.Series) -> tuple[str, ...]:
    if missing.is_empty():
        return ()
    rows = "1 row was" if len(missing) == 1 else f"{len(missing)} rows were"
    # A word such as None may be a class to the person: they have to see that it was taken as a gap.
    words = sorted(set(missing) - {""})
    written = f" (written {', '.join(map(repr, words))})" if words else ""
    return (f"{rows} set aside: their target `{name}` is missing{written}.",)
