"""One run as a zip that stands alone: what was asked, what came out, and how to use it without LML.

The same run gives the same bytes: names in order, no clock, nothing that can be added to the run later.
"""

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

from sqlalchemy import Connection, select

from bot.export.reading import PREDICT_EXAMPLE, readme
from shared.blobs import CHUNK_BYTES, BlobStore
from shared.documents.data_card import data_card
from shared.documents.model_card import About, model_card
from shared.errors import refused
from shared.log import runs, tables
from shared.log.engine import Log
from shared.log.runs import Run

_PACKED = (".png", ".parquet", ".safetensors")
"""Files that are packed already, or hardly can be."""
_KEPT_OUT = ("result", "last_event", "lease_until", "worker", "cancel_requested", "notice")
_EXECUTABLE = 0o644 << 16


def write_run_zip(log: Log, store: BlobStore, run: Run, target: IO[bytes]) -> list[str]:
    """Write the zip of a run that has ended; returns the names of its files."""
    if not run.state.ended:
        raise refused(
            "run_not_ended",
            f"A run is exported when it has ended; run {run.id} is {run.state.value}.",
            f"`status {run.id}` says where it stands.",
        )
    made = _Folder(ZipFile(target, "w"), f"run-{run.id}")
    with log.read() as connection:  # not for as long as the zip takes
        texts = dict(_texts(connection, store, run))
        names = {artifact.name: artifact for artifact in runs.artifacts_of(connection, run.id)}
    with made.archive:
        texts["README.txt"] = readme(run, sorted({*texts, *names}), is_model="model.onnx" in names).encode()
        for name in sorted({*texts, *names}):
            if name in texts:
                made.add(name, [texts[name]])
            else:
                made.add(name, _chunks(store.path_of(names[name].sha256)))
        made.add_sums()
    return made.names


class _Folder:
    """A folder in a zip, and the hash of each of its files."""

    def __init__(self, archive: ZipFile, folder: str) -> None:
        self.archive, self._folder = archive, folder
        self._sums: dict[str, str] = {}

    @property
    def names(self) -> list[str]:
        """The files that were added."""
        return list(self._sums)

    def add(self, name: str, chunks: Iterable[bytes]) -> None:
        """A file, as it comes."""
        info = ZipInfo(f"{self._folder}/{name}", date_time=(1980, 1, 1, 0, 0, 0))
        info.compress_type = ZIP_STORED if name.endswith(_PACKED) else ZIP_DEFLATED
        info.external_attr, info.create_system = _EXECUTABLE, 3
        digest = hashlib.sha256()
        with self.archive.open(info, "w", force_zip64=True) as file:
            for chunk in chunks:
                digest.update(chunk)
                file.write(chunk)
        self._sums[name] = digest.hexdigest()

    def add_sums(self) -> None:
        """The list that `sha256sum -c` reads."""
        lines = "".join(f"{digest}  {name}\n" for name, digest in self._sums.items())
        self.add("SHA256SUMS", [lines.encode()])


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        yield from iter(lambda: stream.read(CHUNK_BYTES), b"")


def _texts(connection: Connection, store: BlobStore, run: Run) -> Iterator[tuple[str, bytes]]:
    """The files that are made from the log."""
    names = {artifact.name: artifact for artifact in runs.artifacts_of(connection, run.id)}
    yield "spec.json", _json(run.spec.model_dump(mode="json"))
    yield "run.json", _json(run.model_dump(mode="json", exclude={*_KEPT_OUT, "spec"}))
    yield "metrics.csv", _csv(("part", "metric", "value"), _metrics(connection, run.id))
    if run.seeds is not None and run.result:
        yield "seeds.csv", _csv(("seed", "run", "state", "part", "metric", "value"), _seeds(run.result))
    yield "history.csv", _csv(("attempt", "series", "step", "value"), _history(connection, run.id))
    yield "events.jsonl", b"".join(_events(connection, run.id))
    if "report.json" not in names and run.result:
        yield "report.json", _json(run.result)
    if run.kind == "train" and run.result:
        about = About(run.dataset_name or "", run.dataset_sha256, name=run.name)
        if "model_card.md" not in names:  # a run from before there were cards
            yield "model_card.md", model_card(run.result, about).encode()
        if "data_card.md" not in names:
            yield "data_card.md", data_card(run.result, about).encode()
    if "environment.json" in names:
        packages = json.loads(store.path_of(names["environment.json"].sha256).read_bytes()).get("packages") or ()
        # LML itself stands on no registry in this version: who predicts does without it.
        lock = "".join(f"{line}\n" for line in packages if not str(line).startswith("lml=="))
        yield "requirements.txt", lock.encode()
    if "model.onnx" in names:
        yield "predict.py", PREDICT_EXAMPLE.encode()


def _metrics(connection: Connection, run: int) -> Iterable[tuple[Any, ...]]:
    columns = tables.metrics.c
    asked = select(columns.part, columns.name, columns.value).where(columns.run_id == run)
    return (tuple(row) for row in connection.execute(asked.order_by(columns.part, columns.name)))


def _seeds(result: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    """What each seed reached; a line without figures for one that reached none."""
    for one in result.get("seeds") or ():
        place = one["seed"], one["run"], one["state"]
        figures = [(part, *pair) for part, reached in one["metrics"].items() for pair in reached.items()]
        yield from ((*place, *figure) for figure in figures or [("", "", None)])


def _history(connection: Connection, run: int) -> Iterable[tuple[Any, ...]]:
    columns = tables.metric_points.c
    asked = select(columns.attempt, columns.series, columns.step, columns.value).where(columns.run_id == run)
    return (tuple(row) for row in connection.execute(asked.order_by(columns.attempt, columns.series, columns.step)))


def _events(connection: Connection, run: int) -> Iterator[bytes]:
    columns = tables.events.c
    asked = select(columns.number, columns.at, columns.body).where(columns.run_id == run).order_by(columns.number)
    for row in connection.execute(asked):
        event = {"number": row.number, "at": row.at.isoformat(), **row.body}
        yield (json.dumps(event, ensure_ascii=False, sort_keys=True) + "\n").encode("utf-8", "replace")


def _csv(header: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue().encode()


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True) + "\n").encode("utf-8", "replace")
