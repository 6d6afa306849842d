"""What the home tab shows of the log: only what its person sees in a direct message with the bot."""

from sqlalchemy import Connection, func, select

from bot.board import Standing, standings
from bot.desk import Desk
from bot.pages.links import run_link
from bot.slack.views.home_view import MOST_MINE, MOST_QUEUE, MOST_RANKS, Home
from shared.errors import RefusedWords
from shared.log import datasets, runs, tables
from shared.log.choices import last_choice
from shared.log.engine import now
from shared.log.forecast import Forecast, forecasts
from shared.log.runs import Run, RunState, visible_to
from shared.log.workers import live_slots

_MOST_DATASETS = 100
_LOOKED_AT = 50


def home_of(connection: Connection, desk: Desk, *, dataset: str = "") -> Home:
    """All of it, as of one moment; `dataset` is the one whose leaderboard was chosen."""
    me, columns = desk.principal, tables.runs.c
    alone = columns.seed_of.is_(None)
    own = [columns.requested_by == me.user_id, columns.team_id == me.team_id, alone]
    mine = runs.listed(connection, me, conditions=own, limit=MOST_MINE)
    going = [columns.state.in_([state.value for state in RunState if not state.ended]), alone]
    size = connection.execute(select(func.count()).select_from(tables.runs).where(visible_to(me), *going)).scalar_one()
    queue = runs.listed(connection, me, conditions=going, limit=_LOOKED_AT)
    expected = forecasts(connection, list({run.id: run for run in (*mine, *queue)}.values()))
    queue.sort(key=lambda run: _place(run, expected.get(run.id)))
    names = datasets.names(connection, me)[:_MOST_DATASETS]
    standing = _standing(connection, desk, dataset) if dataset else None
    if standing is None and not dataset:
        dataset, standing = _first_board(connection, desk, names)
    shown = [*mine, *queue[:MOST_QUEUE]]
    return Home(
        mine=mine,
        queue=queue[:MOST_QUEUE],
        queue_size=size,
        expected=expected,
        slots=live_slots(connection, now(connection)),
        datasets=names,
        dataset=dataset,
        standing=standing,
        pages={run.id: run_link(desk.settings, run, channel_id=me.channel_id) for run in shown},
    )


def _place(run: Run, expected: Forecast | None) -> tuple[int, int, int]:
    """What runs comes first, then what waits in its order, then what is not in the queue yet."""
    if run.state is RunState.RUNNING:
        return (0, 0, run.id)
    if expected is None or expected.position is None:
        return (2, 0, run.id)
    return (1, expected.position, run.id)


def _first_board(connection: Connection, desk: Desk, names: list[str]) -> tuple[str, Standing | None]:
    """The leaderboard of the dataset that this person chose last, else of one that was used of late."""
    chosen = last_choice(connection, team_id=desk.principal.team_id, user_id=desk.principal.user_id) or {}
    last = str(chosen.get("dataset") or "")
    for name in dict.fromkeys([*([last] if last in names else []), *names[:3]]):
        standing = _standing(connection, desk, name)
        if standing is not None:
            return name, standing
    return "", None


def _standing(connection: Connection, desk: Desk, dataset: str) -> Standing | None:
    try:
        found, _ = standings(connection, desk.principal, dataset, limit=MOST_RANKS)
    except RefusedWords:  # nothing was run on it that this person sees
        return None
    return next(iter(found), None)
