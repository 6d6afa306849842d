"""Trains a model on a table: reads, splits, fits, scores, exports, and tells what it did and why."""

import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import polars as pl
import torch
from safetensors.torch import save

from shared.errors import Problem, RunFailed
from shared.events import DatasetRead, Stage
from shared.specs import ModelName, Task, TrainSpec
from workers.core import metrics, plots
from workers.core.dataset import Dataset, understand_dataset
from workers.core.encode import as_plain
from workers.core.features import Network, Preprocess, mean_and_sd, preprocess_rows, run_network
from workers.core.graph import build_graph
from workers.core.loop import Data, Fit
from workers.core.models import MODELS
from workers.core.progress import Clock, Progress, Report, ShouldStop
from workers.core.report import dialect_as_plain, prediction_columns, write_report
from workers.core.runtime import Model, check_model
from workers.core.split import PART_NAMES, TEST, TRAIN, VALIDATION

# Of the time for `auto`, the share that a model may take while others still wait.
_FIRST_SHARE = 0.5


def train(
    data: Path, spec: TrainSpec, *, out: Path, report: Report, should_stop: ShouldStop, threads: int = 1
) -> dict[str, Any]:
    """Train what `spec` asks for on the file `data`; write the artifacts into `out` and return the report.

    Raises RunFailed with every problem that was found, RunStopped when `should_stop()` says so.
    """
    torch.set_num_threads(threads)
    out.mkdir(parents=True, exist_ok=True)
    progress, timing = Progress(report, should_stop), dict[str, float]()

    progress.stage(Stage.READ)
    with _timed(timing, "load"):
        dataset = understand_dataset(data, spec)
    report(_dataset_read(dataset))

    progress.stage(Stage.TRAIN)
    with _timed(timing, "train"):
        trained = _train_models(dataset, spec, progress)

    progress.stage(Stage.EVALUATE)
    with _timed(timing, "evaluate"):
        scored = _score(dataset, trained)

    progress.stage(Stage.EXPORT)
    with _timed(timing, "export"):
        _write_artifacts(out, dataset, trained, scored)
    return write_report(out, _facts(dataset, trained, scored, spec, timing) | {"plan": _plan(trained, spec, threads)})


@dataclass(frozen=True)
class _Trained:
    """The kept model and what each candidate reached."""

    name: ModelName
    network: Network
    fit: Fit
    candidates: dict[str, dict[str, Any]]
    curves: dict[str, list[tuple[float, float]]]
    warnings: tuple[str, ...]
    device: str


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
        rows=dataset.frame.height,
        columns=dataset.frame.width,
        target=dataset.target.name,
        task=dataset.target.task.value,
        inferred=dataset.inferred,
        warnings=dataset.warnings,
    )


