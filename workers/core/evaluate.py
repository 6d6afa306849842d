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
from workers.core.content import content_sha256
from workers.core.drift import drift, drift_sentences, no_target_sentence, schema_differences
from workers.core.given_rows import GivenRows, counted, given_rows, outputs_of
from workers.core.measures import measure
from workers.core.plots_given import drift_plot, slices_plot
from workers.core.profile import read_profile
from workers.core.progress import Progress, Report, ShouldStop
from workers.core.report import prediction_columns, write_report
from workers.core.slices import slices_sentence, worst_slices
from workers.core.stored import StoredModel, load_model


def evaluate(model: Path, data: Path, *, out: Path, report: Report, should_stop: ShouldStop) -> dict[str, Any]:
    """Score the model in the folder `model` on the file `data`; write the artifacts into `out` and return the report.

    Rows that trained or validated the model are left out. A file without the target gets predictions and is looked at
    for drift. Raises RunStopped, and RunFailed `model_unreadable`, `columns_missing`, `nothing_to_score`, or as reading
    does.
    """
    out.mkdir(parents=True, exist_ok=True)
    progress, started = Progress(report, should_stop), time.perf_counter()
    progress.stage(Stage.READ)
    stored = load_model(model)
    given = given_rows(stored, data)
    frame, target, task = given.frame, stored.model.target, stored.model.task
    warnings = list(given.said)
    if given.actual is None:
        warnings.insert(0, no_target_sentence(target))
    report(
        DatasetRead(rows=frame.height, columns=frame.width, target=target, task=task.value, warnings=tuple(warnings))
    )
    scored = given.scorable
    if given.actual is not None and not scored.any():
        raise failed("nothing_to_score", _nothing(given), "Send rows that the model has not seen.")
    load_s = time.perf_counter() - started

    progress.stage(Stage.EVALUATE)
    started = time.perf_counter()
    used = scored if given.actual is not None else np.ones(frame.height, dtype=bool)
    rows = frame.filter(pl.Series(used))
    outputs, finite = outputs_of(stored, rows, progress)
    if not finite.all():
        warnings.append(f"{counted(int((~finite).sum()))} set aside: their numbers are too large for the model.")
        used[used] = finite
        rows, outputs = rows.filter(pl.Series(finite)), outputs[finite]
    profile = read_profile(model)
    schema = schema_differences(stored, frame, profile)
    drifted = drift(stored, _to_look_at(given), profile)
    warnings += drift_sentences(schema, drifted)
    facts: dict[str, Any] = {
        "kind": "evaluate",
        "dataset": {"rows": frame.height, "columns": frame.width, "content_sha256": content_sha256(given.table)},
        "task": task.value,
        "target": target,
        "model": stored.report["model"],
        "schema": schema,
        "drift": drifted,
        "timing_s": {"load": load_s},
        "warnings": warnings,
    }
    if given.actual is None:
        facts["rows_predicted"] = int(used.sum())
    else:
        facts |= _scores(stored, given.actual, used, rows, outputs, progress)
        facts["rows_left_out"] = int((given.known & np.isfinite(given.actual)).sum())
        warnings += [said for said in [slices_sentence(facts["slices"])] if said]
    facts["timing_s"]["evaluate"] = time.perf_counter() - started

    progress.stage(Stage.EXPORT)
    started = time.perf_counter()
    _write_predictions(out, stored, rows, np.flatnonzero(used), outputs)
    if given.actual is not None:
        values = _values(task, given.actual[used])
        plots.outcome(out, task, values, outputs, stored.model.classes, target)
        plots.measures(out, facts, values, outputs, stored.model.classes, target)
        slices_plot(out / "slices.png", facts["slices"], target)
    drift_plot(out / "drift.png", drifted)
    facts["timing_s"]["export"] = time.perf_counter() - started
    facts["timing_s"] = {name: round(seconds, 3) for name, seconds in facts["timing_s"].items()}
    return write_report(out, facts)


def _scores(
    stored: StoredModel,
    actual: np.ndarray,
    used: np.ndarray,
    rows: pl.DataFrame,
    outputs: np.ndarray,
    progress: Progress,
) -> dict[str, Any]:
    """What follows from the rows that are scored: `used` [rows] bool of the file, of which `rows` and `outputs` are."""
    task, values = stored.model.task, _values(stored.model.task, actual[used])
    measured = measure(
        task,
        values,
        outputs,
        classes=stored.model.classes,
        rows=np.flatnonzero(used) + 1,
        check=progress.check_now_and_then,
    )
    return {
        "metrics": {
            "test": metrics.score(task, values, outputs),
            "baseline": metrics.baseline(task, values, stored.report["baseline_guess"]),
        },
        "headline": metrics.HEADLINE[task],
        **measured,
        "slices": worst_slices(rows, stored.report["columns"], task, values, outputs),
        "rows_scored": int(used.sum()),
    }


def _values(task: Task, actual: np.ndarray) -> np.ndarray:
    return actual if task is Task.REGRESSION else actual.astype(np.int64)


def _to_look_at(given: GivenRows) -> pl.DataFrame:
    """The rows that may have drifted: those that trained the model have not."""
    return given.frame.filter(pl.Series(~given.known))


def _nothing(given: GivenRows) -> str:
    missing = 0 if given.actual is None else int(np.isnan(given.actual).sum())
    return (
        f"Evaluating needs rows with a target that the model has not learnt from; of {given.frame.height} rows, "
        f"{int(given.known.sum())} were used in training and {missing} have no target that can be scored."
    )


def _write_predictions(
    out: Path, stored: StoredModel, rows: pl.DataFrame, places: np.ndarray, outputs: np.ndarray
) -> None:
    model = stored.model
    labels = model.labels(outputs) if model.classes else []
    table = {"row": pl.Series(places + 1)}
    if model.target in rows.columns:
        table["actual"] = rows.select(trimmed(model.target)).to_series()
    table |= prediction_columns(model.task, outputs, model.classes, labels)
    pl.DataFrame(table).write_csv(out / "predictions.csv")
