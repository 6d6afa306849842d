"""`leaderboard DATASET`: who is best on a dataset, on the same test rows, with ties shown as ties."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot import values
from bot.grammar import Key, Verb, Words
from bot.verbs.history import dataset_in

if TYPE_CHECKING:
    from bot.desk import Answer, Desk

MOST_BOARDS = 3
"""Other targets, splits and contents have boards of their own; so many are shown at once."""


@dataclass(frozen=True)
class Leaderboard:
    """Of which dataset; of all its targets where none is given."""

    dataset: str
    target: str | None = None
    limit: int = 10


def build(words: Words) -> Leaderboard:
    """The request."""
    return Leaderboard(dataset=dataset_in(words.plain[0]), **words.values)


def answer(desk: "Desk", request: Leaderboard) -> "Answer":
    """A table for each board, the one with the newest run first."""
    from bot.board import Standing, leaderboard_answer
    from shared.log import boards

    shown = []
    with desk.log.read() as connection:
        dataset = boards.of_dataset(connection, desk.principal, request.dataset)
        found = boards.boards(connection, desk.principal, dataset, target=request.target)
        for board in found[:MOST_BOARDS]:
            size, ranked = boards.ranking(connection, desk.principal, board, limit=request.limit)
            compared = boards.comparisons(connection, desk.principal, ranked[0].id) if len(ranked) > 1 else []
            shown.append(Standing(board, size, ranked, compared))
    return leaderboard_answer(desk, request.dataset, shown, others=len(found) - len(shown), target=request.target)


VERB = Verb(
    name="leaderboard",
    summary="Rank the models of a dataset on the same test rows; ties are shown as ties.",
    plain="DATASET",
    keys=(
        Key("target", "COLUMN", "only models of this target", values.text),
        Key("limit", "N", "how many of each board; 10 unless given", values.whole(least=2, most=100)),
    ),
    examples=("leaderboard churn.csv", "leaderboard churn target=churned"),
    build=build,
    answer=answer,
)
