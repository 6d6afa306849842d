"""`history DATASET`: everything that was run on a dataset, the best so far marked, and who promoted what."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot import values
from bot.grammar import Key, Verb, Words
from bot.search_words import shown
from shared.errors import refused

if TYPE_CHECKING:
    from bot.desk import Answer, Desk


@dataclass(frozen=True)
class History:
    """Of which dataset, and how many runs."""

    dataset: str
    limit: int = 30


def build(words: Words) -> History:
    """The request."""
    return History(dataset=dataset_in(words.plain[0]), **words.values)


def dataset_in(word: str) -> str:
    """A dataset as it is named here: the name of its file, or a hash."""
    try:
        return shown(word).replace("\\", "/").rsplit("/", 1)[-1]
    except ValueError as error:
        raise refused("bad_value", f"A dataset's name {error}", "`log` lists the runs with their datasets.") from None


def answer(desk: "Desk", request: History) -> "Answer":
    """The newest first."""
    from bot.board import history_answer
    from shared.log import beside, boards

    with desk.log.read() as connection:
        dataset = boards.of_dataset(connection, desk.principal, request.dataset)
        found = boards.history(connection, desk.principal, dataset, limit=request.limit)
        records = boards.records(connection, desk.principal, dataset)
        names = dict.fromkeys(run.dataset_name for run in found if run.dataset_name)
        keys = dict.fromkeys(map(beside.dataset_key, names))
        promotions = [made for key in keys for made in beside.promotions_of(connection, desk.principal, key)]
    return history_answer(desk, list(names), found, records, promotions)


VERB = Verb(
    name="history",
    summary="Show everything that was run on a dataset: who, when, the best so far, what was promoted.",
    plain="DATASET",
    keys=(Key("limit", "N", "how many runs; 30 unless given", values.whole(least=1, most=1_000)),),
    examples=("history churn.csv", "history churn", "history 3fa4c1d2"),
    build=build,
    answer=answer,
)
