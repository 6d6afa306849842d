"""What is predicted: the target column, the task, the classes, and which rows can be learnt from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from shared.combinations import CLASS_LOSSES, REGRESSION_LOSSES
from shared.errors import Problem, RunFailed, failed
from shared.specs import LossName, TableSpec, Task
from workers.core.columns import as_table, first_stray
from workers.core.kinds import MOSTLY, Values, as_number, column_values, quote
from workers.core.names import unknown_column
from workers.core.number_ways import find_ways, said_of
from workers.core.numbers import PLAIN, NumberStyle, may_be_grouped, read_numbers
from workers.core.table import Table
from workers.core.words import BOOLEAN_PAIRS, FAR_NUMBER, MISSING_WORDS, NUMBER, SPACE, whole

TARGET_NAMES = ("target", "label", "y", "class")
LEAST_ROWS = 20
MOST_INTEGER_CLASSES = 20
LEAST_CLASS_ROWS = 3
FEWEST_STEPS = 100  # of float32, between the least and the largest number of a target


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
    style: NumberStyle = PLAIN
    """How the numbers of a regression are written; predictions are plain numbers."""
    inferred: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def find_target(names: Sequence[str], spec: TableSpec) -> tuple[str, tuple[str, ...]]:
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


def understand_target(
    table: Table | pl.DataFrame, name: str, told: Task | None, *, loss: LossName | None = None, comma: bool = False
) -> Target:
    """The target's rows, task and classes. `loss`: what training is to minimise, for it tells the task of numbers;
    `comma`: in doubt, a comma is a decimal comma.

    Raises RunFailed: `target_all_missing`, `target_one_class`, `target_not_numeric`, `target_out_of_range`,
    `too_many_classes`, `task_not_binary`, `too_few_rows`.
    """
    table = as_table(table)
    cells = table.column(name).str.strip_chars(SPACE)
    present = ~cells.is_in(MISSING_WORDS)
    if not present.any():
        which = "its only cell" if len(cells) == 1 else f"every one of the {len(cells):,} cells"
        raise failed(
            "target_all_missing",
            f"The target must be known in some rows; {which} of `{name}` is missing.",
            "Name another column with target=COLUMN.",
        )
    values = column_values(name, cells)
    style, doubt = _style(values, told, comma=comma)
    numbers = values.count(values.cells.str.contains(whole(style.pattern)))
    if told in {None, Task.REGRESSION} and numbers < MOSTLY * values.total:
        _refuse_unread_numbers(values, cells, numbers, table.file_row)
    task, sentence = (told, "") if told is not None else _infer_task(values, style, numbers, loss)
    inferred = (sentence,) if sentence else ()
    if task is Task.REGRESSION:
        target = _regression(values, cells, present, style, inferred, table.file_row)
        return replace(target, warnings=(*target.warnings, f"`{name}`: {doubt}.")) if doubt else target
    if told is None and _is_torn(values, numbers):
        raise _not_numeric(values, cells, style, table.file_row)
    return _classification(name, cells, present, told, inferred, table.file_row)


def spellings_of(classes: Sequence[str]) -> dict[str, str]:
    """Of two classes that say yes and no, the class of each word in lower case: however a file writes it, it is one."""
    folded = {name.lower(): name for name in classes}
    return folded if any(set(folded) == set(pair) for pair in BOOLEAN_PAIRS) else {}


def _likely_target(names: Sequence[str]) -> tuple[str, str]:
    for wanted in TARGET_NAMES:
        for name in names:
            if name.strip().lower() == wanted:
                return name, "by its name"
    return names[-1], "the last column"


def _style(values: Values, told: Task | None, *, comma: bool) -> tuple[NumberStyle, str]:
    """How the target's numbers are written, where it is one, and what was assumed about them."""
    if told not in {None, Task.REGRESSION}:
        return PLAIN, ""
    if bool(values.cells.str.contains(whole(NUMBER)).all()) and not (comma and may_be_grouped(values.cells)):
        return PLAIN, ""
    reading = as_number(values, comma=comma)
    return (reading.style, reading.doubt) if reading else (PLAIN, "")


