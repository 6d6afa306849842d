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
from shared.specs import Device, Task, TrainSpec
from workers.core import metrics, plots
from workers.core.artifacts import write_artifacts
from workers.core.auto import Fitted, default_time_s, fit_candidates
from workers.core.checkpoints import Checkpoints
from workers.core.dataset import Dataset, understand_dataset
from workers.core.development import Development, development
from workers.core.device import choose_device
from workers.core.encode import Cells
from workers.core.energy import GpuUse
from workers.core.environment import write_environment
from workers.core.fold_scores import kept_held_out, kept_learnt
from workers.core.going_on import go_on
from workers.core.graph import build_graph
from workers.core.memory import memory_needed_by, ran_out
from workers.core.predictor import Predictor
from workers.core.profile import write_profile
from workers.core.progress import Progress, Report, ShouldStop
from workers.core.report import write_report
from workers.core.runtime import Model, check_model
from workers.core.split import TEST
from workers.core.table import TableWriter
from workers.core.train_facts import (
    aim_of,
    baseline_guess,
    data_facts,
    measured_facts,
    model_facts,
    plan_facts,
    resource_facts,
)

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
    checkpoints: Checkpoints | None = None,
) -> dict[str, Any]:
    """Train what `spec` asks for on the file `data`; write the artifacts into `out` and return the report.

    With the `plan` of an earlier run's report its candidates are fitted as they were then, as far as they were, and put
    together as they were, whatever the time and the defaults of today: on the same CPU and package versions the weights
    come out the same, bit by bit. With `checkpoints` what was learnt is
    saved from time to time and before a stop, and a run that was interrupted goes on from there, to the same weights.
    Raises RunFailed with every problem that was found, RunStopped when `should_stop()` says so.
    """
    out.mkdir(parents=True, exist_ok=True)
    threads = threads if plan is None else int(plan["threads"])
    torch.set_num_threads(threads)
    # A large table is kept beside the artifacts while it is used; the limit is for the libraries beneath NumPy.
    with threadpool_limits(limits=threads), TemporaryDirectory(prefix=".table-", dir=out.parent) as scratch:
        progress = Progress(report, should_stop)
        return _train(data, spec, out=out, scratch=Path(scratch), progress=progress, plan=plan, checkpoints=checkpoints)


def _train(  # noqa: PLR0913 - those of `train`
    data: Path,
    spec: TrainSpec,
    *,
    out: Path,
    scratch: Path,
    progress: Progress,
    plan: Mapping[str, Any] | None,
    checkpoints: Checkpoints | None,
) -> dict[str, Any]:
    timing, device, used = dict[str, float](), choose_device(spec.device), GpuUse()
    progress.stage(Stage.READ)
    with _timed(timing, "load"):
        dataset = understand_dataset(data, spec, writer=TableWriter(scratch, progress.check_now_and_then))
    progress.report(_dataset_read(dataset))
    conflicts = problems_of(spec, dataset.target.task)
    if conflicts:
        raise RunFailed(*conflicts)

    progress.stage(Stage.TRAIN)
    with _timed(timing, "train"):
        rows, device, notes = _developed(dataset, spec, device)
        progress.check()
        dataset = replace(dataset, cells=Cells(0, (), ()))  # all of them are in the matrix now
        time_s = spec.time_s or default_time_s(rows.data.x.shape[0] * len(dataset.features), rows.data.outputs)
        if checkpoints is not None:
            go_on(progress, checkpoints, rows.data, spec, None if plan is None else plan["candidates"])
        fitted = fit_candidates(
            rows.data, spec, progress=progress, time_s=time_s, threads=torch.get_num_threads(), follow=plan
        )
        fitted.notes[:0] = notes
        predictor = _predictor(rows, fitted)

    progress.stage(Stage.EVALUATE)
    with _timed(timing, "evaluate"):
        scored = _score(dataset, rows, fitted, predictor, progress)
        measured = measured_facts(
            dataset, rows, fitted, scored.metrics, scored.outputs, seed=spec.seed, check=progress.check
        )
        said_of_model = model_facts(dataset, rows, fitted, predictor)

    progress.stage(Stage.EXPORT)
    with _timed(timing, "export"):
        write_artifacts(
            out,
            dataset,
            fitted,
            predictor,
            objective=rows.data.objective,
            content=scored.content,
            outputs=scored.outputs,
            check=progress.check,
        )
        progress.check()
        actual = dataset.target.values[dataset.parts == TEST]
        plots.measures(out, measured, actual, scored.outputs, dataset.target.classes, dataset.target.name)
        write_environment(out)
        write_profile(out, dataset)
    facts = {"kind": "train", **data_facts(dataset), **said_of_model, **measured}
    facts |= {"parity": scored.parity, "seed": spec.seed, "split_seed": spec.split_seed, "timing_s": timing}
    facts["plan"] = plan_facts(spec, fitted, rows, time_s=time_s, device=device)
    if progress.keeper is not None:
        facts["checkpoints"] = progress.keeper.facts()
        facts["warnings"] += progress.keeper.notes
    return write_report(out, facts | resource_facts(rows, fitted, device) | used.facts())


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


def _developed(dataset: Dataset, spec: TrainSpec, device: torch.device) -> tuple[Development, torch.device, list[str]]:
    """The rows on the device, or on the CPU where a GPU that nobody asked for has no room; the notes say so.

    Raises RunFailed `out_of_memory`.
    """
    with memory_needed_by("The table"):
        try:
            return development(dataset, spec, device), device, []
        except Exception as error:
            if device.type == "cpu" or spec.device is not Device.AUTO or not ran_out(error):
                raise
        cpu = torch.device("cpu")
        note = "The GPU has no room for the table, so the CPU trained."
        return development(dataset, spec, cpu), cpu, [note]


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


def _score(dataset: Dataset, rows: Development, fitted: Fitted, predictor: Predictor, progress: Progress) -> _Scored:
    """Build the model file, check it on the test rows' raw cells, and score what it says of them."""
    target, test = dataset.target, np.flatnonzero(dataset.parts == TEST)
    graph = build_graph(predictor, dataset.features, target.classes, target=target.name)
    content = graph.SerializeToString()
    expected = predictor.predict(rows.test, check=progress.check_now_and_then)
    checked = test[:CHECKED_ROWS]
    raw = dataset.table.take(checked, [feature.name for feature in dataset.features])
    progress.check()
    outputs, parity = check_model(Model(content), raw, expected[: len(checked)], sd=rows.sd, progress=progress)
    rest = expected[len(checked) :]
    outputs = np.concatenate([outputs, rest[:, 0] if target.task is Task.REGRESSION else rest])
    values, aim = target.values[rows.rows], aim_of(rows)
    learnt = kept_learnt(rows, values, fitted, progress.check_now_and_then)
    progress.check()
    scores = {
        "train": metrics.score_folds(target.task, learnt, aim),
        "validation": metrics.score_folds(target.task, kept_held_out(rows, values, fitted), aim),
        "test": metrics.score(target.task, target.values[test], outputs, aim),
        "baseline": metrics.baseline(target.task, target.values[test], baseline_guess(rows), aim),
    }
    progress.check()
    return _Scored(content, outputs, scores, parity)
