"""What the report of a train run says of data, model and measures."""

import platform
import resource
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import lightgbm
import numpy as np
import onnxruntime
import torch

from shared.specs import LossName, ModelName, Task, TrainSpec
from workers.core import metrics
from workers.core.aim import Aim
from workers.core.auto import Fitted
from workers.core.coefficients import coefficients
from workers.core.content import content_sha256, parts_sha256, split_sha256
from workers.core.dataset import Dataset
from workers.core.development import Development
from workers.core.encode import as_plain
from workers.core.fold_scores import held_out, kept_held_out
from workers.core.intervals import fold_interval
from workers.core.measures import measure
from workers.core.predictor import Predictor, parameter_count
from workers.core.report import dialect_as_plain
from workers.core.split import PART_NAMES, SHARES, TEST
from workers.core.verdict import Training, missed_quantile, verdict

BLEND = "blend"
CURVE_POINTS = 100


def data_facts(dataset: Dataset) -> dict[str, Any]:
    """How the table was read and understood."""
    counts = {name: int(np.sum(dataset.parts == part)) for part, name in PART_NAMES.items()}
    parts = parts_sha256(dataset)
    return {
        "dataset": {
            "rows": dataset.table.height,
            "columns": len(dataset.table.names),
            "parts": counts,
            "content_sha256": content_sha256(dataset.table),
            "parts_sha256": parts,
        },
        "split_sha256": split_sha256(parts),
        "task": dataset.target.task.value,
        "target": dataset.target.name,
        "target_style": asdict(dataset.target.style),
        "classes": list(dataset.target.classes),
        "columns": _columns(dataset),
        "dialect": dialect_as_plain(dataset.dialect),
        "hash_columns": dataset.hash_columns,
        "hash_readings": {name: reading.as_plain() for name, reading in dataset.hash_readings.items()},
        "hash_counted": dataset.hash_counted,
    }


def model_facts(dataset: Dataset, rows: Development, fitted: Fitted, predictor: Predictor) -> dict[str, Any]:
    """Which model was kept and what each candidate reached."""
    kept, values = list(fitted.choice.weights), dataset.target.values[rows.rows]
    return {
        "model": kept[0].value if len(kept) == 1 else BLEND,
        "candidates": {name.value: _candidate(rows, values, fitted, name) for name in fitted.candidates},
        "parameters": parameter_count(predictor),
        "choice": fitted.choice.sentence,
        "chosen_by": aim_of(rows).metric,
        "judged_by": aim_of(rows).as_plain(),
        "temperature": fitted.choice.temperature,
        "baseline_guess": baseline_guess(rows),
        "inferred": [*dataset.inferred, *([fitted.choice.sentence] if fitted.choice.sentence else [])],
        "warnings": [*dataset.warnings, *fitted.notes],
        "repairs": [asdict(repair) for repair in dataset.repairs],
        "findings": [asdict(finding) for finding in dataset.findings],
        **coefficients(predictor, dataset.features, dataset.target.classes),
    }