def _refuse_unread_numbers(values: Values, cells: pl.Series, numbers: int, file_row: Callable[[int], int]) -> None:
    """Raise for numbers that no style reads: those of several ways of writing, and those beyond all range."""
    name, far = values.name, values.cells.str.contains(whole(FAR_NUMBER))
    if far.any() and numbers + values.count(far) >= MOSTLY * values.total:
        known = [float(cell) for cell in values.cells.filter(values.cells.str.contains(whole(NUMBER)) | far)]
        raise _out_of_range(name, min(known), max(known))
    ways = find_ways(values.cells, values.counts)
    if ways:
        said = said_of(ways, values.total, lambda cell: file_row(int((cells == cell).arg_true()[0])))
        raise failed(
            "target_not_numeric",
            f"Regression needs numbers that are written in one way; those of target `{name}` are {said}.",
            "Clean it or pick another target with target=COLUMN; for words as classes use task=multiclass.",
        )


def _infer_task(values: Values, style: NumberStyle, numbers: int, loss: LossName | None) -> tuple[Task, str]:
    name = values.name
    if numbers >= MOSTLY * values.total:
        known = read_numbers(values.cells, style)
        known = np.unique(known[np.isfinite(known)])
        change = "change it with task=multiclass or task=binary"
        if loss in REGRESSION_LOSSES:
            because = f"loss={loss} is for numbers, and `{name}` holds some"
            return Task.REGRESSION, f"Task: regression, because {because}; change it with another loss=."
        if not np.all(known == np.floor(known)) and len(known) > 1:
            return Task.REGRESSION, f"Task: regression, because `{name}` holds numbers with fractions; {change}."
        if len(known) > MOST_INTEGER_CLASSES and loss not in CLASS_LOSSES:
            return (
                Task.REGRESSION,
                f"Task: regression, because `{name}` holds {len(known)} different whole numbers; {change}.",
            )
    words = set(values.cells.str.to_lowercase()) if values.distinct <= MOST_INTEGER_CLASSES else set()
    two = values.distinct == 2 or any(words == set(pair) for pair in BOOLEAN_PAIRS)
    task = Task.BINARY if two else Task.MULTICLASS
    change = "change it with task=regression" if numbers == values.total else "change the target with target=COLUMN"
    values_met = "two words" if two and values.distinct > 2 else f"{values.distinct} different values"
    return task, f"Task: {task.value}, because `{name}` has {values_met}; {change}."


def _is_torn(values: Values, numbers: int) -> bool:
    """Whether most cells are numbers, too many different ones to be classes, and too few to learn numbers."""
    different = int(values.cells.str.contains(whole(NUMBER)).sum())
    return values.total / 2 <= numbers < MOSTLY * values.total and different > MOST_INTEGER_CLASSES


def _not_numeric(values: Values, cells: pl.Series, style: NumberStyle, file_row: Callable[[int], int]) -> RunFailed:
    row, cell = first_stray(cells, style.pattern, file_row) or (1, cells[0])
    text = values.total - values.count(values.cells.str.contains(whole(style.pattern)))
    return failed(
        "target_not_numeric",
        f"Regression needs numbers; target `{values.name}` is text in {text:,} of {values.total:,} rows, first at row "
        f"{row}: {quote(cell)}.",
        "Clean it or pick another target with target=COLUMN; for words as classes use task=multiclass.",
    )


def _regression(
    values: Values,
    cells: pl.Series,
    present: pl.Series,
    style: NumberStyle,
    inferred: tuple[str, ...],
    file_row: Callable[[int], int],
) -> Target:
    name, known = values.name, read_numbers(cells, style)
    usable = np.isfinite(known) & present.to_numpy()
    total, numbers = values.total, int(usable.sum())
    if numbers < MOSTLY * total:
        raise _not_numeric(values, cells, style, file_row)
    _refuse_few_rows(name, numbers)
    if np.ptp(known[usable]) == 0:
        raise failed(
            "target_one_class",
            f"The target must vary; every cell of `{name}` is {quote(cells.filter(pl.Series(usable))[0])}.",
            "Name another column with target=COLUMN.",
        )
    _refuse_out_of_range(name, known[usable])
    warnings = _set_aside(name, cells.filter(~present))
    if total > numbers:
        row, cell = first_stray(cells, style.pattern, file_row) or (1, cells[0])
        rows = "1 row was set aside: its" if total == numbers + 1 else f"{total - numbers} rows were set aside: their"
        warnings += (f"{rows} `{name}` is no number, first in row {row}: {quote(cell)}.",)
    if not style.is_plain:
        inferred += (
            f"Target: the numbers of `{name}` are written with {style.said()}; predictions are plain numbers.",
        )
    return Target(name, Task.REGRESSION, (), usable, np.where(usable, known, np.nan), style, inferred, warnings)


