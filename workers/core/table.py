"""A dataset as strings: in memory where it is small, in Arrow files on disk where it is not.

Whoever uses it asks for one column, some rows or a slice at a time, and never learns which of the two it is.
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path

import numpy as np
import polars as pl

from shared.datasets.dialect import Dialect
from shared.errors import failed

MEMORY_BYTES = 256 * 2**20
"""Text of more bytes than this goes to disk: as strings in memory it takes two to three times as much."""
FILE_CELLS = 20_000_000  # some 400 MB: what one file of a wide table may hold


@dataclass(frozen=True)
class Repair:
    """Something in the file that was not as it should be, and what was done about it."""

    code: str
    count: int
    first_rows: tuple[int, ...]
    """The first few rows, from 1, counted as they stand in the file below the header; blank lines count nothing."""
    sentence: str


@dataclass(frozen=True)
class Notes:
    """What reading has to say of a table."""

    repairs: tuple[Repair, ...] = ()
    warnings: tuple[str, ...] = ()
    """Sentences for a person, those of the repairs among them."""
    unreadable: dict[int, str] = field(default_factory=dict)
    """Rows (from 0) that are kept in their place but have a wrong number of cells, with the reason; on request."""
    left_out: Sequence[int] = ()
    """Rows of the file that are none of the table, ascending, counted as in `Repair`; notes below it do not matter."""


def _go_on() -> None:
    """Nobody asks for a stop."""


class Table:
    """Rows and named columns. Every cell is a String and none is null: a missing cell is ''."""

    def __init__(
        self,
        parts: Sequence[pl.DataFrame] | Sequence[Path],
        names: Mapping[str, str] | None = None,
        *,
        dialect: Dialect | None = None,
        notes: Notes | None = None,
        owner: object = None,
        check: Callable[[], None] = _go_on,
    ) -> None:
        """`parts` follow each other: frames, or Arrow files, each with the columns that `names` calls by other names.

        What `names` leaves out is left out; None takes all columns as they are. `owner` keeps the files alive.
        `check` is called at each access to the cells, and raises where the work has to stop.
        """
        notes = notes or Notes()
        self.dialect = dialect
        """How the file was written; None for Parquet."""
        self.repairs, self.warnings, self.unreadable = notes.repairs, notes.warnings, notes.unreadable
        self._files = [part for part in parts if isinstance(part, Path)]
        self._owner, self._check = owner, check
        # For each row that was left out, the row of the table (from 1) that came next.
        self._next_kept = np.array(notes.left_out, dtype=np.int64) - np.arange(len(notes.left_out))
        frames = [part for part in parts if isinstance(part, pl.DataFrame)]
        columns = frames[0].columns if frames else pl.read_ipc_schema(self._files[0])
        self._stored: dict[str, str] = {new: old for old, new in (names or {name: name for name in columns}).items()}
        self._memory: pl.DataFrame | None = None
        if frames:
            self._memory = pl.concat(frames, rechunk=False).select(self._stored.values())
            self._memory.columns = list(self._stored)
            self.height = self._memory.height
        else:
            self._ends = list(accumulate(_height(path) for path in self._files))
            self.height = self._ends[-1]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns in their order."""
        return tuple(self._stored if self._memory is None else self._memory.columns)

    @property
    def frame(self) -> pl.DataFrame:
        """The whole table in memory, however large it is."""
        return self._memory if self._memory is not None else self._load(self.names)

    @property
    def is_on_disk(self) -> bool:
        """Whether the cells lie in files, so that each look at a column reads it again."""
        return self._memory is None

    def file_row(self, row: int) -> int:
        """Where the table's row `row` (from 0) stands in the file, from 1: a person counts the rows left out too."""
        return int(self.file_rows(np.array([row]))[0])

    def file_rows(self, rows: np.ndarray) -> np.ndarray:
        """As `file_row`, of several: [n] int64."""
        numbers: np.ndarray = rows + 1 + np.searchsorted(self._next_kept, rows + 1, side="right")
        return numbers

    def rename(self, names: Sequence[str]) -> None:
        """Give the columns other names, in their order."""
        if self._memory is not None:
            self._memory.columns = list(names)
        self._stored = dict(zip(names, self._stored.values(), strict=True))

    def column(self, name: str) -> pl.Series:
        """One column, [height]."""
        self._check()
        return self._memory[name] if self._memory is not None else self._load([name]).to_series()

    def head(self, rows: int) -> pl.DataFrame:
        """The first `rows` rows of all columns."""
        self._check()
        return self._memory.head(rows) if self._memory is not None else self._load(self.names, first=rows)

    def take(self, rows: np.ndarray, names: Sequence[str] | None = None) -> pl.DataFrame:
        """The rows with these numbers (from 0, ascending), of all columns or of `names`."""
        self._check()
        wanted = list(self.names if names is None else names)
        if self._memory is not None:
            return self._memory.select(wanted)[rows]
        taken, start = [self._load(wanted, files=self._files[:1]).clear()], 0
        for path, end in zip(self._files, self._ends, strict=True):
            low, high = np.searchsorted(rows, (start, end))
            if low < high:
                self._check()
                taken.append(self._load(wanted, files=[path])[rows[low:high] - start])
            start = end
        return pl.concat(taken)

    def piece(self, start: int, rows: int, names: Sequence[str]) -> pl.DataFrame:
        """At most `rows` rows of the columns `names`, from row `start` (from 0) on."""
        self._check()
        if self._memory is not None:
            return self._memory.select(names).slice(start, rows)
        lazy = pl.scan_ipc(self._files, glob=False).slice(start, rows)
        return lazy.select(pl.col(self._stored[name]).alias(name) for name in names).collect()

    def slices(self, names: Sequence[str], rows: int = 65_536) -> Iterator[pl.DataFrame]:
        """The columns `names` in pieces of at most `rows` rows, in order."""
        if self._memory is not None:
            yield from self._memory.select(names).iter_slices(rows)
            return
        for path in self._files:
            self._check()
            yield from self._load(names, files=[path]).iter_slices(rows)

    def _load(self, names: Sequence[str], *, files: list[Path] | None = None, first: int | None = None) -> pl.DataFrame:
        """These columns from disk; only their bytes are read, and none stays mapped."""
        lazy = pl.scan_ipc(self._files if files is None else files, glob=False, n_rows=first)
        return lazy.select(pl.col(self._stored[name]).alias(name) for name in names).collect()


