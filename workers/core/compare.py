"""Compares trained models: on the test rows that all of them share, or on a dataset that none has learnt from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from shared.errors import Problem, RunFailed
from shared.events import Stage
from shared.specs import Task
from workers.core import metrics
from workers.core.given_rows import GivenRows, counted, given_rows, outputs_of
from workers.core.intervals import intervals
from workers.core.paired import FEW_DISCORDANT, differences
from workers.core.plots_compared import differences_plot
from workers.core.progress import Progress, Report, ShouldStop
from workers.core.report import read_report, write_report
from workers.core.stored import load_model
from workers.core.told_apart import LEVEL, told_apart

LEAST_SHARED_ROWS = 10
SEED = 0
"""Of the rows that stand for very many."""


@dataclass(frozen=True)
class ComparedRun:
    """A train run: its number, the folder of its artifacts, and what was asked for."""

    run: int
    folder: Path
    spec: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class _Rows:
    """The rows on which the models are compared."""

    actual: np.ndarray
    """[rows] class numbers or values, as for `metrics.score`."""
    outputs: list[np.ndarray]
    """Of each model."""
    warnings: list[str]


def compare(
    runs: Sequence[ComparedRun],
    *,
    out: Path,
    report: Report,
    should_stop: ShouldStop,
    data: Path | None = None,
) -> dict[str, Any]:
    """Score the runs on the test rows that they share, or on the file `data` through their model files, less the rows
    that any of them has learnt from; write the artifacts into `out` and return the report.

    Raises RunStopped, and RunFailed `not_comparable` with every reason, `model_unreadable`, or as reading `data` does.
    """
    out.mkdir(parents=True, exist_ok=True)
    progress = Progress(report, should_stop)
    progress.stage(Stage.READ)
    reports = [read_report(one.folder) for one in runs]
    _refuse_other_questions(runs, reports, with_data=data is not None)
    task, target, classes = Task(reports[0]["task"]), str(reports[0]["target"]), list(reports[0]["classes"])
    rows = _tested(runs, task, classes) if data is None else _given(runs, data, task, target, progress)

    progress.stage(Stage.COMPARE)
    results = []
    for one, facts, outputs in zip(runs, reports, rows.outputs, strict=True):
        progress.check()
        scores = metrics.score(task, rows.actual, outputs)
        chance = intervals(task, rows.actual, outputs, seed=SEED, check=progress.check_now_and_then)
        results.append(
            {
                "run": one.run,
                "model": facts["model"],
                "metrics": scores,
                "intervals": chance,
                **_costs(one, facts),
                **_over_seeds(facts),
            }
        )
    headline = metrics.HEADLINE[task]
    found = differences(task, rows.actual, rows.outputs, check=progress.check_now_and_then)
    values = {result["run"]: result["metrics"][headline] for result in results}
    facts = {
        "kind": "compare",
        "task": task.value,
        "target": target,
        "runs": results,
        "rows_shared": len(rows.actual),
        "rows_of": "test" if data is None else "dataset",
        "headline": headline,
        **told_apart([one.run for one in runs], values, found, headline=headline, rows=len(rows.actual)),
        "tests": {
            "level": LEVEL,
            "correction": "Holm, over the pairs, for each score",
            "accuracy": f"McNemar: exact below {FEW_DISCORDANT} rows on which just one of two is right, else mid-p",
            "roc_auc": "DeLong",
            "others": "paired t of how much each row pulls the difference",
        },
        "spec_differences": _spec_differences(runs),
        "warnings": [*_said_of_seeds(runs, reports), *rows.warnings],
    }
    lines = [{"run": r["run"], "model": r["model"], **r["metrics"]} for r in results]
    pl.DataFrame(lines, infer_schema_length=None).write_csv(out / "comparison.csv")
    differences_plot(out / "comparison.png", facts)
    return write_report(out, facts)


def _tested(runs: Sequence[ComparedRun], task: Task, classes: Sequence[str]) -> _Rows:
    """The test rows that all share, as each run left them."""
    tables = [_predictions(one.folder) for one in runs]
    shared = _shared_rows(runs, tables)
    rows = [shared.select("key").join(table, on="key", how="left", maintain_order="left") for table in tables]
    parts = [_scored(one, task, classes) for one in rows]
    return _Rows(parts[0][0], [said for _, said in parts], _warnings(runs, tables, shared.height))


def _given(runs: Sequence[ComparedRun], data: Path, task: Task, target: str, progress: Progress) -> _Rows:
    """The rows of a file that all models can be scored on, and what their model files say of these."""
    models = [load_model(one.folder) for one in runs]
    read = list[GivenRows]()
    for stored in models:
        progress.check()
        read.append(given_rows(stored, data))
    if any(one.actual is None for one in read):
        raise RunFailed(
            _problem(f"the dataset of on= has no column `{target}`", "Add the target, or compare without on=.")
        )
    usable = np.logical_and.reduce([one.scorable for one in read])
    values = [one.actual for one in read if one.actual is not None]
    # Two models may read a number in two ways; a row counts where all see the same.
    usable &= np.logical_and.reduce([one == values[0] for one in values])
    outputs = []
    for stored, one in zip(models, read, strict=True):
        said, finite = outputs_of(stored, one.frame, progress)
        usable &= finite
        outputs.append(said)
    known = np.logical_or.reduce([one.known for one in read])
    if usable.sum() < LEAST_SHARED_ROWS:
        raise RunFailed(
            _problem(
                f"of the {len(known)} rows of on=, {int(usable.sum())} have a target and were met by no model in "
                f"training, and at least {LEAST_SHARED_ROWS} are needed",
                "Give rows that none of the models has learnt from.",
            )
        )
    warnings = list(dict.fromkeys(text for one in read for text in (*one.table.warnings, *one.unscored)))
    if known.any():
        warnings.append(f"{counted(int(known.sum()))} left out: one of the models was trained or chosen with them.")
    actual = values[0][usable]
    return _Rows(
        actual if task is Task.REGRESSION else actual.astype(np.int64), [said[usable] for said in outputs], warnings
    )


def _costs(one: ComparedRun, facts: Mapping[str, Any]) -> dict[str, Any]:
    """What a model took and takes, as far as it is known."""
    file = one.folder / "model.onnx"
    return {
        "train_s": _kept_seed(facts).get("train_s", (facts.get("timing_s") or {}).get("train")),
        "model_bytes": file.stat().st_size if file.is_file() else None,
        "parameters": facts.get("parameters"),
    }


def _kept_seed(facts: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a run with seeds says of the one whose model it has."""
    kept = facts.get("kept") or {}
    return next((one for one in facts.get("seeds") or () if one["run"] == kept.get("run")), {})


