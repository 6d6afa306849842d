"""Writes a trained model's predictions for a table, row for row."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from shared.events import DatasetRead, Stage
from workers.core.content import content_sha256
from workers.core.progress import Progress, Report, ShouldStop
from workers.core.report import prediction_columns, write_report
from workers.core.stored import StoredModel, free_names, load_model
from workers.core.words import BLANK, missing_pattern, whole


def predict(model: Path, data: Path, *, out: Path, report: Report, should_stop: ShouldStop) -> dict[str, Any]:
    """Predict every row of the file `data` with the model in the folder `model`; write `predictions.csv` into `out`.

    A row that cannot be read keeps its place, with an empty prediction and the reason in the column `note`. Raises
    RunStopped, and RunFailed `model_unreadable`, `columns_missing`, or as reading does.
    """
    out.mkdir(parents=True, exist_ok=True)
    progress, started = Progress(report, should_stop), time.perf_counter()
    progress.stage(Stage.READ)
    stored = load_model(model, with_rows=False)
    table = stored.read(data, tolerate=True)
    frame, as_read = stored.as_trained(table)
    notes, as_missing = _notes(stored, frame, table.unreadable)
    task, target = stored.model.task, stored.model.target
    said = (*table.warnings, *as_read, *as_missing)
    report(DatasetRead(rows=frame.height, columns=frame.width, target=target, task=task.value, warnings=said))
    load_s = time.perf_counter() - started

    progress.stage(Stage.PREDICT)
    started = time.perf_counter()
    outputs = stored.model.run(frame, progress)
    beyond = stored.model.overflows(frame) | ~np.isfinite(outputs.reshape(frame.height, -1)).all(axis=1)
    for row in np.flatnonzero(beyond).tolist():
        notes.setdefault(row, "its numbers are too large for the model")
    labels = stored.model.labels(outputs) if stored.model.classes else []
    ours = prediction_columns(task, outputs, stored.model.classes, labels)
    _write(out / "predictions.csv", table.frame, ours, notes)
    timing = {"load": load_s, "predict": time.perf_counter() - started}
    facts = {
        "kind": "predict",
        "dataset": {"rows": frame.height, "columns": frame.width, "content_sha256": content_sha256(table)},
        "task": task.value,
        "target": target,
        "model": stored.report["model"],
        "rows": frame.height,
        "rows_unreadable": len(notes),
        "timing_s": {name: round(seconds, 3) for name, seconds in timing.items()},
        "warnings": [*said, *_warnings(notes)],
    }
    return write_report(out, facts)


def _notes(stored: StoredModel, frame: pl.DataFrame, unreadable: Mapping[int, str]) -> tuple[dict[int, str], list[str]]:
    """The reason why a row (from 0) cannot be read, for each such row; and what counts as missing, as in training."""
    notes, as_missing = {row: f"the row {reason}" for row, reason in unreadable.items()}, list[str]()
    for name, pattern in stored.number_patterns.items():
        wrong = ~frame[name].str.contains(whole(rf"{missing_pattern()}|{pattern}|{BLANK}*"))
        rows = [row for row in wrong.arg_true() if row not in unreadable]
        if rows and name in stored.taught_words:
            cells = "1 cell is no number and counts" if len(rows) == 1 else f"{len(rows)} cells are no number and count"
            shown = _shorten(frame[name][rows[0]])
            as_missing.append(f"`{name}`: {cells} as missing, as in training, first in row {rows[0] + 1}: {shown}.")
            continue
        for row in rows:
            reason = f"`{name}` must be a number, not {_shorten(frame[name][row])}"
            notes[row] = f"{notes[row]}; {reason}" if row in notes else reason
    return notes, as_missing


def _warnings(notes: dict[int, str]) -> list[str]:
    if not notes:
        return []
    row = min(notes)
    rows = "1 row has" if len(notes) == 1 else f"{len(notes)} rows have"
    return [f"{rows} no prediction; the column note says why, first in row {row + 1}: {notes[row]}."]


def _write(path: Path, frame: pl.DataFrame, ours: dict[str, pl.Series], notes: dict[int, str]) -> None:
    """The input's columns as they are, then ours."""
    names = [*ours, *(["note"] if notes else [])]
    table = frame.rename(dict(zip(frame.columns, free_names(frame.columns, names), strict=True)))
    unreadable = np.zeros(frame.height, dtype=bool)
    unreadable[list(notes)] = True
    for name, column in ours.items():
        table = table.with_columns(column.set(pl.Series(unreadable), None).alias(name))
    if notes:
        table = table.with_columns(pl.Series("note", [notes.get(row, "") for row in range(frame.height)]))
    # An empty cell is written as nothing, not as a pair of quotes.
    table.with_columns(pl.col(pl.String).replace("", None)).write_csv(path)


def _shorten(cell: str, limit: int = 40) -> str:
    return repr(cell if len(cell) <= limit else cell[:limit] + "...")
