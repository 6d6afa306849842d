"""The same asked twice: a run that somebody has just asked for in the same words, at the same place."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, select

from shared.access import Principal
from shared.log import tables
from shared.log.engine import one_at_a_time
from shared.log.states import RunState

WITHIN_S = 30.0
"""For how long the same words mean the same run: people type again what seems not to have been heard."""
_LOOKED_AT = 20


def just_asked(
    connection: Connection, principal: Principal, *, words: str, dataset_source: Mapping[str, Any] | None
) -> int | None:
    """The run that this person asked for here in these words a moment ago and that has not ended; else None.

    Until its end this block is alone among those of the same person, so that of two at once only one finds nothing.
    """
    moment = one_at_a_time(connection, "asked", principal.team_id, principal.user_id)
    runs = tables.runs.c
    newest = connection.execute(
        select(runs.id, runs.team_id, runs.channel_id, runs.words, runs.dataset_source, runs.created_at, runs.state)
        .where(runs.requested_by == principal.user_id)
        .order_by(runs.id.desc())
        .limit(_LOOKED_AT)
    )
    for row in newest:
        if row.created_at < moment - timedelta(seconds=WITHIN_S):
            return None
        here = (row.team_id, row.channel_id, row.words) == (principal.team_id, principal.channel_id, words)
        file = (dataset_source or {}).get("slack_file")
        if here and not RunState(row.state).ended and (row.dataset_source or {}).get("slack_file") == file:
            return int(row.id)
    return None
