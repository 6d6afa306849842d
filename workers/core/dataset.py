"""A file, understood: its rows, target, columns, features and split, with every decision in words."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from shared.datasets.dialect import DELIMITER_NAMES, Dialect
from shared.errors import failed
from shared.specs import TrainSpec
from workers.core.columns import Column, Kind, understand
from workers.core.encode import Cells, Feature, encode, fit_features
from workers.core.reading import Table, read_table
from workers.core.split import TRAIN, are_too_alike, row_hashes, split_rows
from workers.core.target import Target, find_target, understand_target

_SHOWN_COLUMNS = 12
_ALIKE = ("Few rows differ in their features, so equal rows are in the training part and in the test part alike.",)


@dataclass(frozen=True)
class Dataset:
    """Everything that training needs to know of a file."""

    frame: pl.DataFrame
    """Every column a String; '' where a cell is missing."""
    dialect: Dialect | None
    target: Target
    columns: tuple[Column, ...]
    features: tuple[Feature, ...]
    cells: Cells
    parts: np.ndarray
    """[rows] int8, see `split.py`."""
    hashes: list[str]
    hash_columns: tuple[str, ...]
    hash_counted: bool
    """Whether the hashes also count equal rows, see `split.py`."""
    inferred: tuple[str, ...]
    warnings: tuple[str, ...]

    def part_cells(self, part: int) -> Cells:
        """The cells of one part's rows."""
        rows = self.parts == part
        return Cells(self.cells.numbers[rows], self.cells.codes[rows])


def understand_dataset(path: Path, spec: TrainSpec) -> Dataset:
    """Read and understand a file for training.

    Raises RunFailed as `reading`, `target` and `split` do, and `no_feature_left`.
    """
    table = read_table(path, sep=spec.sep, encoding=spec.encoding, header=spec.header)
    frame = table.frame
    name, inferred = find_target(frame.columns, spec)
    target = understand_target(frame, name, spec.task)
    columns = tuple(understand(frame, target=name, drop=spec.drop, unnamed=_unnamed(table)))
    if not any(column.used for column in columns):
        raise _no_feature_left(columns)
    hash_columns = tuple(column.name for column in columns if column.identifies)
    hashes = row_hashes(frame, hash_columns)
    alike = are_too_alike(hashes, target)
    if alike:
        hash_columns = (*hash_columns, name)
        hashes = row_hashes(frame, hash_columns, counted=True)
    parts, rare = split_rows(hashes, target, split_seed=spec.split_seed)
    features = fit_features(frame, columns, parts == TRAIN)
    return Dataset(
        frame=frame,
        dialect=table.dialect,
        target=target,
        columns=columns,
        features=features,
        cells=encode(frame, features),
        parts=parts,
        hashes=hashes,
        hash_columns=hash_columns,
        hash_counted=alike,
        inferred=(*_reading_inferred(table, spec), *inferred, *target.inferred),
        warnings=(*table.warnings, *target.warnings, *(_ALIKE if alike else ()), *rare, *_column_warnings(columns)),
    )


def _unnamed(table: Table) -> frozenset[str]:
    """The names that stand for empty cells of a header."""
    if table.dialect is None or not table.dialect.has_header:
        return frozenset()
    return frozenset(name for k, name in enumerate(table.frame.columns) if name == f"column_{k + 1}")


def _reading_inferred(table: Table, spec: TrainSpec) -> list[str]:
    """What was inferred about the way the file is written, where it is not the usual."""
    dialect, sentences = table.dialect, list[str]()
    if dialect is None:
        return sentences
    if spec.sep is None and dialect.delimiter != ",":
        shown = DELIMITER_NAMES.get(dialect.delimiter, repr(dialect.delimiter))
        sentences.append(f"Delimiter: {shown}; change it with sep=...")
    if spec.encoding is None and not dialect.encoding.startswith("utf-8"):
        sentences.append(f"Encoding: {dialect.encoding}; change it with encoding=...")
    if spec.header is None:
        if dialect.has_header:
            sentences.append(f"Header: the first row, because {dialect.header_reason}; change it with header=no.")
        else:
            sentences.append(f"Header: none, because {dialect.header_reason}; change it with header=yes.")
    return sentences


def _column_warnings(columns: tuple[Column, ...]) -> list[str]:
    unused = [c for c in columns if not c.used and c.reason != "left out with drop="]
    sentences = [
        f"Not used: `{column.name}`, {column.kind.value}: {column.reason}." for column in unused[:_SHOWN_COLUMNS]
    ]
    if len(unused) > _SHOWN_COLUMNS:
        sentences.append(f"Not used: {len(unused) - _SHOWN_COLUMNS} columns more; the report names them.")
    for column in columns:
        if column.used and column.others:
            what = "date" if column.kind is Kind.DATE else "number"
            cells = "1 cell is" if column.others == 1 else f"{column.others} cells are"
            sentences.append(
                f"`{column.name}`: {cells} no {what} and {'counts' if column.others == 1 else 'count'} as missing."
            )
        if column.used and column.reason.startswith("looks like an identifier"):
            sentences.append(f"`{column.name}` {column.reason}; it is used.")
    return sentences


def _no_feature_left(columns: tuple[Column, ...]) -> Exception:
    if not columns:
        reasons = "the target is the only column"
    else:
        reasons = "; ".join(
            f"`{column.name}` ({column.kind.value}): {column.reason}" for column in columns[:_SHOWN_COLUMNS]
        )
    return failed(
        "no_feature_left",
        f"A model needs at least one feature; none of the columns can be used: {reasons}.",
        "Add columns with numbers, categories or dates, or take names out of drop=.",
    )
