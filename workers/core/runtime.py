"""Runs a model file in ONNX Runtime on the cells of a table, as any client of the file would."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime
import polars as pl

from shared.errors import failed
from shared.specs import Task
from workers.core.encode import InputType, as_float32, parse_numbers
from workers.core.progress import Progress

CHUNK_ROWS = 8192


@dataclass(frozen=True)
class Input:
    """One input of a model file."""

    name: str
    column: str
    """The column of the dataset that it takes."""
    type: InputType


class Model:
    """A model file, loaded."""

    def __init__(self, content: bytes) -> None:
        """Raises RunFailed `model_unreadable`."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4  # what it would print is raised as well
        try:
            self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
            facts = self._session.get_modelmeta().custom_metadata_map
            columns: dict[str, str] = json.loads(facts["columns"])
            self.classes: list[str] = json.loads(facts["classes"])
            self.task, self.target = Task(json.loads(facts["task"])), str(json.loads(facts["target"]))
        except Exception as error:  # its exceptions have no common base but this one
            raise failed(
                "model_unreadable",
                f"A model file must be one that a train run wrote; this one cannot be loaded ({_first_line(error)}).",
                "Train again.",
            ) from error
        self.inputs = [Input(i.name, columns[i.name], InputType(i.type)) for i in self._session.get_inputs()]
        # The first dimension as the file declares it: a name where any number of rows is allowed.
        self.declared_rows = [t.shape[0] for t in (*self._session.get_inputs(), *self._session.get_outputs())]

    @property
    def columns(self) -> list[str]:
        """The columns that it needs."""
        return [one.column for one in self.inputs]

    def run(self, frame: pl.DataFrame, progress: Progress | None = None) -> np.ndarray:
        """[rows, classes] probabilities or [rows] predictions, float32, for a table of strings that has `columns`."""
        output = "prediction" if self.task is Task.REGRESSION else "probabilities"
        chunks = []
        for start in range(0, max(1, frame.height), CHUNK_ROWS):
            if progress:
                progress.check_now_and_then()
            chunks.append(self._session.run([output], self._fed(frame.slice(start, CHUNK_ROWS)))[0])
        values = np.concatenate(chunks)
        return values[:, 0] if self.task is Task.REGRESSION else values

    def overflows(self, frame: pl.DataFrame) -> np.ndarray:
        """[rows] bool: rows with a number that no float32 holds; whatever is said of them would be about infinity."""
        beyond = np.zeros(frame.height, dtype=bool)
        for one in self.inputs:
            if one.type is InputType.FLOAT:
                beyond |= np.isinf(as_float32(parse_numbers(frame[one.column]).to_numpy()))
        return beyond

    def labels(self, probabilities: np.ndarray) -> list[str]:
        """The class of each row, as the file's own `label` output says it."""
        return [self.classes[k] for k in probabilities.argmax(axis=1)] if len(probabilities) else []

    def labels_of(self, frame: pl.DataFrame, progress: Progress | None = None) -> list[str]:
        """The `label` output itself, for checks."""
        labels = list[str]()
        for start in range(0, max(1, frame.height), CHUNK_ROWS):
            if progress:
                progress.check_now_and_then()
            labels += map(str, self._session.run(["label"], self._fed(frame.slice(start, CHUNK_ROWS)))[0])
        return labels

    def _fed(self, frame: pl.DataFrame) -> dict[str, Any]:
        feed: dict[str, Any] = {}
        for one in self.inputs:
            cells = frame[one.column]
            if one.type is InputType.STRING:
                feed[one.name] = cells.to_numpy().astype(object).reshape(-1, 1)
            else:
                values = parse_numbers(cells).to_numpy().reshape(-1, 1)
                feed[one.name] = as_float32(values) if one.type is InputType.FLOAT else values.astype(np.float64)
        return feed


def check_model(
    model: Model, frame: pl.DataFrame, expected: np.ndarray, *, sd: float, progress: Progress | None = None
) -> tuple[np.ndarray, dict[str, Any]]:
    """What the model file says for `frame`, once it agrees with `expected` (the torch outputs for the same rows).

    The bound is 1e-4 in probabilities, or in deviations `sd` of the target; labels must be equal on 99.9 % of the rows.
    Raises RunFailed `onnx_mismatch`, RunStopped.
    """
    got = model.run(frame, progress)
    expected = expected[:, 0] if model.task is Task.REGRESSION else expected
    difference = np.abs(got.astype(np.float64) - expected.astype(np.float64))
    spacing = np.zeros_like(difference)
    if model.task is Task.REGRESSION:
        # Two neighbouring float32 of a large number may lie further apart than the bound; that is no difference.
        difference, spacing = difference / sd, np.spacing(np.abs(expected)) / sd
    largest = float(difference.max(initial=0.0))
    agreed = 1.0
    if model.task is not Task.REGRESSION:
        agreed = float(
            np.mean([a == b for a, b in zip(model.labels_of(frame, progress), model.labels(expected), strict=True)])
        )
    fixed = [size for size in model.declared_rows if not isinstance(size, str)]
    if not np.all(difference <= np.maximum(1e-4, spacing)) or agreed < 0.999 or fixed:
        raise failed(
            "onnx_mismatch",
            "The exported model must agree with the trained one within 1e-4 and on 99.9 % of the labels, for "
            "any number of rows; "
            f"its largest difference is {largest:.2g}, {agreed:.2%} of the labels agree, fixed "
            f"dimensions: {fixed or 'none'}.",
            "This is a fault of LML: please report it with the run's report.",
        )
    return got, {"max_difference": largest, "rows": frame.height, "labels_equal": agreed}


def missing_columns(needed: Sequence[str], names: Sequence[str]) -> list[str]:
    """The needed columns that a table does not have, in their order."""
    return [column for column in needed if column not in set(names)]


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
