"""A trained model as its run left it: the model file and what the report says about reading data for it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from shared.datasets.dialect import Dialect, column_names
from shared.errors import Problem, RunFailed, failed
from workers.core.reading import Table, read_like
from workers.core.report import dialect_from_plain, read_report
from workers.core.runtime import Model, missing_columns
from workers.core.split import row_hashes
from workers.core.words import NUMBER, padded


@dataclass(frozen=True)
class StoredModel:
    """The artifacts of a train run, loaded."""

    folder: Path
    model: Model
    report: dict[str, Any]

    @property
    def dialect(self) -> Dialect | None:
        """How the training file was written."""
        return dialect_from_plain(self.report["dialect"])

    @property
    def number_patterns(self) -> dict[str, str]:
        """The features where the model wants a number, and what a cell of one looks like."""
        numbers = [c for c in self.report["columns"] if c["used"] and c["kind"] == "number"]
        return {c["name"]: c.get("pattern", padded(NUMBER)) for c in numbers}

    @property
    def taught_words(self) -> frozenset[str]:
        """The numbers among whose cells training met words, which counted as missing: the model knows such rows."""
        return frozenset(c["name"] for c in self.report["columns"] if c.get("others"))

    def read(self, data: Path, *, tolerate: bool) -> Table:
        """The table of a file that is written like the training file. Raises RunFailed as `reading` and `require` do.

        Columns of a file without a header go by their place; one that lacks just the target is understood as well.
        """
        table, dialect = read_like(data, self.dialect, tolerate=tolerate), self.dialect
        if dialect is not None and not dialect.has_header:
            names = [column["name"] for column in self.report["columns"]]
            if table.frame.width == len(names) - 1:
                names.remove(self.model.target)
            if table.frame.width == len(names):
                table.rename(names)
        self.require(table.frame)
        return table

    def require(self, frame: pl.DataFrame) -> None:
        """Raise RunFailed `columns_missing`, naming all, when the table lacks columns that the model needs."""
        missing = missing_columns(self.model.columns, frame.columns)
        if missing:
            found = ", ".join(f"`{name}`" for name in frame.columns[:20])
            raise failed(
                "columns_missing",
                "The data must have every column that the model uses; missing: "
                f"{', '.join(f'`{name}`' for name in missing)}. "
                f"The file has {found}{' and more' if frame.width > 20 else ''}.",
                "Rename or add them; the file must be written like the training file (delimiter, header).",
            )

    @property
    def counts_equal_rows(self) -> bool:
        """Whether equal rows have hashes of their own, so that one hash says little of one row, see `split.py`."""
        return bool(self.report.get("hash_counted", False))

    def row_hashes(self, frame: pl.DataFrame) -> pl.Series | None:
        """The rows' hashes as the train run counted them; None where the table lacks a column that they need."""
        columns: list[str] = self.report["hash_columns"]
        if missing_columns(columns, frame.columns):
            return None
        return row_hashes(frame, columns, counted=self.counts_equal_rows)

    def learnt_hashes(self) -> set[str]:
        """The hashes of the rows that trained or validated the model."""
        rows = pl.read_parquet(self.folder / "rows.parquet")
        return set(rows.filter(pl.col("part").is_in(["train", "validation"]))["row_hash"])


def load_model(folder: Path) -> StoredModel:
    """The model in a folder of artifacts. Raises RunFailed `model_unreadable`, with every file that is missing."""
    lost = [name for name in ("model.onnx", "report.json", "rows.parquet") if not (folder / name).is_file()]
    if lost:
        raise RunFailed(
            *(
                Problem(
                    code="model_unreadable",
                    message=f"A model comes with the artifacts of its train run; {name} is missing.",
                    hint="Train again.",
                )
                for name in lost
            )
        )
    report = read_report(folder)
    if report.get("kind") != "train":
        raise failed(
            "model_unreadable", "Only a train run leaves a model; this run did something else.", "Name a train run."
        )
    return StoredModel(folder, Model((folder / "model.onnx").read_bytes()), report)


def free_names(names: list[str], ours: list[str]) -> list[str]:
    """The input's column names, with `_input` behind each that is also one of ours."""
    taken, renamed = {*names, *ours}, list[str]()
    for name in names:
        new = name
        while new in ours or (new != name and new in taken):
            new += "_input"
        taken.add(new)
        renamed.append(new)
    return list(column_names(renamed, len(renamed)))
