"""What a person chose last in a form, so that it stands there the next time."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, insert, select, update
from sqlalchemy.exc import IntegrityError

from shared.log.chat_tables import choices
from shared.log.engine import now


def last_choice(connection: Connection, *, team_id: str, user_id: str) -> dict[str, Any] | None:
    """What this person chose last; None for a first time."""
    mine = (choices.c.team_id == team_id, choices.c.user_id == user_id)
    body: dict[str, Any] | None = connection.execute(select(choices.c.body).where(*mine)).scalar_one_or_none()
    return body


def remember(connection: Connection, body: Mapping[str, Any], *, team_id: str, user_id: str) -> None:
    """Keep what a person chose; the newest counts."""
    mine = (choices.c.team_id == team_id, choices.c.user_id == user_id)
    values = {"body": dict(body), "at": now(connection)}
    if connection.execute(update(choices).where(*mine).values(values)).rowcount:
        return
    try:
        with connection.begin_nested():
            connection.execute(insert(choices).values(team_id=team_id, user_id=user_id, **values))
    except IntegrityError:  # the same person in two places at once
        connection.execute(update(choices).where(*mine).values(values))
