"""Scores a trained model on a table, on rows that it has not learnt from."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from shared.errors import failed
from shared.events import DatasetRead, Stage
from shared.specs import Task
from workers.core import metrics, plots
from workers.core.columns import trimmed
from workers.core.measures import measure
from workers.core.numbers import read_numbers
from workers.core.progress import Progress, Report, ShouldStop
from workers.core.report import prediction_columns, write_report
from workers.core.stored import StoredModel, load_model
from workers.core.target import spellings_of
from workers.core.words import MISSING_WORDS


def evaluate(model: Path, data: Path, *, out: Path, report: Report, should_stop: ShouldStop) -> dict[str, Any]:
    """Score the model in the folder `model` on the file `data`; write the artifacts into `out` and return the report.

    Rows that trained or validated the model are left out. Raises RunStopped, and RunFailed `model_unreadable`,
    `columns_missing`, `target_missing_in_data`, `nothing_to_score`, or as reading does.
    """
    out.mkdir(parents=True, exist_ok=True)
    progress, started = Progress(report, should_stop), time.perf_counter()
    progress.stage(Stage.READ)
    stored = load_model(model)
    table = stored.read(data, tolerate=False)
    target, task = stored.model.target, stored.model.task
    if target not in table.names:
        raise failed(
            "target_missing_in_data",
            f"Evaluating needs the target to compare with; the file has no column `{target}`.",
            "Use predict for data without the target.",
        )
    frame, as_read = stored.as_trained(table)
    actual, unusable = _actual(stored, frame)
    known, left_out = _known_rows(stored, frame)
    scored = np.isfinite(actual) & ~known
    warnings = [*table.warnings, *as_read, *unusable, *left_out]
    report(
        DatasetRead(rows=frame.height, columns=frame.width, target=target, task=task.value, warnings=tuple(warnings))
    )
    if not scored.any():
        raise failed(
            "nothing_to_score", _nothing(frame.height, known, actual), "Send rows that the model has not seen."
        )
    load_s = time.perf_counter() - started

    progress.stage(Stage.EVALUATE)
    started = time.perf_counter()
    rows = frame.filter(pl.Series(scored))
    outputs = stored.model.run(rows, progress)
    # A number beyond the range of float32 gives no finite output; it must not spoil the scores of the others.
    finite = np.isfinite(outputs.reshape(len(outputs), -1)).all(axis=1) & ~stored.model.overflows(rows)
    if not finite.all():
        warnings.append(f"{_rows(int((~finite).sum()))} set aside: their numbers are too large for the model.")
        scored[scored] = finite
        rows, outputs = rows.filter(pl.Series(finite)), outputs[finite]
    values = actual[scored] if task is Task.REGRESSION else actual[scored].astype(np.int64)
    scores = {
        "test": metrics.score(task, values, outputs),
        "baseline": metrics.baseline(task, values, stored.report["baseline_guess"]),
    }
    measured = measure(task, values, outputs, classes=stored.model.classes, rows=np.flatnonzero(scored) + 1)
    evaluate_s = time.perf_counter() - started

    progress.stage(Stage.EXPORT)
    started = time.perf_counter()
    _write_predictions(out, stored, rows, np.flatnonzero(scored), outputs)
    plots.outcome(out, task, values, outputs, stored.model.classes, target)
    plots.measures(out, measured, values, outputs, stored.model.classes, target)
    timing = {"load": load_s, "evaluate": evaluate_s, "export": time.perf_counter() - started}
    facts = {
        "kind": "evaluate",
        "dataset": {"rows": frame.height, "columns": frame.width},
        "task": task.value,
        "target": target,
        "model": stored.report["model"],
        "metrics": scores,
        "headline": metrics.HEADLINE[task],
        **measured,
        "rows_scored": int(scored.sum()),
        "rows_left_out": int((known & np.isfinite(actual)).sum()),
        "timing_s": {name: round(seconds, 3) for name, seconds in timing.items()},
        "warnings": warnings,
    }
    return write_report(out, facts)


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
        sentences.append(f"{_rows(int(missing.sum()))} set aside: the target `{target}` is missing.")
    foreign = int((np.isnan(actual) & ~missing).sum())
    if foreign:
        sentences.append(f"{_rows(foreign)} set aside: the target `{target}` {what}.")
    return actual, sentences


def _known_rows(stored: StoredModel, frame: pl.DataFrame) -> tuple[np.ndarray, list[str]]:
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
    known = np.array([row_hash in learnt for row_hash in hashes])
    if not known.any():
        return known, []
    return known, [f"{_rows(int(known.sum()))} left out: the model was trained or chosen with the same features."]


def _rows(count: int) -> str:
    return "1 row was" if count == 1 else f"{count} rows were"


def _nothing(rows: int, known: np.ndarray, actual: np.ndarray) -> str:
    return (
        f"Evaluating needs rows with a target that the model has not learnt from; of {rows} rows, "
        f"{int(known.sum())} were used in "
        f"training and {int(np.isnan(actual).sum())} have no target that can be scored."
    )


def _write_predictions(
    out: Path, stored: StoredModel, rows: pl.DataFrame, places: np.ndarray, outputs: np.ndarray
) -> None:
    model = stored.model
    labels = model.labels(outputs) if model.classes else []
    table = {"row": pl.Series(places + 1), "actual": rows.select(trimmed(model.target)).to_series()}
    table |= prediction_columns(model.task, outputs, model.classes, labels)
    pl.DataFrame(table).write_csv(out / "predictions.csv")
