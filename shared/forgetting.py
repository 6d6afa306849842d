"""Forgetting a dataset: the tombstone first, then the bytes; what was broken off the sweep finishes.

Models stay, and the figures. What quotes cells goes: predictions, rows, written tables, descriptions, plots that draw
rows, and the sentences of reports. A file or a key that nobody has judged goes too.
"""

import json
import shutil
import sqlite3
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from shared.access import Principal
from shared.blobs import BlobStore
from shared.documents.data_card import data_card
from shared.documents.model_card import About, model_card
from shared.errors import refused
from shared.log import forgotten
from shared.log.engine import Log
from shared.log.forgotten import Tombstone
from shared.log.runs import Artifact, Run, artifacts_of
from shared.settings import Settings

_FILES_THAT_STAY = frozenset(
    {
        "model.onnx",
        "weights.safetensors",
        "environment.json",
        "loss_curve.png",
        "confusion_matrix.png",
        "reliability.png",
    }
)
_MADE_ANEW = ("report.json", "model_card.md", "data_card.md")
_FACTS_THAT_STAY = frozenset(
    {
        *(
            "kind",
            "dataset",
            "task",
            "target",
            "target_style",
            "classes",
            "hash_columns",
            "hash_readings",
            "hash_counted",
        ),
        *("content_sha256", "split_sha256", "parts_sha256", "model", "candidates", "chosen_by", "judged_by"),
        *("temperature", "baseline_guess", "metrics", "headline", "intervals", "per_class", "positive_class"),
        *("sd", "seeds", "kept", "parameters"),
        *("calibration", "parity", "seed", "split_seed", "timing_s", "plan", "checkpoints", "environment", "replay"),
        *("peak_memory_mb", "peak_gpu_memory_mb", "rows_per_s", "gpu_seconds", "gpu_energy_j", "rows"),
        *("rows_scored", "rows_left_out", "rows_unreadable", "verdict"),
    }
)
_DIALECT_THAT_STAYS = frozenset(
    {"encoding", "delimiter", "quote", "has_header", "columns", "escape", "header_rows", "preamble", "first_line"}
)
_COLUMN_THAT_STAYS = frozenset(
    {
        *("name", "kind", "used", "target", "missing", "missing_share", "others", "distinct", "input", "input_type"),
        *("pattern", "style", "date", "words_known"),
    }
)
"""Of a column its words go; the model file holds those that it needs."""


@dataclass(frozen=True)
class Forgetting:
    """What would be forgotten."""

    dataset: str
    sha256: str
    runs: tuple[Run, ...]
    files: tuple[tuple[int, Artifact], ...]
    """Each file that would be erased, or made anew without its sentences, with its run."""


def plan(connection: Connection, principal: Principal, word: str) -> Forgetting:
    """What forgetting this dataset would erase. Raises `RefusedWords` when the word names none, several, or one that is
    being read.
    """
    found = forgotten.hashes_of(connection, principal, word)
    if not found:
        raise refused("dataset_not_run", f"No run has read a dataset `{word}`.", "`log` shows what was read.")
    left = {sha256: name for sha256, name in found.items() if forgotten.of_dataset(connection, sha256) is None}
    found = left or found
    if left and len(found) > 1:
        listed = ", ".join(f"{name} {sha256[:12]}" for sha256, name in sorted(found.items())[:10])
        raise refused(
            "dataset_ambiguous", f"`{word}` stands for {len(found)} contents: {listed}.", "Name one by its sha256."
        )
    sha256, name = next(iter(found.items()))
    forgotten.require_there(connection, sha256)
    readers = forgotten.readers(connection, principal, sha256)
    busy = forgotten.not_ended(readers)
    if busy:
        seen = forgotten.seen_among(connection, principal, busy)
        raise refused(
            "dataset_in_use",
            f"A dataset is forgotten when its runs have ended; these have not: {in_words(busy, seen)}.",
            "Wait for them, or `cancel` them.",
        )
    files = [
        (run.id, artifact)
        for run in readers
        for artifact in artifacts_of(connection, run.id)
        if artifact.name not in _FILES_THAT_STAY
    ]
    return Forgetting(name, sha256, tuple(readers), tuple(files))


