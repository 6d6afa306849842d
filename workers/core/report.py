"""The files that every run leaves: its report as JSON, its predictions as CSV."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from shared.datasets.dialect import Dialect
from shared.errors import failed
from shared.specs import Task
from workers.core.environment import environment

REPORT = "report.json"


def write_report(out: Path, facts: dict[str, Any]) -> dict[str, Any]:
    """Write `report.json` and return what stands in it: plain values, null where a number is not finite. Where the run
    was done is added.
    """
    return put_report(out, {**facts, "environment": environment()})


def put_report(out: Path, facts: dict[str, Any]) -> dict[str, Any]:
    """The same of facts that say already where it was done."""
    plain: dict[str, Any] = as_plain(facts)
    (out / REPORT).write_text(json.dumps(plain, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
    return plain


def read_report(folder: Path) -> dict[str, Any]:
    """The report of an earlier run. Raises RunFailed `model_unreadable`."""
    try:
        facts = json.loads((folder / REPORT).read_text(encoding="utf-8"))
        if not isinstance(facts, dict):
            raise TypeError("no object")
    except (OSError, ValueError, TypeError) as error:
        raise failed(
            "model_unreadable",
            f"A model comes with the report of its train run; {REPORT} cannot be read ({error}).",
            "Train again.",
        ) from error
    return facts


def as_plain(value: Any) -> Any:
    """The value in what JSON knows."""
    match value:
        case dict():
            return {str(key): as_plain(inner) for key, inner in value.items()}
        case list() | tuple():
            return [as_plain(inner) for inner in value]
        case float() if not math.isfinite(value):
            return None
        case np.generic():
            return as_plain(value.item())
        case None | bool() | int() | float() | str():
            return value
    return str(value)


def dialect_as_plain(dialect: Dialect | None) -> dict[str, Any] | None:
    """How the dataset was written, for `dialect_from_plain`; None for Parquet."""
    return None if dialect is None else {k: v for k, v in asdict(dialect).items() if k != "warnings"}


def dialect_from_plain(plain: dict[str, Any] | None) -> Dialect | None:
    """The dialect that a train run wrote into its report."""
    if plain is None:
        return None
    return Dialect(
        encoding=plain["encoding"],
        delimiter=plain["delimiter"],
        quote=plain["quote"],
        has_header=plain["has_header"],
        columns=tuple(plain["columns"]),
        # Older reports lack what follows.
        escape=plain.get("escape", ""),
        header_rows=plain.get("header_rows", 1),
        preamble=plain.get("preamble", 0),
        first_line=plain.get("first_line", 1),
    )


def prediction_columns(
    task: Task, outputs: np.ndarray, classes: Sequence[str], labels: Sequence[str]
) -> dict[str, pl.Series]:
    """The columns `prediction` and, for classes, `probability_<class>`."""
    if task is Task.REGRESSION:
        return {"prediction": pl.Series(outputs.astype(np.float32))}
    columns = {"prediction": pl.Series(labels, dtype=pl.String)}
    for k, name in enumerate(classes):
        columns[f"probability_{name}"] = pl.Series(np.ascontiguousarray(outputs[:, k]))
    return columns
