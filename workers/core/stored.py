"""A trained model as its run left it: the model file and what the report says about reading data for it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from shared.datasets.dialect import Dialect, column_names
from shared.errors import Problem, RunFailed, failed
from shared.specs import Task
from workers.core.equal_cells import date_from_plain, reading_from_plain
from workers.core.numbers import NumberStyle
from workers.core.reading import Table, is_parquet, read_like
from workers.core.report import dialect_from_plain, read_report
from workers.core.restyle import restyled
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
        """The table of a file, written like the training file or in a way of its own.

        Columns of a file without a header go by their place; one that lacks just the target is understood as well.
        Raises RunFailed as `reading` and `require` do.
        """
        try:
            table = self._named(read_like(data, self.dialect, tolerate=tolerate))
            self.require(table)
        except RunFailed as unlike:
            if self.dialect is None or is_parquet(data):
                raise
            try:
                table = self._named(read_like(data, None, tolerate=tolerate))
                self.require(table)
            except RunFailed as wrong:
                # A file that can be read by itself lacks columns; any other has to be like the training file.
                raise (wrong if wrong.code == "columns_missing" else unlike) from None
        return table

    def as_trained(self, table: Table) -> tuple[pl.DataFrame, list[str]]:
        """The rows with their numbers written as in the training file, and what a person should know of that.

        Raises RunFailed as `restyle` does.
        """
        own, trained = table.dialect, self.dialect
        if own is not None and trained is not None and own.delimiter == trained.delimiter:
            return table.frame, []
        used = [column for column in self.report["columns"] if column["used"]]
        styles = {c["name"]: NumberStyle(**c["style"]) for c in used if "style" in c}
        if self.model.task is Task.REGRESSION:
            styles[self.model.target] = self.target_style
        dates = {c["name"]: date_from_plain(c["date"]) for c in used if "date" in c}
        return restyled(table, styles, dates)

    @property
    def target_style(self) -> NumberStyle:
        """How the training file's target is written, where it is a number."""
        return NumberStyle(**self.report.get("target_style", {}))

    def _named(self, table: Table) -> Table:
        """The table with the names of the training file, where that has no header."""
        if self.dialect is None or self.dialect.has_header or (table.dialect and table.dialect.has_header):
            return table
        names = [column["name"] for column in self.report["columns"]]
        if len(table.names) == len(names) - 1:
            names.remove(self.model.target)
        if len(table.names) == len(names):
            table.rename(names)
        return table

    def require(self, table: Table) -> None:
        """Raise RunFailed `columns_missing`, naming all, when the table lacks columns that the model needs."""
        missing = missing_columns(self.model.columns, table.names)
        if missing:
            found = ", ".join(f"`{name}`" for name in table.names[:20])
            raise failed(
                "columns_missing",
                "The data must have every column that the model uses; missing: "
                f"{', '.join(f'`{name}`' for name in missing)}. "
                f"The file has {found}{' and more' if len(table.names) > 20 else ''}.",
                "Rename the columns of the file as they were called in the training file, or add those that it lacks.",
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
        # Reports of earlier versions lack the readings: their hashes are of the cells as they stood.
        readings = {name: reading_from_plain(plain) for name, plain in self.report.get("hash_readings", {}).items()}
        return row_hashes(frame, columns, readings=readings, counted=self.counts_equal_rows)

    def learnt_hashes(self) -> set[str]:
        """The hashes of the rows that trained or validated the model."""
        rows = pl.read_parquet(self.folder / "rows.parquet")
        return set(rows.filter(pl.col("part").is_in(["train", "validation"]))["row_hash"])


def load_model(folder: Path, *, with_rows: bool = True) -> StoredModel:
    """The model in a folder of artifacts. Raises RunFailed `model_unreadable`, with every file that is missing; the
    hashes of its rows, which may have been forgotten, are one of them only `with_rows`.
    """
    needed = ("model.onnx", "report.json", *(["rows.parquet"] if with_rows else []))
    lost = [name for name in needed if not (folder / name).is_file()]
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
