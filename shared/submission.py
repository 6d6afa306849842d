"""The one way in: what was asked becomes a run in the log, and its dataset comes into the store.

Every door ends here: a shell, Slack, HTTP, the intake of queued messages. `write` is quick enough for a chat's
acknowledgement; `prepare` moves bytes and belongs behind it; then the door rings for the workers.
"""

import json
import logging
import os
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from shared.access import Principal, Source, Visibility, authorize
from shared.blobs import BlobStore
from shared.datasets.address import called, is_address, require_address
from shared.errors import LmlError, Problem, RefusedWords, RunFailed, failed, one_problem, refused
from shared.ingest import Fetch, ingest, keep_source, require_named
from shared.log import cards, forgotten, runs
from shared.log.engine import Log, now
from shared.log.preparing import PREPARING_LEASE_S, begin_preparing
from shared.log.quotas import Limits, require_place
from shared.log.runs import NewRun, Run, RunState
from shared.log.services import request_webhook
from shared.settings import Settings
from shared.specs import AnySpec, CompareSpec, DescribeSpec, Device, dataset_of, parents_of, seeds_of
from shared.webhook_url import require_webhook_url
from shared.work import Priority, device_of

logger = logging.getLogger(__name__)

BY_HASH = "sha256:"
"""What a dataset's name begins with where it is named by the hash of its bytes."""


@dataclass(frozen=True)
class Submission:
    """What is asked, by whom, and where the answer goes."""

    spec: AnySpec
    principal: Principal
    words: str
    """As a person would have typed it."""
    visibility: Visibility = Visibility.TEAM
    key: str | None = None
    """Submissions of a team with the same key are one run."""
    priority: Priority = Priority.HIGH
    deadline_at: datetime | None = None
    batch: str | None = None
    tags: Sequence[str] = ()
    dataset_source: dict[str, Any] | None = None
    """What `prepare` needs to find the bytes elsewhere."""
    card_channel: str | None = None
    """The chat channel that is told."""
    webhook_url: str | None = None
    """The address that is told of the end."""
    resumes: int | None = None
    retries: int | None = None
    replays: int | None = None


def write(connection: Connection, settings: Settings, asked: Submission) -> tuple[int, bool]:
    """Write a run as preparing; returns its number, and False when this key had written it before.

    Raises `RefusedWords` with everything that is wrong: the principal may not, a quota has no place, a run or a dataset
    that is named cannot be used, the deadline has passed, the key stands for something else.
    """
    principal, spec = asked.principal, asked.spec
    authorize(principal, spec.kind)
    _require_plain_name(principal, spec)
    parents = parents_of(spec)
    _require_models(spec, [runs.find(connection, principal, number) for number in parents])
    dataset = dataset_of(spec)
    known = runs.of_trigger(connection, principal.team_id, asked.key) if asked.key is not None else None
    if known is not None:
        _require_same(runs.get(connection, known), asked)
        return known, False
    _require_future(connection, asked.deadline_at)
    _require_used(connection, principal, dataset)
    _require_remembered(connection, asked, dataset)
    _require_known(connection, settings, asked, dataset)
    if asked.webhook_url is not None:
        require_webhook_url(asked.webhook_url, private=settings.webhook_private)
    require_place(
        connection,
        Limits.of_settings(settings),
        team_id=principal.team_id,
        requested_by=principal.user_id,
        gpu=device_of(spec) is Device.GPU,
        runs=len(seeds_of(spec) or (0,)),
    )
    number, created = runs.create(
        connection,
        NewRun(
            spec=spec,
            words=asked.words,
            principal=principal,
            visibility=asked.visibility,
            trigger_id=asked.key,
            request_sha256=None if asked.key is None else _digest(asked),
            dataset_name=None if dataset is None else called(dataset),
            dataset_source=asked.dataset_source,
            parents=parents,
            priority=asked.priority,
            deadline_at=asked.deadline_at,
            batch=asked.batch,
            tags=asked.tags,
            resumes=asked.resumes,
            retries=asked.retries,
            replays=asked.replays,
        ),
    )
    if not created:
        _require_same(runs.get(connection, number), asked)
    if created and asked.card_channel is not None:
        cards.place(connection, number, channel_id=asked.card_channel)
    if created and asked.webhook_url is not None:
        request_webhook(connection, number, service=principal.user_id, url=asked.webhook_url)
    return number, created


def prepare(  # noqa: PLR0913 - where a dataset may be, and what is told while it comes
    log: Log,
    store: BlobStore,
    settings: Settings,
    number: int,
    *,
    base: Path | None = None,
    fetch: Fetch | None = None,
    keep: Callable[[], object] | None = None,
) -> bool:
    """Bring a run's dataset into the store and let the run wait for a worker; False when it cannot go on.

    `shared.ingest` says where it is looked for; `keep` is called now and then while it comes. What is wrong with the
    dataset ends the run as failed, with the reason in the log.
    """
    with log.read() as connection:
        run = runs.get(connection, number)
    if run.state is not RunState.PREPARING:
        return False
    if run.source is Source.SHELL:
        _say_at_it(log, number)
    try:
        arrived = None
        if dataset_of(run.spec) is not None:
            kept_up = partial(_kept_up, keep or partial(_keep, log, run))
            arrived = ingest(log, store, settings, run, base=base, fetch=fetch, kept_up=kept_up)
    except LmlError as error:
        fail(log, number, error)
        return False
    except Exception:  # the border: a run that cannot be prepared ends, with a code
        logger.exception("Run %d could not be prepared.", number)
        problem = failed(
            "preparing_failed",
            "The dataset could not be brought into the store, for a reason that LML does not know.",
            "Its operator finds it in the log of the bot or the worker; then ask again.",
        )
        fail(log, number, problem)
        return False
    try:
        with log.write() as connection:
            if arrived is not None:
                keep_source(connection, number, arrived)
            return runs.queue(
                connection,
                number,
                dataset_sha256=arrived.blob.sha256 if arrived else None,
                dataset_size_bytes=arrived.blob.size_bytes if arrived else None,
            )
    except RefusedWords as error:  # it was forgotten while it was looked for
        fail(log, number, error)
        return False