def measured_facts(  # noqa: PLR0913 - the parts of a run, and what came of them
    dataset: Dataset,
    rows: Development,
    fitted: Fitted,
    scores: dict[str, metrics.Scores],
    outputs: np.ndarray,
    *,
    seed: int,
    check: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """The scores with their intervals, and what the learning curve says; `outputs` are those of the test rows. `check`
    is called between the parts of the work.
    """
    target, test, aim = dataset.target, np.flatnonzero(dataset.parts == TEST), aim_of(rows)
    headline = metrics.headline(target.task, aim)
    held = kept_held_out(rows, target.values[rows.rows], fitted)
    measured = measure(
        target.task,
        target.values[test],
        outputs,
        classes=target.classes,
        rows=dataset.table.file_rows(test),
        aim=aim,
        seed=seed,
        check=check,
    )
    interval = fold_interval(target.task, held, headline, aim=aim, check=check)
    parts = (scores[part] for part in ("train", "validation", "baseline"))
    said = verdict(headline, *parts, training=_training(rows, fitted), interval=interval)
    if aim.loss is LossName.QUANTILE:
        covered = scores["test"].get("coverage"), measured["intervals"]["test"].get("coverage")
        said = f"{said} {missed_quantile(aim.quantile, *covered)}".rstrip()
    return {"metrics": scores, "headline": headline, **measured, "verdict": said}


def plan_facts(
    spec: TrainSpec, fitted: Fitted, rows: Development, *, time_s: float, device: torch.device
) -> dict[str, Any]:
    """Every default as it was resolved: enough to train the same again without a clock."""
    kept = list(fitted.choice.weights)
    versions = {
        "torch": torch.__version__,
        "lightgbm": lightgbm.__version__,
        "onnxruntime": onnxruntime.__version__,
        "python": platform.python_version(),
    }
    return {
        **(fitted.plan[kept[0].value] if len(kept) == 1 else {}),
        "model": kept[0].value if len(kept) == 1 else BLEND,
        "seed": spec.seed,
        "split_seed": spec.split_seed,
        "split": _split(spec, rows),
        "time_s": time_s,
        "device": device.type,
        "threads": torch.get_num_threads(),
        "inputs": rows.data.layout.width,
        "versions": versions,
        "candidates": fitted.plan,
        "weights": {name.value: weight for name, weight in fitted.choice.weights.items()},
        "temperature": fitted.choice.temperature,
        "epochs_done": max(fitted.plan[name.value]["epochs_done"] for name in kept),
    }


def resource_facts(rows: Development, fitted: Fitted, device: torch.device) -> dict[str, Any]:
    """Peak memory of the process in MB, and how many rows a second the candidates learnt from, epochs counted."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    facts: dict[str, Any] = {"peak_memory_mb": round(peak, 1)}
    if device.type == "cuda":
        facts["peak_gpu_memory_mb"] = round(torch.cuda.max_memory_allocated(device) / 2**20, 1)
    learnt = sum(
        candidate.plan["epochs_done"] * len(rows.data.folds[0].train) for candidate in fitted.candidates.values()
    )
    return facts | {"rows_per_s": round(learnt / max(1e-9, sum(fitted.seconds.values())))}


def aim_of(rows: Development) -> Aim:
    """What the run is judged by, in the unit of the target."""
    return rows.data.objective.aim(sd=rows.sd)


def baseline_guess(rows: Development) -> list[float]:
    """What a model without features would say, of the development rows: the constant that suits the loss best, or the
    class shares.
    """
    if rows.data.task is Task.REGRESSION:
        if rows.data.objective.name is LossName.MSE:
            return [rows.mean]
        return [aim_of(rows).best_constant(rows.data.y.cpu().numpy()[:, 0].astype(np.float64) * rows.sd + rows.mean)]
    counts = torch.bincount(rows.data.y, minlength=rows.data.outputs)
    return [float(share) for share in counts / counts.sum()]


def _training(rows: Development, fitted: Fitted) -> Training:
    """Of the candidate that weighs most."""
    name = max(fitted.choice.weights, key=lambda one: fitted.choice.weights[one])
    candidate = fitted.candidates[name]
    return Training(
        model=name,
        rows=len(rows.data.folds[0].train),
        ended_by=candidate.plan["ended_by"],
        curve=candidate.curve,
        has_rate=candidate.plan.get("lr", candidate.plan.get("learning_rate")) is not None,
    )


def _split(spec: TrainSpec, rows: Development) -> dict[str, Any]:
    """How rows were dealt, and into how many folds those that do not test."""
    kind, column = ("group", spec.group) if spec.group else ("time", spec.time) if spec.time else ("random", None)
    shares = dict(zip(("train", "validation", "test"), SHARES, strict=True))
    seed = None if kind == "time" else spec.split_seed
    return {"kind": kind, "column": column, "seed": seed, "shares": shares, "folds": len(rows.data.folds)}


def _candidate(rows: Development, values: np.ndarray, fitted: Fitted, name: ModelName) -> dict[str, Any]:
    candidate = fitted.candidates[name]
    held = held_out(rows, values, candidate.outputs, fitted.choice.temperatures.get(name, 1.0))
    return {
        "validation": metrics.score_folds(rows.data.task, held, aim_of(rows)),
        "validation_loss": candidate.validation_loss,
        "weight": fitted.choice.weights.get(name, 0.0),
        "seconds": round(fitted.seconds[name], 3),
        "curve": _thinned(candidate.curve),
        **{key: candidate.plan[key] for key in ("epochs_done", "ended_by")},
    }


def _thinned(curve: list[tuple[float, float]]) -> list[list[float]]:
    """Epoch, training and validation loss: the first, the best, the last and some between them."""
    step = max(1, -(-len(curve) // CURVE_POINTS))
    best = min(range(len(curve)), key=lambda at: curve[at][1], default=0)
    kept = sorted({*range(0, len(curve), step), best, len(curve) - 1}) if curve else []
    return [[k + 1, *curve[k]] for k in kept]


def _columns(dataset: Dataset) -> list[dict[str, Any]]:
    inputs = {feature.name: as_plain(feature) for feature in dataset.features}
    known = {column.name: column for column in dataset.columns}
    columns = []
    for name in dataset.table.names:
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