def in_words(numbers: Sequence[int], seen: Collection[int]) -> str:
    """Runs by their numbers, and how many more there are that whoever asks does not see."""
    shown = [str(number) for number in numbers if number in seen]
    hidden = len(numbers) - len(shown)
    return ", ".join([*shown[:30], *(["..."] if len(shown) > 30 else []), *([f"{hidden} of others"] if hidden else [])])


def forget(
    log: Log, store: BlobStore, settings: Settings, principal: Principal, word: str, *, why: str | None
) -> Tombstone:
    """Forget a dataset; whatever happens after the tombstone is written, the sweep brings to its end."""
    with log.write() as connection:
        planned = plan(connection, principal, word)
        stay = {run.id: _staying(connection, store, run) for run in planned.runs}
        tombstone = forgotten.bury(
            connection,
            principal,
            dataset=planned.dataset,
            sha256=planned.sha256,
            why=why,
            results={run.id: without_cells(run.result) if run.result else run.result for run in planned.runs},
            stay=stay,
        )
    finish(log, store, settings, tombstone)
    return tombstone


def finish_all(log: Log, store: BlobStore, settings: Settings) -> list[str]:
    """Bring to an end what was broken off; a sentence for each."""
    with log.read() as connection:
        begun = forgotten.unfinished(connection)
    for tombstone in begun:
        finish(log, store, settings, tombstone)
    return [tombstone.sentence() for tombstone in begun]


def finish(log: Log, store: BlobStore, settings: Settings, tombstone: Tombstone) -> None:
    """Erase the bytes that a tombstone names, as far as nothing else has them; can be done again at any time."""
    for run in tombstone.runs:
        shutil.rmtree(settings.home_folder / "runs" / str(run), ignore_errors=True)
        shutil.rmtree(settings.checkpoints_folder / str(run), ignore_errors=True)
    # Under the lock of a writer: a run that has the same bytes as its own is seen, and one that comes meanwhile fails
    # with `blob_missing` at worst.
    with log.write() as connection:
        for sha256 in forgotten.erasable(connection, tombstone):
            store.erase(sha256)
        forgotten.done(connection, tombstone)
    _shorten_sqlite(log)


def _shorten_sqlite(log: Log) -> None:
    """SQLite keeps what was overwritten in a file of its own until that is emptied; readers may put it off."""
    if log.url.get_backend_name() != "sqlite":
        return
    with suppress(sqlite3.Error), log.engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def without_cells(result: Mapping[str, Any]) -> dict[str, Any]:
    """A report without what quotes cells; what the model needs to read a table stays."""
    kept = {key: value for key, value in result.items() if key in _FACTS_THAT_STAY}
    dialect = result.get("dialect")
    kept["dialect"] = dialect and {key: value for key, value in dialect.items() if key in _DIALECT_THAT_STAYS}
    kept["columns"] = [
        {key: value for key, value in column.items() if key in _COLUMN_THAT_STAYS} | {"reason": ""}
        for column in result.get("columns") or ()
    ]
    kept["warnings"] = [forgotten.REDACTED]
    return kept


def _staying(connection: Connection, store: BlobStore, run: Run) -> Sequence[Artifact]:
    """The files that a run keeps, those that quoted cells made anew without."""
    known = artifacts_of(connection, run.id)
    stay = [artifact for artifact in known if artifact.name in _FILES_THAT_STAY]
    if run.kind != "train" or not run.result:
        return stay
    result = without_cells(run.result)
    about = About(run.dataset_name or "", run.dataset_sha256, name=run.name)
    texts = (
        json.dumps(result, indent=2, ensure_ascii=False) + "\n",
        model_card(result, about),
        data_card(result, about),
    )
    names = {artifact.name for artifact in known}
    for name, text in zip(_MADE_ANEW, texts, strict=True):
        if name in names:
            blob = store.put_chunks([text.encode("utf-8", "replace")])
            stay.append(Artifact(name=name, sha256=blob.sha256, size_bytes=blob.size_bytes))
    return stay