def fail(log: Log, number: int, error: LmlError) -> None:
    """End a run that no worker has as failed."""
    with log.write() as connection:
        runs.fail_waiting(connection, number, one_problem(error.problems))


def _kept_up(keep: Callable[[], object], chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The chunks; from time to time the log hears that someone brings them."""
    again_at = time.monotonic() + PREPARING_LEASE_S / 3
    for chunk in chunks:
        yield chunk
        if time.monotonic() > again_at:
            keep()
            again_at = time.monotonic() + PREPARING_LEASE_S / 3


def _keep(log: Log, run: Run) -> None:
    if run.source is Source.SHELL:
        _say_at_it(log, run.id)


def _say_at_it(log: Log, number: int) -> None:
    """A command that dies takes its run with it: the sweep ends a run that nobody has been at for a while."""
    with log.write() as connection:
        begin_preparing(connection, number, owner=f"{socket.gethostname()}:{os.getpid()}")


def _require_plain_name(principal: Principal, spec: AnySpec) -> None:
    """Only a shell writes to a path; elsewhere the file of write= is one of the run's files."""
    name = spec.write if isinstance(spec, DescribeSpec) else None
    if name is not None and principal.source is not Source.SHELL and ("/" in name or "\\" in name):
        raise refused(
            "write_is_path",
            f"From a chat, write= is a plain file name, and the file comes into the thread; met `{name}`.",
            "Name it without a folder, such as clean.csv.",
        )


def _require_future(connection: Connection, deadline_at: datetime | None) -> None:
    if deadline_at is not None and deadline_at <= now(connection):
        raise refused(
            "deadline_passed",
            f"A deadline lies in the future; met {deadline_at.isoformat()}.",
            "Give a later one, with its time zone, or none.",
        )


def _require_used(connection: Connection, principal: Principal, dataset: str | None) -> None:
    """A dataset by its hash is one that a run had which this principal may see: a hash opens nothing by itself."""
    if dataset is None or not dataset.startswith(BY_HASH):
        return
    if not runs.has_used(connection, principal, dataset.removeprefix(BY_HASH)):
        raise refused(
            "dataset_unknown",
            f"By its hash, a dataset is one that a run of your team has read; `{dataset[:100]}` is not.",
            "Name a file of the datasets folder, and use the sha256 that its run shows afterwards.",
        )


def _require_remembered(connection: Connection, asked: Submission, dataset: str | None) -> None:
    """Bytes that were forgotten come in again as a file only, and a model whose rows were is not scored."""
    if dataset is not None and dataset.startswith(BY_HASH):
        forgotten.require_there(connection, dataset.removeprefix(BY_HASH))
    forgotten.require_there(connection, (asked.dataset_source or {}).get("sha256"))
    if asked.spec.kind in ("evaluate", "compare"):
        for parent in parents_of(asked.spec):
            forgotten.require_rows(connection, runs.get(connection, parent))


def _require_known(connection: Connection, settings: Settings, asked: Submission, dataset: str | None) -> None:
    """An address is one that is taken, whoever names it; and what a service names is there, or nothing is written:
    nobody reads the card of such a run.
    """
    if dataset is None or dataset.startswith(BY_HASH) or asked.dataset_source is not None:
        return
    if is_address(dataset):
        require_address(settings, dataset)
    elif asked.principal.source is Source.SERVICE:
        require_named(connection, settings, asked.principal, dataset)


def _require_same(known: Run, asked: Submission) -> None:
    """A key stands for one request."""
    if known.request_sha256 is not None and known.request_sha256 != _digest(asked):
        raise refused(
            "key_reused",
            f"An idempotency key stands for one request; this one was used for run {known.id}, which differs.",
            "Use a new key for a new request.",
        )


def _digest(asked: Submission) -> str:
    """What tells one request from another."""
    deadline = None if asked.deadline_at is None else asked.deadline_at.timestamp()
    told = (asked.priority.word, deadline, asked.batch, list(asked.tags), asked.card_channel, asked.webhook_url)
    return sha256(json.dumps([asked.spec.model_dump(mode="json"), *told], sort_keys=True).encode()).hexdigest()


def _require_models(spec: AnySpec, parents: Sequence[Run]) -> None:
    """Every run whose model is used has one; raises with each that has none."""
    problems = [problem for run in parents if (problem := _no_model(run)) is not None]
    if not problems:
        return
    if isinstance(spec, CompareSpec):  # these words are fine, it is the runs that do not fit
        raise RunFailed(*(replace(problem, code="not_comparable") for problem in problems))
    raise RefusedWords(*problems)


def _no_model(run: Run) -> Problem | None:
    if run.kind != "train":
        message = f"Only train runs have a model; run {run.id} is {run.kind}."
        return Problem("not_a_model", message, "`log kind=train` lists them.")
    if run.state is not RunState.SUCCEEDED:
        message = f"Only a train run that succeeded has a model; run {run.id} is {run.state.value}."
        hint = "Train again, and use the new run." if run.state.ended else f"`show {run.id}` says where it stands."
        return Problem("no_model_yet", message, hint)
    return None
