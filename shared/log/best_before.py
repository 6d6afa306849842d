"""The best run that was measured on the same test rows before a run: what its result is held against."""

from sqlalchemy import ColumnElement, Connection, and_, or_, select

from shared.access import Visibility
from shared.log import tables
from shared.log.runs import Run, run_of
from shared.log.states import RunState
from shared.metric_names import LOWER_IS_BETTER


def best_before(connection: Connection, run: Run) -> Run | None:
    """The best earlier train run of the same data, target, test rows and score; None where there is none.

    Only what everyone who sees this run may see too: a run of the team is held against runs of the team.
    """
    columns = tables.runs.c
    if run.headline is None or run.score is None:
        return None
    if run.content_sha256 is not None:
        data = columns.content_sha256 == run.content_sha256
    else:
        data = and_(columns.content_sha256.is_(None), columns.dataset_sha256 == run.dataset_sha256)
    better_first = columns.score.asc() if run.headline in LOWER_IS_BETTER else columns.score.desc()
    found = connection.execute(
        select(tables.runs)
        .where(
            data,
            _same(columns.target, run.target),
            _same(columns.split_sha256, run.split_sha256),
            columns.headline == run.headline,
            columns.score.is_not(None),
            columns.kind == "train",
            columns.state == RunState.SUCCEEDED.value,
            columns.id < run.id,
            columns.seed_of.is_(None),
            _seen_with(run),
        )
        .order_by(better_first, columns.id)
        .limit(1)
    ).one_or_none()
    return None if found is None else run_of(found)


def _same(column: ColumnElement[str | None], value: str | None) -> ColumnElement[bool]:
    return column.is_(None) if value is None else column == value


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
