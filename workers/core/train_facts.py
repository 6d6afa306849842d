"""What the report of a train run says of data, model and measures."""

import platform
import resource
from dataclasses import asdict
from typing import Any

import lightgbm
import numpy as np
import onnxruntime
import torch

from shared.specs import ModelName, Task, TrainSpec
from workers.core import metrics
from workers.core.auto import Fitted, blended_outputs
from workers.core.blend import CHOSEN_BY
from workers.core.coefficients import coefficients
from workers.core.dataset import Dataset
from workers.core.development import Development
from workers.core.encode import as_plain
from workers.core.measures import measure
from workers.core.predictor import Predictor, cooled
from workers.core.report import dialect_as_plain
from workers.core.split import PART_NAMES, TEST, TRAIN
from workers.core.verdict import verdict

BLEND = "blend"
CURVE_POINTS = 100


def data_facts(dataset: Dataset) -> dict[str, Any]:
    """How the table was read and understood."""
    counts = {name: int(np.sum(dataset.parts == part)) for part, name in PART_NAMES.items()}
    return {
        "dataset": {"rows": dataset.table.height, "columns": len(dataset.table.names), "parts": counts},
        "task": dataset.target.task.value,
        "target": dataset.target.name,
        "target_style": asdict(dataset.target.style),
        "classes": list(dataset.target.classes),
        "columns": _columns(dataset),
        "dialect": dialect_as_plain(dataset.dialect),
        "hash_columns": dataset.hash_columns,
        "hash_counted": dataset.hash_counted,
    }


def model_facts(dataset: Dataset, rows: Development, fitted: Fitted, predictor: Predictor) -> dict[str, Any]:
    """Which model was kept and what each candidate reached."""
    kept = list(fitted.choice.weights)
    return {
        "model": kept[0].value if len(kept) == 1 else BLEND,
        "candidates": {name.value: _candidate(rows, fitted, name) for name in fitted.candidates},
        "choice": fitted.choice.sentence,
        "chosen_by": CHOSEN_BY[rows.data.task],
        "temperature": fitted.choice.temperature,
        "baseline_guess": baseline_guess(rows),
        "inferred": [*dataset.inferred, *([fitted.choice.sentence] if fitted.choice.sentence else [])],
        "warnings": [*dataset.warnings, *fitted.notes],
        "repairs": [asdict(repair) for repair in dataset.repairs],
        "findings": [asdict(finding) for finding in dataset.findings],
        **coefficients(predictor, dataset.features, dataset.target.classes),
    }


def measured_facts(
    dataset: Dataset, scores: dict[str, metrics.Scores], outputs: np.ndarray, seed: int
) -> dict[str, Any]:
    """The scores with their intervals, and what the learning curve says; `outputs` are those of the test rows."""
    target, test = dataset.target, np.flatnonzero(dataset.parts == TEST)
    actual = target.values[test]
    headline = metrics.HEADLINE[target.task]
    return {
        "metrics": scores,
        "headline": headline,
        **measure(target.task, actual, outputs, classes=target.classes, rows=test + 1, seed=seed),
        "verdict": verdict(
            target.task,
            scores["train"],
            scores["validation"],
            scores["baseline"],
            rows=int(np.sum(dataset.parts == TRAIN)),
        ),
    }


def plan_facts(spec: TrainSpec, fitted: Fitted, *, time_s: float, device: torch.device, width: int) -> dict[str, Any]:
    """Every default as it was resolved: enough to train the same again without a clock."""
    kept = list(fitted.choice.weights)
    versions = {
        "torch": torch.__version__,
        "lightgbm": lightgbm.__version__,
        "onnxruntime": onnxruntime.__version__,
        "python": platform.python_version(),
    }
    return {
        "model": kept[0].value if len(kept) == 1 else BLEND,
        "seed": spec.seed,
        "split_seed": spec.split_seed,
        "time_s": time_s,
        "device": device.type,
        "threads": torch.get_num_threads(),
        "width": width,
        "versions": versions,
        "candidates": fitted.plan,
        "weights": {name.value: weight for name, weight in fitted.choice.weights.items()},
        "temperature": fitted.choice.temperature,
        "epochs_done": max(fitted.plan[name.value]["epochs_done"] for name in kept),
        **(fitted.plan[kept[0].value] if len(kept) == 1 else {}),
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


def baseline_guess(rows: Development) -> list[float]:
    """What a model without features would say: the mean, or the class shares, of the development rows."""
    if rows.data.task is Task.REGRESSION:
        return [rows.mean]
    counts = torch.bincount(rows.data.y, minlength=rows.data.outputs)
    return [float(share) for share in counts / counts.sum()]


def validation_outputs(rows: Development, fitted: Fitted) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the table, and what the kept model says of each with those folds that had not learnt from it."""
    return _judged(rows, blended_outputs(fitted), fitted.choice.temperature)


def _judged(rows: Development, outputs: np.ndarray, temperature: float) -> tuple[np.ndarray, np.ndarray]:
    known = np.isfinite(outputs).all(axis=1)
    said = torch.from_numpy(outputs[known])
    if rows.data.task is Task.REGRESSION:
        return rows.rows[known], (said.double() * rows.sd + rows.mean).float().numpy()[:, 0]
    return rows.rows[known], (cooled(said, temperature) if temperature != 1.0 else said).numpy()


def _candidate(rows: Development, fitted: Fitted, name: ModelName) -> dict[str, Any]:
    candidate = fitted.candidates[name]
    places = np.isfinite(candidate.outputs).all(axis=1)
    _, said = _judged(rows, candidate.outputs, 1.0)
    y = rows.data.y.cpu().numpy()[places]
    actual = y[:, 0].astype(np.float64) * rows.sd + rows.mean if rows.data.task is Task.REGRESSION else y
    return {
        "validation": metrics.score(rows.data.task, actual, said),
        "validation_loss": candidate.validation_loss,
        "weight": fitted.choice.weights.get(name, 0.0),
        "seconds": round(fitted.seconds[name], 3),
        "curve": _thinned(candidate.curve),
        **{key: candidate.plan[key] for key in ("epochs_done", "ended_by")},
    }


def _thinned(curve: list[tuple[float, float]]) -> list[list[float]]:
    """Epoch, training and validation loss: the first, the last and some between them."""
    step = max(1, -(-len(curve) // CURVE_POINTS))
    kept = sorted({*range(0, len(curve), step), len(curve) - 1} - {-1})
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
