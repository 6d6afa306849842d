"""`leaderboard DATASET`: who is best on a dataset, on the same test rows, with ties shown as ties."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot import values
from bot.grammar import Key, Verb, Words
from bot.verbs.history import dataset_in

if TYPE_CHECKING:
    from bot.desk import Answer, Desk


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
    from bot.board import leaderboard_answer, standings

    with desk.log.read() as connection:
        shown, others = standings(
            connection, desk.principal, request.dataset, target=request.target, limit=request.limit
        )
    return leaderboard_answer(desk, request.dataset, shown, others=others, target=request.target)


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
