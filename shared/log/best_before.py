"""The best run that was measured on the same test rows before a run: what its result is held against."""

from sqlalchemy import ColumnElement, Connection, and_, or_, select

from shared.access import Visibility
from shared.log import tables
from shared.log.boards import best_first, ranked, same_question
from shared.log.runs import Run, run_of


def best_before(connection: Connection, run: Run) -> Run | None:
    """The best earlier train run of the same data, target, test rows and score; None where there is none.

    Only what everyone who sees this run may see too: a run of the team is held against runs of the team.
    """
    if run.headline is None or run.score is None:
        return None
    earlier = [*same_question(run, run.headline), *ranked(), tables.runs.c.id < run.id, _seen_with(run)]
    best = select(tables.runs).where(*earlier).order_by(*best_first(run.headline)).limit(1)
    found = connection.execute(best).one_or_none()
    return None if found is None else run_of(found)


def _seen_with(run: Run) -> ColumnElement[bool]:
    """What whoever sees the run where it was asked for may see too."""
    columns = tables.runs.c
    seen = [columns.visibility == Visibility.TEAM.value]
    here = and_(columns.visibility == run.visibility.value, columns.channel_id == run.channel_id)
    if run.visibility is Visibility.CHANNEL:
        seen.append(here)
    elif run.visibility is Visibility.PRIVATE:
        seen.append(and_(here, columns.requested_by == run.requested_by))
    return and_(columns.team_id == run.team_id, or_(*seen))
