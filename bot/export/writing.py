"""The file that `export` makes: written beside its place, then moved there; another file is never written over."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from filecmp import cmp
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Any

from bot.answers import envelope
from bot.cards import Card
from bot.desk import Answer, Desk
from bot.export.log_table import columns_of, rows_of, write_csv, write_jsonl
from bot.export.run_zip import write_run_zip
from bot.tables import size_text
from shared.errors import failed, refused
from shared.log import runs

if TYPE_CHECKING:
    from bot.verbs.export import Export

PARQUET_WRITER = "workers.core.parquet_file"
"""Writes Parquet in a process of its own: the libraries for that belong to the worker."""


def export_run(desk: Desk, request: "Export") -> Answer:
    """One run as a zip."""
    with desk.log.read() as connection:
        run = runs.find(connection, desk.principal, request.run or 0)
    with _new_file(request.out, f"run-{run.id}.zip") as made, made.temporary.open("wb") as target:
        names = write_run_zip(desk.log, desk.store, run, target)
    size = size_text(made.place.stat().st_size)
    card = Card(
        title=f"Run {run.id} is exported",
        headline=f"{len(names)} files, {size}",
        facts=(("File", str(made.place)),),
        notes=("README.txt in it says what each file is, and how to predict with onnxruntime only.",),
    )
    body = envelope("export", "succeeded", run=run.id, written=str(made.place), files=names)
    return Answer(card=card, envelope=body)


def export_log(desk: Desk, request: "Export") -> Answer:
    """The log as a table."""
    form = request.format or "csv"
    columns = columns_of(desk)
    with _new_file(request.out, f"log.{form}") as made:
        rows = rows_of(desk, request.query, most=request.most)
        if form == "parquet":
            count = _write_parquet(rows, columns, made.temporary)
        else:
            write = write_csv if form == "csv" else write_jsonl
            with made.temporary.open("w", encoding="utf-8", errors="replace", newline="") as target:
                count = write(rows, list(columns), target)
    card = Card(
        title="The log is exported",
        headline=f"{count:,} run{'' if count == 1 else 's'}, {len(columns)} columns",
        facts=(("File", str(made.place)),),
    )
    return Answer(card=card, envelope=envelope("export", "succeeded", written=str(made.place), runs=count))


def _write_parquet(rows: Iterator[dict[str, Any]], columns: dict[str, str], target: Path) -> int:
    """Lines of JSON, turned into Parquet by a process that has the worker's packages."""
    lines = target.with_name(target.name + ".jsonl")
    try:
        with lines.open("w", encoding="utf-8", errors="replace") as file:
            count = write_jsonl(rows, list(columns), file)
        # -P: what lies in the current folder is not imported.
        command = [sys.executable, "-P", "-m", PARQUET_WRITER, str(lines), str(target)]
        done = subprocess.run(command, input=json.dumps(columns), capture_output=True, text=True, check=False)
    finally:
        lines.unlink(missing_ok=True)
    if done.returncode == 0:
        return count
    if "ModuleNotFoundError" in done.stderr:
        raise failed(
            "worker_package_missing",
            "Parquet is written by packages of the worker, which are not installed here.",
            "Run `pip install 'lml[worker]'`, or export format=csv or format=jsonl.",
        )
    said = (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1]
    raise failed(
        "export_failed", f"The Parquet file could not be written: {said}.", "Export format=csv or format=jsonl."
    )


class _NewFile:
    """Where a file goes, and where it is written first."""

    def __init__(self, place: Path, temporary: Path) -> None:
        self.place, self.temporary = place, temporary


@contextmanager
def _new_file(out: str | None, name: str) -> Iterator[_NewFile]:
    """A file beside its place; moved there in the end, unless another file has taken the place: that one stays."""
    place = Path.cwd() / name if out is None else _asked(out, name)
    if not place.parent.is_dir() or not os.access(place.parent, os.W_OK):
        raise refused(
            "write_folder_unusable",
            f"An export goes into a folder that is there and may be written; `{place.parent}` is none.",
            "Make the folder, or name another file with out=.",
        )
    try:
        with NamedTemporaryFile(dir=place.parent, prefix=".lml-export-", delete=False) as file:
            temporary = Path(file.name)
        try:
            yield _NewFile(place, temporary)
            temporary.chmod(0o666 & ~_umask())
            _move(temporary, place)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise failed(
            "export_failed", f"`{place}` could not be written: {error.strerror}.", "Name another file with out=."
        ) from error


def _asked(out: str, name: str) -> Path:
    try:
        place = Path.cwd() / Path(out).expanduser()
    except RuntimeError:  # a ~ of nobody
        place = Path.cwd() / out
    return place / name if place.is_dir() else place


def _move(temporary: Path, place: Path) -> None:
    """Take the place if it is free; a file there that says the same is as good."""
    try:
        os.link(temporary, place)
    except FileExistsError:
        if place.is_file() and cmp(temporary, place, shallow=False):
            return
        raise refused(
            "write_exists",
            f"`export` makes a new file; `{place}` is there already, and holds something else.",
            "Name another file with out=, or move that one away.",
        ) from None


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
