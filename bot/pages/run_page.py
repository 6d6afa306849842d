"""`/runs/42`: everything about a run, as its card has it, with its curves and its files."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection

from bot import seeds_card
from bot.cards import run_card
from bot.desk import Desk
from bot.pages import figures
from bot.pages.charts import Chart
from bot.pages.html import Shown
from bot.pages.predictions import cloud_of, matrix_of, predictions_file
from shared.errors import RunFailed
from shared.log import beside, pages, runs
from shared.log.forecast import forecasts
from shared.log.runs import Artifact, Run, RunState

_KEPT = ("spec", "plan", "environment", "dataset", "timing_s")
_MOST_LINES = 400
_MOST_CHARACTERS = 300
_MATRIX_FILE = "confusion_matrix.png"
_LOSS_FILE = "loss_curve.png"
_LEAST_POINTS = 5
"""A quick run reports few of its epochs; its own plot has them all."""


def show(desk: Desk, number: int) -> Shown:
    """A run that this principal sees; raises `RefusedWords` `unknown_run` for any other."""
    with desk.log.read() as connection:
        run = runs.find(connection, desk.principal, number)
        artifacts = runs.artifacts_of(connection, run.id)
        values = _read(connection, desk, run, artifacts)
    return Shown("run.html", {**values, **_drawn(desk, run, artifacts, values.pop("curves"))})


def folded(run: Run) -> list[tuple[str, list[tuple[str, str]]]]:
    """What was asked and how it was done, key by key, under a heading each."""
    result = run.result or {}
    parts = {"spec": run.spec.model_dump(mode="json"), **{name: result.get(name) for name in _KEPT[1:]}}
    return [(name, list(_lines(part))[:_MOST_LINES]) for name, part in parts.items() if part]


def _read(connection: Connection, desk: Desk, run: Run, artifacts: list[Artifact]) -> dict[str, Any]:
    expected = forecasts(connection, [run]).get(run.id) if run.state is RunState.QUEUED else None
    events = pages.told_events(connection, run.id)
    card = run_card(run, events, artifacts, expected=expected)
    seeds = seeds_card.table(events, run.result or {}) if run.seeds is not None else None
    parents, children = pages.related(connection, desk.principal, run)
    return {
        "run": run,
        "card": replace(card, tables=tuple(table for table in card.tables if table != seeds)),
        "seeds": seeds,
        "seed_column": seeds_card.RUN_COLUMN,
        "artifacts": artifacts,
        "tags": beside.tags_of(connection, run.id),
        "aliases": beside.aliases_of(connection, desk.principal, run),
        "remarks": beside.notes_of(connection, run.id),
        "parents": parents,
        "children": children,
        "folded": folded(run),
        "curves": pages.curves(connection, run.id) if run.kind == "train" else {},
    }


def _drawn(desk: Desk, run: Run, artifacts: list[Artifact], curves: figures.Curves) -> dict[str, Any]:
    result = run.result or {}
    names = {artifact.name for artifact in artifacts}
    charts: list[Chart | None] = [*figures.loss_charts(curves, result)]
    images = []
    if charts and max(map(len, curves.values())) < _LEAST_POINTS and _LOSS_FILE in names:
        charts = []
        images.append(("Loss by epoch", _LOSS_FILE, "The loss by epoch on the training and the validation rows."))
    charts += [figures.calibration_chart(result), figures.slices_chart(result)]
    matrix = None
    file = predictions_file(artifacts) if run.kind in ("train", "evaluate") else None
    if file is not None:
        try:
            path = desk.store.path_of(file.sha256)
        except RunFailed:  # erased by `forget`
            path = None
        if path is not None and result.get("task") == "regression":
            charts.append(figures.residual_chart(*cloud_of(path), target=str(result.get("target", "the target"))))
        elif path is not None and (found := matrix_of(path)):
            matrix = figures.matrix(found)
    if matrix is None and _MATRIX_FILE in names:
        images.append(("Classes", _MATRIX_FILE, "How often each class was predicted for each on the test rows."))
    if run.kind == "compare":
        charts.append(compared_chart(result))
    return {"charts": [chart for chart in charts if chart is not None], "matrix": matrix, "images": images}


def compared_chart(result: Mapping[str, Any]) -> Chart | None:
    """The score that stands for each run of a comparison."""
    metric = str(result.get("headline", ""))
    reached = [
        (str(one["run"]), one["metrics"][metric], (one.get("intervals") or {}).get(metric))
        for one in result.get("runs") or ()
        if one["metrics"].get(metric) is not None
    ]
    return figures.runs_chart(metric, reached)


def _lines(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Nested values as lines of a dotted key and a short text; what is None was not asked for."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _lines(inner, f"{key}.{name}" if key else str(name))
    elif value is not None and value not in ([], ()):
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        yield key, text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}…"
