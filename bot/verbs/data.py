"""`data`: the datasets that can be named, the files of the datasets folder and what runs have read."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot import values
from bot.grammar import Key, Verb, Words

if TYPE_CHECKING:
    from bot.desk import Answer, Desk


@dataclass(frozen=True)
class Data:
    """Which part of the list; `word` stands in the names that are shown."""

    word: str = ""
    page: int = 1
    limit: int = 20


def build(words: Words) -> Data:
    """The request."""
    return Data(word=words.plain[0] if words.plain else "", **words.values)


def answer(desk: "Desk", request: Data) -> "Answer":
    """The dataset with the newest run first, then files that nothing was run on."""
    from bot.dataset_list import data_answer

    return data_answer(desk, request)


VERB = Verb(
    name="data",
    summary="List the datasets that can be named: files of the datasets folder, and what runs have read.",
    plain="[WORD]",
    keys=(
        Key("page", "N", "which page; 1 unless given", values.whole(least=1, most=100_000)),
        Key("limit", "N", f"how many on a page; {Data.limit} unless given", values.whole(least=1, most=100)),
    ),
    examples=("data", "data churn", "data page=2"),
    build=build,
    answer=answer,
)