def _train_models(dataset: Dataset, spec: TrainSpec, progress: Progress) -> _Trained:
    """Train the model asked for, or each of them inside the time budget, and keep the best on the validation part."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    preprocess = Preprocess(dataset.features, dataset.part_cells(TRAIN))
    mean, sd = 0.0, 1.0
    if dataset.target.task is Task.REGRESSION:
        mean, sd = mean_and_sd(dataset.target.values[dataset.parts == TRAIN])
    data = _tensors(dataset, preprocess, device, mean=mean, sd=sd)
    wanted = list(MODELS) if spec.model is ModelName.AUTO else [spec.model]
    whole, fits = Clock.start(spec.time_s), dict[ModelName, tuple[Fit, float]]()
    warnings, problems = _unused_words(spec), list[Problem]()
    for k, name in enumerate(wanted):
        left = spec.time_s - whole.seconds()
        if fits and left <= 0:
            warnings.append(f"The time was over before `{name.value}` could be trained; give more with time=...")
            continue
        clock = Clock.start(left * (_FIRST_SHARE if k < len(wanted) - 1 else 1.0))
        try:
            fit = MODELS[name](data, spec, progress=progress, clock=clock)
        except RunFailed as error:  # another candidate may do better
            problems += error.problems
            warnings.append(f"`{name.value}` could not be trained: {error}")
            continue
        fits[name] = (fit, clock.seconds())
        if fit.plan["ended_by"] == "time":
            warnings.append(f"`{name.value}` was stopped by the time budget; give more with time=...")
        if fit.plan["ended_by"] == "diverged":
            warnings.append(
                f"The loss of `{name.value}` exploded, so an epoch before that was kept; give a smaller lr="
            )
    if not fits:
        raise RunFailed(*problems)
    kept = min(fits, key=lambda name: fits[name][0].validation_loss)
    candidates, networks = {}, {}
    for name, (fit, seconds) in fits.items():
        networks[name] = Network(preprocess, fit.body.cpu().eval(), dataset.target.task, mean=mean, sd=sd).eval()
        candidates[name.value] = {
            "validation": _part_scores(dataset, networks[name], VALIDATION),
            "validation_loss": fit.validation_loss,
            "seconds": round(seconds, 3),
            **{key: fit.plan[key] for key in ("epochs_done", "ended_by")},
        }
    curves = {name.value: fit.curve for name, (fit, _) in fits.items()}
    return _Trained(kept, networks[kept], fits[kept][0], candidates, curves, tuple(warnings), device.type)


def _unused_words(spec: TrainSpec) -> list[str]:
    """A warning where the model that was asked for has no use for a word."""
    words = [f"{name}=" for name, value in (("lr", spec.lr), ("batch", spec.batch)) if value is not None]
    if spec.model is not ModelName.LINEAR or spec.optimizer is not None or not words:
        return []
    return [f"`linear` is solved to its optimum without {' and '.join(words)}; to use them, name an optimizer=."]


def _tensors(dataset: Dataset, preprocess: Preprocess, device: torch.device, *, mean: float, sd: float) -> Data:
    def x(part: int) -> torch.Tensor:
        return preprocess_rows(preprocess, dataset.cells, np.flatnonzero(dataset.parts == part)).to(device)

    def y(part: int) -> torch.Tensor:
        values = dataset.target.values[dataset.parts == part]
        if dataset.target.task is not Task.REGRESSION:
            return torch.from_numpy(values).to(device)
        return torch.from_numpy((values - mean) / sd).float()[:, None].to(device)

    outputs = len(dataset.target.classes) or 1
    return Data(dataset.target.task, outputs, x(TRAIN), y(TRAIN), x(VALIDATION), y(VALIDATION))


def _score(dataset: Dataset, trained: _Trained) -> _Scored:
    """Build the model file, check it on the test rows' raw cells, and score what the file says of them."""
    target, test = dataset.target, dataset.parts == TEST
    graph = build_graph(trained.network, dataset.features, target.classes, target=target.name)
    content = graph.SerializeToString()
    expected = run_network(trained.network, dataset.part_cells(TEST))
    sd = float(trained.network.target_sd)
    outputs, parity = check_model(Model(content), dataset.frame.filter(pl.Series(test)), expected, sd=sd)
    scores = {
        "train": _part_scores(dataset, trained.network, TRAIN),
        "validation": _part_scores(dataset, trained.network, VALIDATION),
        "test": metrics.score(target.task, target.values[test], outputs),
        "baseline": metrics.baseline(target.task, target.values[test], _guess(dataset, trained)),
    }
    return _Scored(content, outputs, scores, parity)


def _part_scores(dataset: Dataset, network: Network, part: int) -> metrics.Scores:
    outputs = run_network(network, dataset.part_cells(part))
    outputs = outputs[:, 0] if network.task is Task.REGRESSION else outputs
    return metrics.score(network.task, dataset.target.values[dataset.parts == part], outputs)


