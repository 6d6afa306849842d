"""A run's dataset comes into the store: from an address, a chat, a file, or from a run that had it before.

What a name means, in this order: an address (`https://`, `s3://`); the newest file of that name in the chat's channel;
a file (of the datasets folder, in a shell also by its path); the newest content that a run had by that name, of those
that whoever asks may see.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from shared.access import Principal, Source
from shared.blobs import CHUNK_BYTES, Blob, BlobStore, require_free_space
from shared.datasets.address import Address, is_address, require_address
from shared.datasets.from_https import from_https
from shared.datasets.from_s3 import from_s3
from shared.datasets.resolve import locate
from shared.errors import RunFailed
from shared.log import datasets, forgotten
from shared.log.engine import Log
from shared.log.runs import Run
from shared.settings import Settings
from shared.specs import dataset_of

Fetch = Callable[[Run], Iterable[bytes] | None]
"""Finds a run's dataset elsewhere, in a chat for example; None when it is not there."""

_NOT_THERE = frozenset({"dataset_missing", "channel_unseen"})
"""Codes that say that there is no such file: an earlier run may have had it."""


@dataclass(frozen=True)
class Found:
    """Where a dataset's bytes are on this machine."""

    path: Path
    source: dict[str, Any] | None = None
    """The run that had it before, where it is not a file of its own."""
    blob: Blob | None = None
    """Where the store holds it already."""


@dataclass(frozen=True)
class Arrived:
    """A dataset that is in the store, and what the run keeps of where it came from."""

    blob: Blob
    source: dict[str, Any] | None = None


def principal_of(run: Run) -> Principal:
    """Whoever asked for a run, where it was asked: what they may see, their run may read."""
    return Principal(run.team_id, run.requested_by, run.source, run.channel_id)


def ingest(  # noqa: PLR0913 - where a dataset may be, and what is told while it comes
    log: Log,
    store: BlobStore,
    settings: Settings,
    run: Run,
    *,
    base: Path | None,
    fetch: Fetch | None,
    kept_up: Callable[[Iterable[bytes]], Iterator[bytes]],
) -> Arrived:
    """Bring a run's dataset into the store; raises `LmlError` with what is wrong with it.

    `kept_up` hands on what comes, and tells now and then that somebody is at it.
    """
    require_free_space(settings.home_folder, min_free_bytes=settings.min_free_bytes)
    known = (run.dataset_source or {}).get("sha256")
    if known is not None:  # the dataset of a run that is done again
        return Arrived(Blob(sha256=known, size_bytes=store.path_of(known).stat().st_size))
    name = dataset_of(run.spec) or ""
    limit = settings.max_dataset_bytes
    if _is_address(run, name):
        address = require_address(settings, name)
        blob = store.put_chunks(kept_up(_from(settings, address)), max_bytes=limit)
        return Arrived(blob, {"address": str(address)})
    try:
        fetched = fetch(run) if fetch is not None else None
        if fetched is not None:
            return Arrived(store.put_chunks(fetched, max_bytes=limit))
        found = _file(settings, run.source, name, base)
    except RunFailed as error:
        with log.read() as connection:
            earlier = _earlier(connection, store, principal_of(run), name, error)
        if earlier is None:
            raise
        found = earlier
    if found.blob is not None:
        return Arrived(found.blob, found.source)
    room_bytes = settings.min_free_bytes + found.path.stat().st_size
    require_free_space(settings.home_folder, min_free_bytes=room_bytes)
    with found.path.open("rb") as stream:
        chunks = iter(lambda: stream.read(CHUNK_BYTES), b"")
        return Arrived(store.put_chunks(kept_up(chunks), max_bytes=limit))


def located(
    connection: Connection, settings: Settings, principal: Principal, name: str, *, base: Path | None = None
) -> Found:
    """The file that a name means to this principal, without asking a chat or an address; raises `RunFailed`."""
    try:
        return _file(settings, principal.source, name, base)
    except RunFailed as error:
        earlier = _earlier(connection, BlobStore(settings.store_folder), principal, name, error)
        if earlier is None:
            raise
        return earlier


def require_named(
    connection: Connection, settings: Settings, principal: Principal, name: str, *, base: Path | None = None
) -> None:
    """Raise unless a dataset's name is an address that is taken, or something that is there on this machine."""
    if is_address(name):
        require_address(settings, name)
    else:
        located(connection, settings, principal, name, base=base)


def keep_source(connection: Connection, run: int, arrived: Arrived) -> None:
    """Note where a dataset came from; raises `RefusedWords` where it was forgotten meanwhile."""
    if arrived.source is not None:
        forgotten.require_there(connection, arrived.source.get("sha256"))
        datasets.note_source(connection, run, arrived.source)


def _is_address(run: Run, name: str) -> bool:
    return is_address(name) and (run.dataset_source or {}).get("slack_file") is None


def _from(settings: Settings, address: Address) -> Iterator[bytes]:
    return from_s3(settings, address) if address.scheme == "s3" else from_https(settings, address)


def _file(settings: Settings, source: Source, name: str, base: Path | None) -> Found:
    return Found(locate(name, folder=settings.datasets_folder, confined=source is not Source.SHELL, base=base))


def _earlier(
    connection: Connection, store: BlobStore, principal: Principal, name: str, error: RunFailed
) -> Found | None:
    """What a run had by this name before, where `error` only says that no file has it now."""
    if error.code not in _NOT_THERE or "/" in name or "\\" in name:
        return None
    for one in datasets.earlier(connection, principal, name):
        try:
            path = store.path_of(one.sha256)
        except RunFailed:  # the store does not hold it any more
            continue
        blob = Blob(sha256=one.sha256, size_bytes=path.stat().st_size)
        return Found(path, {"run": one.run, "name": one.name, "sha256": one.sha256}, blob)
    return None