class TableWriter:
    """Collects the frames of a table: in memory first, in files of a scratch folder once they are many bytes."""

    def __init__(self, scratch: Path | None, check: Callable[[], None] = _go_on) -> None:
        """The files go into a folder of their own in `scratch` (default: the system's temporary folder); `check` is
        called for each frame, and later by the table.
        """
        self.height = 0
        self._scratch, self._check = scratch, check
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._files: list[Path] = []
        self._frames: list[pl.DataFrame] = []
        self._bytes = self._cells = 0

    def add(self, frame: pl.DataFrame, *, size_bytes: int) -> None:
        """Append rows that took `size_bytes` of text. Raises RunFailed `disk_full`."""
        self._check()
        if frame.height == 0 and self.height:
            return
        self._frames.append(frame)
        self.height += frame.height
        self._bytes += size_bytes
        self._cells += frame.height * frame.width
        if self._bytes > MEMORY_BYTES and self._cells >= FILE_CELLS:
            self._write()

    def table(self, names: Mapping[str, str] | None, *, dialect: Dialect | None, notes: Notes) -> Table:
        """What was added, with the columns of `names` (as it was, as it is called). Raises RunFailed `disk_full`."""
        if self._files and self._frames:
            self._write()
        parts = self._files or self._frames
        return Table(parts, names, dialect=dialect, notes=notes, owner=self._folder, check=self._check)

    def _write(self) -> None:
        try:
            if self._folder is None:
                self._folder = tempfile.TemporaryDirectory(
                    dir=self._scratch, prefix="table-", ignore_cleanup_errors=True
                )
            path = Path(self._folder.name) / f"{len(self._files):05d}.arrow"
            pl.concat(self._frames, rechunk=False).write_ipc(path)
        except (OSError, pl.exceptions.PolarsError) as error:
            raise failed(
                "disk_full",
                "A large table needs scratch space for its columns, about three times its size; writing failed "
                f"({error}).",
                "Free space in the folder for temporary files, or send fewer rows.",
            ) from error
        self._files.append(path)
        self._frames.clear()
        self._cells = 0


def _height(path: Path) -> int:
    """The number of rows of an Arrow file."""
    height: int = pl.scan_ipc(path, glob=False).select(pl.len()).collect().item()
    return height