def _write_artifacts(out: Path, dataset: Dataset, trained: _Trained, scored: _Scored) -> None:
    (out / "model.onnx").write_bytes(scored.content)
    state = {name: tensor.contiguous() for name, tensor in trained.network.state_dict().items()}
    (out / "weights.safetensors").write_bytes(save(state, metadata={"model": trained.name.value}))
    parts = [PART_NAMES[int(part)] for part in dataset.parts]
    rows = pl.DataFrame({"row": np.arange(1, len(parts) + 1), "row_hash": dataset.hashes, "part": parts})
    rows.write_parquet(out / "rows.parquet")
    target, test = dataset.target, np.flatnonzero(dataset.parts == TEST)
    labels = [target.classes[k] for k in scored.outputs.argmax(axis=1)] if target.classes else []
    actual = [target.classes[k] for k in target.values[test]] if target.classes else target.values[test]
    table = {
        "row": pl.Series(test + 1),
        "row_hash": pl.Series([dataset.hashes[row] for row in test]),
        "actual": pl.Series(actual),
    }
    table |= prediction_columns(target.task, scored.outputs, target.classes, labels)
    pl.DataFrame(table).write_csv(out / "test_predictions.csv")
    plots.loss_curve(out / "loss_curve.png", trained.curves, target.task)
    plots.outcome(out, target.task, target.values[test], scored.outputs, target.classes, target.name)


def _facts(
    dataset: Dataset, trained: _Trained, scored: _Scored, spec: TrainSpec, timing: dict[str, float]
) -> dict[str, Any]:
    """The report, but for the plan."""
    target = dataset.target
    counts = {name: int(np.sum(dataset.parts == part)) for part, name in PART_NAMES.items()}
    return {
        "kind": "train",
        "dataset": {"rows": dataset.frame.height, "columns": dataset.frame.width, "parts": counts},
        "task": target.task.value,
        "target": target.name,
        "classes": list(target.classes),
        "baseline_guess": _guess(dataset, trained),
        "model": trained.name.value,
        "metrics": scored.metrics,
        "headline": metrics.HEADLINE[target.task],
        "candidates": trained.candidates,
        "parity": scored.parity,
        "timing_s": timing,
        "seed": spec.seed,
        "split_seed": spec.split_seed,
        "inferred": [*dataset.inferred, *_kept(trained)],
        "warnings": [*dataset.warnings, *trained.warnings],
        "columns": _columns(dataset),
        "dialect": dialect_as_plain(dataset.dialect),
        "hash_columns": dataset.hash_columns,
        "hash_counted": dataset.hash_counted,
    }


def _guess(dataset: Dataset, trained: _Trained) -> list[float]:
    """What a model without features would say: the mean, or the class shares, of the training part."""
    if dataset.target.task is Task.REGRESSION:
        return [float(trained.network.target_mean)]
    values = dataset.target.values[dataset.parts == TRAIN]
    return [float(share) for share in np.bincount(values, minlength=len(dataset.target.classes)) / len(values)]


def _kept(trained: _Trained) -> Sequence[str]:
    if len(trained.candidates) < 2:
        return ()
    reached = ", ".join(f"{name} {facts['validation_loss']:.4g}" for name, facts in trained.candidates.items())
    return (
        f"Model: {trained.name.value}, the lowest loss on the validation part ({reached}); change it with "
        "model=linear or model=mlp.",
    )


def _columns(dataset: Dataset) -> list[dict[str, Any]]:
    inputs = {feature.name: as_plain(feature) for feature in dataset.features}
    known = {column.name: column for column in dataset.columns}
    columns = []
    for name in dataset.frame.columns:
        if name == dataset.target.name:
            columns.append(
                {"name": name, "kind": "target", "reason": "what is predicted", "used": False, "input": None}
            )
            continue
        column = known[name]
        plain = {"name": name, "kind": column.kind.value, "reason": column.reason, "used": column.used}
        columns.append(
            {**plain, "missing": column.missing, "others": column.others, "input": None} | inputs.get(name, {})
        )
    return columns


def _plan(trained: _Trained, spec: TrainSpec, threads: int) -> dict[str, Any]:
    """Every default as it was resolved: enough to train the same again without a clock."""
    versions = {"torch": torch.__version__, "onnxruntime": onnxruntime.__version__, "python": platform.python_version()}
    return {
        "model": trained.name.value,
        "seed": spec.seed,
        "split_seed": spec.split_seed,
        "time_s": spec.time_s,
        "device": trained.device,
        "threads": threads,
        "width": trained.network.preprocess.width,
        "versions": versions,
        **trained.fit.plan,
    }
