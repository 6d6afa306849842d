"""Events: numbered per run as they are written, and never changed."""

from datetime import datetime

from sqlalchemy import Connection, insert, update

from shared.events import AnyEvent
from shared.log import tables
from shared.log.engine import now


def append_event(connection: Connection, run: int, event: AnyEvent) -> int:
    """Number an event and write it; the caller has made sure that it may."""
    number: int = connection.execute(
        update(tables.runs)
        .where(tables.runs.c.id == run)
        .values(last_event=tables.runs.c.last_event + 1)
        .returning(tables.runs.c.last_event)
    ).scalar_one()
    write_event(connection, run, number, event, at=now(connection))
    return number


def write_event(connection: Connection, run: int, number: int, event: AnyEvent, *, at: datetime) -> None:
    """Write an event under a number that the caller has just taken from its run."""
    body = event.model_dump(mode="json")
    connection.execute(insert(tables.events).values(run_id=run, number=number, at=at, kind=event.kind, body=body))
