"""`/datasets/churn.csv` or `/datasets/<sha256>`: its runs, what came out best, its columns."""

from collections.abc import Sequence
from typing import Any

from bot import describe_card
from bot.cards import Table
from bot.desk import Desk
from bot.pages import figures
from bot.pages.html import Shown
from bot.pages.list_page import line
from bot.scored import interval_of, on_test
from bot.tables import interval_text, spread_text
from shared.log import boards, pages
from shared.log.beside import promotions_of
from shared.log.boards import Board
from shared.log.runs import Run

_RUNS, _BOARDS, _RANKED, _PROMOTIONS = 50, 5, 10, 10


def show(desk: Desk, dataset: str) -> Shown:
    """A dataset that this principal sees a run on; raises `RefusedWords` `dataset_not_run` for any other."""
    with desk.log.read() as connection:
        principal = desk.principal
        condition = boards.of_dataset(connection, principal, dataset)
        found = pages.lines_of_dataset(connection, principal, condition, limit=_RUNS)
        count = pages.count_of_dataset(connection, principal, condition)
        standings = [
            (board, *boards.ranking(connection, principal, board, limit=_RANKED))
            for board in boards.boards(connection, principal, condition)[:_BOARDS]
        ]
        told = pages.newest_with_columns(connection, principal, condition)
        names = list(dict.fromkeys(run.dataset_name for run in found if run.dataset_name))
        promotions = promotions_of(connection, principal, names[0], most=_PROMOTIONS) if names else []
    values: dict[str, Any] = {
        "title": ", ".join(names[:3]) or dataset,
        "sha256": told.dataset_sha256 if told is not None else None,
        "lines": [line(run) for run in found],
        "count": count,
        "boards": [_board(board, size, ranked) for board, size, ranked in standings],
        "told": told,
        "columns": _columns(told),
        "promotions": promotions,
    }
    return Shown("dataset.html", values)


def _board(board: Board, size: int, ranked: Sequence[Run]) -> dict[str, Any]:
    rows = tuple(
        (
            str(place),
            str(run.id),
            run.model or "–",
            spread_text(run.score, on_test(run.result, "sd").get(board.metric)),
            interval_text(interval_of(run.result, board.metric)),
            run.requested_by,
        )
        for place, run in enumerate(ranked, start=1)
    )
    more = f", the best {len(ranked)} of {size:,}" if size > len(ranked) else ""
    caption = f"Target {board.target or 'not told'}, by {board.metric}{more}"
    reached = [
        (str(run.id), run.score, interval_of(run.result, board.metric)) for run in ranked[:8] if run.score is not None
    ]
    table = Table(caption, ("place", "run", "model", board.metric, "95 % interval", "by"), rows)
    return {"table": table, "chart": figures.runs_chart(board.metric, reached)}


def _columns(run: Run | None) -> Table | None:
    result = (run.result if run is not None else None) or {}
    tables = describe_card.columns_tables(result)
    return tables[0] if tables else None
