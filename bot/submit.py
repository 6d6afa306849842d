"""A spec becomes a run: written to the log, its dataset into the store, the doorbell rung.

`write` is quick enough for a chat's acknowledgement; `prepare` moves bytes and belongs behind it.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bot.desk import Desk
from bot.grammar import Command
from shared.access import Source, Visibility, authorize
from shared.blobs import Blob, require_free_space
from shared.datasets.resolve import locate
from shared.errors import LmlError, Problem, RefusedWords, RunFailed, one_problem, refused
from shared.log import cards, runs
from shared.log.runs import NewRun, Run, RunState
from shared.specs import AnySpec, CompareSpec, DescribeSpec, parents_of


def write(
    desk: Desk,
    command: Command,
    *,
    visibility: Visibility = Visibility.TEAM,
    trigger_id: str | None = None,
    dataset_source: dict[str, Any] | None = None,
    card_channel: str | None = None,
) -> tuple[int, bool]:
    """Write the run of a command as preparing; returns its number, and False when this trigger had written it before.

    Raises `RefusedWords` when the principal may not, or names a run that it cannot use. `dataset_source` says where
    `prepare` finds the bytes: `{"path": ...}`, or what a chat needs to fetch a file.
    """
    spec: AnySpec = command.request
    authorize(desk.principal, command.verb.name)
    _require_plain_name(desk, spec)
    dataset = None if isinstance(spec, CompareSpec) else spec.dataset
    with desk.log.write() as connection:
        parents = parents_of(spec)
        _require_models(spec, [runs.find(connection, desk.principal, number) for number in parents])
        number, created = runs.create(
            connection,
            NewRun(
                spec=spec,
                words=command.words,
                principal=desk.principal,
                visibility=visibility,
                trigger_id=trigger_id,
                dataset_name=None if dataset is None else Path(dataset).name,
                dataset_source=dataset_source,
                parents=parents,
            ),
        )
        if created and card_channel is not None:
            cards.place(connection, number, channel_id=card_channel)
    return number, created


Fetch = Callable[[Run], Iterable[bytes] | None]
"""Finds a run's dataset elsewhere, in a chat for example; None when it is not there."""


def prepare(desk: Desk, number: int, *, base: Path | None = None, fetch: Fetch | None = None) -> bool:
    """Bring a run's dataset into the store and let the run wait for a worker; False when it cannot go on.

    `fetch` is asked first; else the dataset is a file by its path. What is wrong with the dataset ends the run as
    failed, with the reason in the log.
    """
    with desk.log.read() as connection:
        run = runs.get(connection, number)
    if run.state is not RunState.PREPARING:
        return False
    try:
        blob = None if isinstance(run.spec, CompareSpec) else _ingest(desk, run, base, fetch)
    except LmlError as error:
        fail(desk, number, error)
        return False
    with desk.log.write() as connection:
        return runs.queue(
            connection,
            number,
            dataset_sha256=blob.sha256 if blob else None,
            dataset_size_bytes=blob.size_bytes if blob else None,
        )


def fail(desk: Desk, number: int, error: LmlError) -> None:
    """End a run that no worker has as failed."""
    with desk.log.write() as connection:
        runs.fail_waiting(connection, number, one_problem(error.problems))


def _ingest(desk: Desk, run: Run, base: Path | None, fetch: Fetch | None) -> Blob:
    settings = desk.settings
    require_free_space(settings.home_folder, min_free_bytes=settings.min_free_bytes)
    fetched = fetch(run) if fetch is not None else None
    if fetched is not None:
        return desk.store.put_chunks(fetched, max_bytes=settings.max_dataset_bytes)
    confined = run.source is not Source.SHELL
    path = locate(getattr(run.spec, "dataset", ""), folder=settings.datasets_folder, confined=confined, base=base)
    room_bytes = settings.min_free_bytes + path.stat().st_size
    require_free_space(settings.home_folder, min_free_bytes=room_bytes)
    with path.open("rb") as stream:
        chunks = iter(lambda: stream.read(1024 * 1024), b"")
        return desk.store.put_chunks(chunks, max_bytes=settings.max_dataset_bytes)


def _require_plain_name(desk: Desk, spec: AnySpec) -> None:
    """Only a shell writes to a path; elsewhere the file of write= is one of the run's files."""
    write = spec.write if isinstance(spec, DescribeSpec) else None
    if write is not None and desk.principal.source is not Source.SHELL and ("/" in write or "\\" in write):
        raise refused(
            "write_is_path",
            f"From a chat, write= is a plain file name, and the file comes into the thread; met `{write}`.",
            "Name it without a folder, such as clean.csv.",
        )


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
