"""Trains a model on a table: reads, splits, fits, scores, exports, and tells what it did and why."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from shared.combinations import problems_of
from shared.errors import RunFailed
from shared.events import DatasetRead, Stage
from shared.specs import Task, TrainSpec
from workers.core import metrics, plots
from workers.core.artifacts import write_artifacts
from workers.core.auto import Fitted, default_time_s, fit_candidates
from workers.core.dataset import Dataset, understand_dataset
from workers.core.development import Development, development
from workers.core.encode import Cells
from workers.core.graph import build_graph
from workers.core.predictor import Predictor
from workers.core.progress import Progress, Report, ShouldStop
from workers.core.report import write_report
from workers.core.runtime import Model, check_model
from workers.core.split import TEST, TRAIN
from workers.core.table import TableWriter
from workers.core.train_facts import (
    baseline_guess,
    data_facts,
    measured_facts,
    model_facts,
    plan_facts,
    resource_facts,
    validation_outputs,
)

TRAIN_SCORED_ROWS = 5_000  # the scores of the training part only say how much was learnt by heart
CHECKED_ROWS = 100_000
"""Of a larger test part, so many rows go through the model file; the others are scored by the trained model itself."""


def train(  # noqa: PLR0913 - all but the first two are how, not what
    data: Path,
    spec: TrainSpec,
    *,
    out: Path,
    report: Report,
    should_stop: ShouldStop,
    threads: int = 1,
    plan: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Train what `spec` asks for on the file `data`; write the artifacts into `out` and return the report.

    With the `plan` of an earlier run's report its candidates are fitted as far as they were then, whatever the time: on
    the same CPU and package versions the weights come out the same, bit by bit. Raises RunFailed with every problem
    that was found, RunStopped when `should_stop()` says so.
    """
    out.mkdir(parents=True, exist_ok=True)
    threads = threads if plan is None else int(plan["threads"])
    torch.set_num_threads(threads)
    # A large table is kept beside the artifacts while it is used; the limit is for the libraries beneath NumPy.
    with threadpool_limits(limits=threads), TemporaryDirectory(prefix=".table-", dir=out.parent) as scratch:
        return _train(data, spec, out=out, scratch=Path(scratch), progress=Progress(report, should_stop), plan=plan)


def _train(
    data: Path, spec: TrainSpec, *, out: Path, scratch: Path, progress: Progress, plan: Mapping[str, Any] | None
) -> dict[str, Any]:
    timing = dict[str, float]()
    progress.stage(Stage.READ)
    with _timed(timing, "load"):
        dataset = understand_dataset(data, spec, writer=TableWriter(scratch, progress.check_now_and_then))
    progress.report(_dataset_read(dataset))
    conflicts = problems_of(spec, dataset.target.task)
    if conflicts:
        raise RunFailed(*conflicts)

    progress.stage(Stage.TRAIN)
    with _timed(timing, "train"):
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        rows = development(dataset, spec, device)
        dataset = replace(dataset, cells=Cells(0, (), ()))  # all of them are in the matrix now
        time_s = spec.time_s or default_time_s(rows.data.x.shape[0] * len(dataset.features), rows.data.outputs)
        follow = None if plan is None else plan["candidates"]
        fitted = fit_candidates(
            rows.data, spec, progress=progress, time_s=time_s, threads=torch.get_num_threads(), follow=follow
        )
        predictor = _predictor(rows, fitted)

    progress.stage(Stage.EVALUATE)
    with _timed(timing, "evaluate"):
        scored = _score(dataset, rows, fitted, predictor)
        measured = measured_facts(dataset, scored.metrics, scored.outputs, spec.seed)

    progress.stage(Stage.EXPORT)
    with _timed(timing, "export"):
        write_artifacts(out, dataset, fitted, predictor, content=scored.content, outputs=scored.outputs)
        actual = dataset.target.values[dataset.parts == TEST]
        plots.measures(out, measured, actual, scored.outputs, dataset.target.classes, dataset.target.name)
    facts = {"kind": "train", **data_facts(dataset), **model_facts(dataset, rows, fitted, predictor), **measured}
    facts |= {"parity": scored.parity, "seed": spec.seed, "split_seed": spec.split_seed, "timing_s": timing}
    facts["plan"] = plan_facts(spec, fitted, time_s=time_s, device=device, width=rows.data.layout.width)
    return write_report(out, facts | resource_facts(rows, fitted, device))


@dataclass(frozen=True)
class _Scored:
    """The model file, its outputs for the test part and all scores."""

    content: bytes
    outputs: np.ndarray
    metrics: dict[str, metrics.Scores]
    parity: dict[str, Any]


class _timed:  # noqa: N801 - reads as a verb where it is used
    """Writes the seconds that its block took into `timing`."""

    def __init__(self, timing: dict[str, float], name: str) -> None:
        self.timing, self.name = timing, name

    def __enter__(self) -> None:
        self.started = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self.timing[self.name] = round(time.perf_counter() - self.started, 3)


def _dataset_read(dataset: Dataset) -> DatasetRead:
    return DatasetRead(
        rows=dataset.table.height,
        columns=len(dataset.table.names),
        target=dataset.target.name,
        task=dataset.target.task.value,
        inferred=dataset.inferred,
        warnings=dataset.warnings,
    )


def _predictor(rows: Development, fitted: Fitted) -> Predictor:
    """What is kept of the candidates, as one model."""
    choice = fitted.choice
    members = [fitted.candidates[name].member for name in choice.weights]
    return Predictor(
        rows.preprocess,
        members,
        list(choice.weights.values()),
        rows.data.task,
        temperature=choice.temperature,
        mean=rows.mean,
        sd=rows.sd,
    ).eval()


def _score(dataset: Dataset, rows: Development, fitted: Fitted, predictor: Predictor) -> _Scored:
    """Build the model file, check it on the test rows' raw cells, and score what it says of them."""
    target, test = dataset.target, np.flatnonzero(dataset.parts == TEST)
    graph = build_graph(predictor, dataset.features, target.classes, target=target.name)
    content = graph.SerializeToString()
    expected = predictor.predict(rows.test)
    checked = test[:CHECKED_ROWS]
    raw = dataset.table.take(checked, [feature.name for feature in dataset.features])
    outputs, parity = check_model(Model(content), raw, expected[: len(checked)], sd=rows.sd)
    rest = expected[len(checked) :]
    outputs = np.concatenate([outputs, rest[:, 0] if target.task is Task.REGRESSION else rest])
    train = np.flatnonzero(dataset.parts[rows.rows] == TRAIN)  # places in the matrix
    train = train[:: -(-len(train) // TRAIN_SCORED_ROWS)]
    learnt = predictor.predict(rows.data.x[torch.from_numpy(train)].cpu())
    judged, said = validation_outputs(rows, fitted)
    scores = {
        "train": metrics.score(target.task, target.values[rows.rows[train]], _flat(learnt, target.task)),
        "validation": metrics.score(target.task, target.values[judged], said),
        "test": metrics.score(target.task, target.values[test], outputs),
        "baseline": metrics.baseline(target.task, target.values[test], baseline_guess(rows)),
    }
    return _Scored(content, outputs, scores, parity)


def _flat(outputs: np.ndarray, task: Task) -> np.ndarray:
    return outputs[:, 0] if task is Task.REGRESSION else outputs
