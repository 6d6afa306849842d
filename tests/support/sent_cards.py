"""Cards that are sent in tests: senders that run until nothing is due, and runs that are brought to a state."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from sqlalchemy import select

from shared.blobs import BlobStore
from shared.events import AnyEvent
from shared.log import attempts, runs, tables
from shared.log.attempts import Attempt, Outcome
from shared.log.chat_tables import card_files, notices
from shared.log.engine import Log
from shared.log.runs import Artifact
from support.deadline import until

GENERAL = "C0GENERAL"


class Sender(Protocol):
    """What sends one thing after another."""

    def send_next(self) -> bool:
        """Send the next one; False when none is due."""


def settle(*senders: Sender) -> None:
    """Send until nothing is behind."""
    while any(sender.send_next() for sender in senders):
        pass


def sent_until(sender: Sender, condition: Callable[[], object]) -> None:
    """Send, as the notifier does, until a condition holds."""

    def sent() -> object:
        sender.send_next()
        return condition()

    until(sent)


def card_row(log: Log, run: int) -> dict[str, Any]:
    """The card of a run as the log has it."""
    with log.read() as connection:
        return dict(connection.execute(select(tables.cards).where(tables.cards.c.run_id == run)).one()._mapping)


def file_rows(log: Log) -> dict[str, dict[str, Any]]:
    """The files of cards as the log has them, by name."""
    with log.read() as connection:
        return {row.name: dict(row._mapping) for row in connection.execute(select(card_files))}


def notice_rows(log: Log) -> dict[str, dict[str, Any]]:
    """The notices as the log has them, by key."""
    with log.read() as connection:
        return {row.key: dict(row._mapping) for row in connection.execute(select(notices).order_by(notices.c.id))}


def start(log: Log, run: int) -> Attempt:
    """Queue a run and let a worker claim it."""
    with log.write() as connection:
        runs.queue(connection, run)
        claimed = attempts.claim(connection, worker="w1", lease_s=60)
        assert claimed is not None
        return claimed[0]


def record(log: Log, attempt: Attempt, *events: AnyEvent) -> None:
    """Let things happen to a run."""
    with log.write() as connection:
        for event in events:
            attempts.record(connection, attempt, event)


def succeed(log: Log, attempt: Attempt, store: BlobStore, files: dict[str, bytes], *, accuracy: float = 0.91) -> None:
    """Let a run end well, with files."""
    made = [_stored(store, name, body) for name, body in files.items()]
    metrics = {"test": {"accuracy": accuracy}, "baseline": {"accuracy": 0.7}}
    result = {"task": "binary", "headline": "accuracy", "model": "mlp", "metrics": metrics}
    with log.write() as connection:
        attempts.succeed(connection, attempt, Outcome(result=result, metrics=metrics, artifacts=made))


def _stored(store: BlobStore, name: str, body: bytes) -> Artifact:
    blob = store.put_chunks([body])
    return Artifact(name=name, sha256=blob.sha256, size_bytes=blob.size_bytes)


def texts(messages: Sequence[dict[str, Any]]) -> list[str]:
    """What messages say."""
    return [message["text"] for message in messages]