def _refuse_out_of_range(name: str, known: np.ndarray) -> None:
    """A model's predictions are float32: they must be able to hold the target, and to tell its values apart."""
    low, high = float(known.min()), float(known.max())
    largest = max(abs(low), abs(high))
    # Half of it, for the spacing at the largest number of all is beyond float32.
    bound = float(np.finfo(np.float32).max)
    step = 2.0 * float(np.spacing(np.float32(min(largest, bound) / 2.0)))
    if largest > bound or np.ptp(known) < FEWEST_STEPS * step:
        raise _out_of_range(name, low, high)


def _out_of_range(name: str, low: float, high: float) -> RunFailed:
    return failed(
        "target_out_of_range",
        f"Predictions are numbers of 7 digits, at most 3.4e38; the numbers of `{name}` go from {low!r} to {high!r}, "
        "which they cannot tell apart.",
        "Give the target in another unit, or as the difference from a fixed value.",
    )


def _classification(
    name: str,
    cells: pl.Series,
    present: pl.Series,
    told: Task | None,
    inferred: tuple[str, ...],
    file_row: Callable[[int], int],
) -> Target:
    cells, said = _folded(name, cells, present)
    counts = dict(cells.filter(present).value_counts().rows())
    classes, total = _in_order(counts), int(present.sum())
    if len(classes) == 1:
        gaps = len(cells) - total
        raise failed(
            "target_one_class",
            f"A target needs at least two classes; every {'filled ' if gaps else ''}cell of `{name}` is "
            f"{quote(classes[0])}" + (f", and {gaps:,} of {len(cells):,} are missing." if gaps else "."),
            "Name another column with target=COLUMN"
            + ("; if a missing cell means the other class, write that class into it." if gaps else "."),
        )
    if told is Task.BINARY and len(classes) != 2:
        raise failed(
            "task_not_binary",
            f"task=binary needs exactly two classes; `{name}` has {len(classes)}.",
            "Use task=multiclass, or leave task= out.",
        )
    _refuse_few_rows(name, total)
    rare = [value for value, count in counts.items() if count < LEAST_CLASS_ROWS]
    if len(rare) > len(classes) / 2:
        row = int(cells.is_in(rare).arg_true()[0])
        raise failed(
            "too_many_classes",
            f"A class needs at least {LEAST_CLASS_ROWS} rows; {len(rare)} of the {len(classes)} classes of "
            f"`{name}` have fewer, first in row {file_row(row)}: {quote(cells[row])}.",
            "Name another column with target=COLUMN, or merge rare classes; for a number use task=regression.",
        )
    task = Task.BINARY if len(classes) == 2 else Task.MULTICLASS
    numbers = {value: k for k, value in enumerate(classes)}
    values = cells.replace_strict(numbers, default=-1, return_dtype=pl.Int64).to_numpy().copy()
    usable = present.to_numpy()
    values[~usable] = -1
    warnings = _set_aside(name, cells.filter(~present), as_class="; if that is a class, write it as another word")
    return Target(name, task, classes, usable, values, PLAIN, (*inferred, *said), warnings)


def _folded(name: str, cells: pl.Series, present: pl.Series) -> tuple[pl.Series, tuple[str, ...]]:
    """The cells with one spelling for yes and one for no, the usual ones; and what is to be said of it."""
    counts = cells.filter(present).value_counts(sort=True, name="rows").rows()
    usual = dict[str, str]()
    for word, _ in counts:
        usual.setdefault(word.lower(), word)
    if len(usual) != 2 or len(counts) == 2 or not any(set(usual) == set(pair) for pair in BOOLEAN_PAIRS):
        return cells, ()
    folded = cells.replace({word: usual[word.lower()] for word, _ in counts})
    shown, kept = ", ".join(quote(word) for word, _ in counts), " and ".join(map(quote, usual.values()))
    return folded, (f"Target: the cells of `{name}` ({shown}) were read as {kept}.",)


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


def _set_aside(name: str, missing: pl.Series, as_class: str = "") -> tuple[str, ...]:
    if missing.is_empty():
        return ()
    rows = "1 row was set aside: its" if len(missing) == 1 else f"{len(missing)} rows were set aside: their"
    # A word such as None may be a class to the person: they have to see that it was taken as a gap.
    words = sorted(set(missing.unique()) - {""})
    written = f" (written {', '.join(map(repr, words))}{as_class})" if words else ""
    return (f"{rows} target `{name}` is missing{written}.",)