def _over_seeds(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What a run with seeds reached over them, on its own test rows; nothing for a run with one model."""
    if not facts.get("kept"):
        return {}
    of_test = {name: (facts.get(name) or {}).get("test") or {} for name in ("metrics", "sd", "intervals")}
    count = sum(one["state"] == "succeeded" for one in facts["seeds"])
    return {"over_seeds": {"seeds": count, "kept_seed": facts["kept"]["seed"], **of_test}}


def _said_of_seeds(runs: Sequence[ComparedRun], reports: Sequence[Mapping[str, Any]]) -> list[str]:
    """Which model of a run with seeds is compared."""
    return [
        f"Run {one.run} stands for {len(facts['seeds'])} seeds; what is compared row by row is one model, that of seed "
        f"{facts['kept']['seed']}, the best of them on the validation rows. How far its seeds spread stands beside it."
        for one, facts in zip(runs, reports, strict=True)
        if facts.get("kept")
    ]


def _spec_differences(runs: Sequence[ComparedRun]) -> dict[str, dict[str, Any]]:
    """For each key of the specs that differs, the value of each run."""
    specs = {one.run: one.spec for one in runs if one.spec is not None}
    keys = dict.fromkeys(key for spec in specs.values() for key in spec)
    values = {key: {str(run): spec.get(key) for run, spec in specs.items()} for key in keys}
    return {key: told for key, told in values.items() if len({repr(value) for value in told.values()}) > 1}


def _refuse_other_questions(runs: Sequence[ComparedRun], reports: Sequence[dict[str, Any]], *, with_data: bool) -> None:
    """Raise RunFailed unless every run predicts the same thing."""
    others = [one.run for one, facts in zip(runs, reports, strict=True) if facts.get("kind") != "train"]
    if others:
        raise RunFailed(*(_problem(f"run {run} is no train run", "Name train runs.") for run in others))
    problems = [*_differences(runs, reports, "task"), *_differences(runs, reports, "target")]
    problems = problems or _differences(runs, reports, "classes")
    if not problems:
        return
    if with_data:
        raise RunFailed(*problems)
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


def _warnings(runs: Sequence[ComparedRun], tables: Sequence[pl.DataFrame], shared: int) -> list[str]:
    return [
        f"Run {one.run} was tested on {table.height} rows; {table.height - shared} of them are not "
        "shared and do not count."
        for one, table in zip(runs, tables, strict=True)
        if table.height > shared
    ]


def _problem(reason: str, hint: str) -> Problem:
    return Problem(
        code="not_comparable", message=f"Runs are compared on the same rows with the same target; {reason}.", hint=hint
    )


def _words(value: Any) -> str:
    return ", ".join(map(str, value[:10])) if isinstance(value, list) else f"`{value}`"
