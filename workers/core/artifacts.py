"""The files that a train run leaves, but for its report."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import torch
from safetensors.torch import save

from shared.specs import ModelName
from workers.core import plots
from workers.core.auto import Fitted
from workers.core.dataset import Dataset
from workers.core.models.candidate import Candidate
from workers.core.objective import Objective
from workers.core.predictor import Predictor, TreeMember
from workers.core.replay import WEIGHTS
from workers.core.report import prediction_columns
from workers.core.split import PART_NAMES, TEST


def write_artifacts(  # noqa: PLR0913 - the parts of a run, and what came of them
    out: Path,
    dataset: Dataset,
    fitted: Fitted,
    predictor: Predictor,
    *,
    objective: Objective,
    content: bytes,
    outputs: np.ndarray,
    check: Callable[[], None] = lambda: None,
) -> None:
    """Write the model file `content`, the weights, which row was in which part, the test predictions and the plots.

    `outputs` holds what the model says of the test rows. `check` is called between them and may end the work by
    raising.
    """
    (out / "model.onnx").write_bytes(content)
    kept = ",".join(name.value for name in fitted.choice.weights)
    (out / WEIGHTS).write_bytes(save(weights(predictor), metadata={"model": kept}))
    check()
    parts = pl.Series(dataset.parts).replace_strict(PART_NAMES, return_dtype=pl.String)
    numbers = dataset.table.file_rows(np.arange(len(parts)))
    rows = pl.DataFrame({"row": numbers, "row_hash": dataset.hashes, "part": parts})
    rows.write_parquet(out / "rows.parquet")
    check()
    target, test = dataset.target, np.flatnonzero(dataset.parts == TEST)
    classes = np.array(target.classes, dtype=object)
    labels = classes[outputs.argmax(axis=1)] if target.classes else []
    actual = classes[target.values[test]] if target.classes else target.values[test]
    table = {
        "row": pl.Series(numbers[test]),
        "row_hash": rows["row_hash"][test],
        "actual": pl.Series(actual, dtype=pl.String if target.classes else pl.Float64),
    }
    table |= prediction_columns(target.task, outputs, target.classes, labels)
    pl.DataFrame(table).write_csv(out / "test_predictions.csv")
    check()
    curves = {name.value: _curve(candidate, objective) for name, candidate in fitted.candidates.items()}
    plots.loss_curve(out / "loss_curve.png", curves)
    check()
    plots.outcome(out, target.task, target.values[test], outputs, target.classes, target.name)


def weights(predictor: Predictor) -> dict[str, torch.Tensor]:
    """Everything that was fitted: the tensors of preprocessing and networks, and trees as the bytes of LightGBM's text
    format.
    """
    state = {name: tensor.contiguous() for name, tensor in predictor.state_dict().items()}
    for member in predictor.members:
        if isinstance(member, TreeMember):
            for k, booster in enumerate(member.boosters):
                text = np.frombuffer(booster.model_to_string().encode(), dtype=np.uint8)
                state[f"trees.{k}"] = torch.from_numpy(text.copy())
    return state


def _curve(candidate: Candidate, objective: Objective) -> plots.Curve:
    """Its losses, and what they are called."""
    counted, plan = "Epoch", candidate.plan
    if candidate.name is ModelName.GBDT:
        counted = "Tree"
    elif plan.get("l2_before") is not None:
        counted = f"Iteration, on from the solution for l2={plan['l2_before']:.3g}"
    elif plan["lr"] is None:
        counted = "Iteration"
    return plots.Curve(candidate.curve, objective.in_words(), counted)
