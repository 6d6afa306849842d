"""Compares trained models on the test rows that all of them share."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from shared.errors import Problem, RunFailed
from shared.events import Stage
from shared.specs import Task
from workers.core import metrics, plots
from workers.core.progress import Progress, Report, ShouldStop
from workers.core.report import read_report, write_report

LEAST_SHARED_ROWS = 10


@dataclass(frozen=True)
class ComparedRun:
    """A train run: its number, and the folder of its artifacts."""

    run: int
    folder: Path


def compare(runs: Sequence[ComparedRun], *, out: Path, report: Report, should_stop: ShouldStop) -> dict[str, Any]:
    """Score the runs on the test rows that they share; write the artifacts into `out` and return the report.

    Raises RunStopped, and RunFailed `model_unreadable` or `not_comparable` with every reason.
    """
    out.mkdir(parents=True, exist_ok=True)
    progress = Progress(report, should_stop)
    progress.stage(Stage.READ)
    reports = [read_report(one.folder) for one in runs]
    _refuse_other_questions(runs, reports)
    tables = [_predictions(one.folder) for one in runs]
    shared = _shared_rows(runs, tables)
    task, target, classes = Task(reports[0]["task"]), str(reports[0]["target"]), list(reports[0]["classes"])

    progress.stage(Stage.COMPARE)
    results = []
    for one, facts, table in zip(runs, reports, tables, strict=True):
        progress.check()
        rows = shared.select("key").join(table, on="key", how="left", maintain_order="left")
        scores = metrics.score(task, *_scored(rows, task, classes))
        results.append({"run": one.run, "model": facts["model"], "metrics": scores})
    headline = metrics.HEADLINE[task]
    best = _best(results, headline)
    facts = {
        "kind": "compare",
        "task": task.value,
        "target": target,
        "runs": results,
        "rows_shared": shared.height,
        "headline": headline,
        "best": best,
        "sentence": _sentence(results, headline, best, shared.height),
        "warnings": _warnings(runs, tables, shared.height),
    }
    lines = [{"run": r["run"], "model": r["model"], **r["metrics"]} for r in results]
    pl.DataFrame(lines, infer_schema_length=None).write_csv(out / "comparison.csv")
    plots.comparison(out / "comparison.png", results, headline, best, target)
    return write_report(out, facts)


def _refuse_other_questions(runs: Sequence[ComparedRun], reports: Sequence[dict[str, Any]]) -> None:
    """Raise RunFailed unless every run predicts the same thing."""
    others = [one.run for one, facts in zip(runs, reports, strict=True) if facts.get("kind") != "train"]
    if others:
        raise RunFailed(*(_problem(f"run {run} is no train run", "Name train runs.") for run in others))
    problems = [*_differences(runs, reports, "task"), *_differences(runs, reports, "target")]
    problems = problems or _differences(runs, reports, "classes")
    if not problems:
        return
    try:
        # What is predicted differs already; whether the rows do is a reason of its own.
        _shared_rows(runs, [_predictions(one.folder).with_columns(actual=pl.lit("")) for one in runs])
    except RunFailed as error:
        problems += error.problems
    raise RunFailed(*problems)


def _differences(runs: Sequence[ComparedRun], reports: Sequence[dict[str, Any]], what: str) -> list[Problem]:
    values = [facts[what] for facts in reports]
    if all(value == values[0] for value in values):
        return []
    listed = ", ".join(f"run {one.run}: {_words(value)}" for one, value in zip(runs, values, strict=True))
    verb = "differ" if what == "classes" else "differs"
    return [_problem(f"their {what} {verb} ({listed})", "Compare runs with the same target and task.")]


def _shared_rows(runs: Sequence[ComparedRun], tables: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """The rows (`key`) that are in every run's test part with the same target; raises RunFailed when they are too
    few.
    """
    shared = tables[0].select("key", "actual")
    for table in tables[1:]:
        shared = shared.join(table.select("key", "actual"), on=["key", "actual"], how="semi", maintain_order="left")
    if shared.height >= LEAST_SHARED_ROWS:
        return shared
    counts = ", ".join(f"run {one.run}: {table.height}" for one, table in zip(runs, tables, strict=True))
    raise RunFailed(
        _problem(
            f"they share {shared.height} test rows ({counts}), and at least {LEAST_SHARED_ROWS} are "
            "needed; their data, target "
            "or split_seed differ",
            "Train them on the same data with the same split_seed.",
        )
    )


def _predictions(folder: Path) -> pl.DataFrame:
    """A run's test rows as strings, with `key`: the row's hash and, for equal rows, which of them it is."""
    try:
        table = pl.read_csv(folder / "test_predictions.csv", infer_schema=False)
        # Equal rows with different targets keep their order by target, whatever their order in the file.
        table = table.sort("row_hash", "actual", maintain_order=True)
        place = pl.int_range(pl.len()).over("row_hash").cast(pl.String)
        table = table.with_columns(key=pl.concat_str("row_hash", place, separator="#"))
        return table.sort(pl.col("row").cast(pl.Int64))
    except (OSError, pl.exceptions.PolarsError) as error:
        raise RunFailed(
            Problem(
                code="model_unreadable",
                message=f"A model comes with its test_predictions.csv; the file cannot be read ({error}).",
                hint="Train again.",
            )
        ) from error


def _scored(rows: pl.DataFrame, task: Task, classes: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Actual and predicted of `metrics.score`."""
    if task is Task.REGRESSION:
        return rows["actual"].cast(pl.Float64).to_numpy(), rows["prediction"].cast(pl.Float32).to_numpy()
    numbers = {name: k for k, name in enumerate(classes)}
    probabilities = rows.select(pl.col(f"probability_{name}").cast(pl.Float32) for name in classes).to_numpy()
    return np.array([numbers[cell] for cell in rows["actual"]]), probabilities


def _best(results: Sequence[dict[str, Any]], headline: str) -> int | None:
    """The run with the best headline metric; None where it is not defined, or where the best ones are equal."""
    known = {r["run"]: r["metrics"][headline] for r in results if r["metrics"][headline] is not None}
    at_the_top = [run for run, value in known.items() if value == max(known.values())]
    return int(at_the_top[0]) if len(at_the_top) == 1 else None


def _sentence(results: Sequence[dict[str, Any]], headline: str, best: int | None, rows: int) -> str:
    values = {r["run"]: r["metrics"][headline] for r in results if r["metrics"][headline] is not None}
    if not values:
        return f"On {rows} shared test rows {headline} is not defined, so no run is the best."
    first, *others = sorted(values.values(), reverse=True)
    if best is None:
        return f"On {rows} shared test rows the best runs are equal: {headline} {first:.4f}."
    above = f", {first - others[0]:.4f} above the next" if others else ""
    return f"On {rows} shared test rows run {best} is the best: {headline} {first:.4f}{above}."


def _warnings(runs: Sequence[ComparedRun], tables: Sequence[pl.DataFrame], shared: int) -> list[str]:
    return [
        f"Run {one.run} was tested on {table.height} rows; {table.height - shared} of them are not "
        "shared and do not count."
        for one, table in zip(runs, tables, strict=True)
        if table.height > shared
    ]


def _problem(reason: str, hint: str) -> Problem:
    return Problem(
        code="not_comparable", message=f"Runs are compared on test rows that they share; {reason}.", hint=hint
    )


def _words(value: Any) -> str:
    return ", ".join(map(str, value[:10])) if isinstance(value, list) else f"`{value}`"
