"""`log [filters]`: the experiment log, newest first."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot import values
from bot.grammar import Key, Verb, Words

if TYPE_CHECKING:
    from bot.desk import Answer, Desk

KINDS = ("describe", "train", "evaluate", "compare", "predict")
STATES = ("preparing", "queued", "running", "succeeded", "failed", "cancelled")


@dataclass(frozen=True)
class LogQuery:
    """Which runs to list; None filters nothing."""

    kind: str | None = None
    state: str | None = None
    dataset: str | None = None
    name: str | None = None
    by: str | None = None
    limit: int = 20


def build(words: Words) -> LogQuery:
    """The request."""
    return LogQuery(**words.values)


def answer(desk: "Desk", request: LogQuery) -> "Answer":
    """One item for each run."""
    from bot.answers import runs_answer
    from shared.log import runs, tables

    columns = tables.runs.c
    equal = {
        columns.kind: request.kind,
        columns.state: request.state,
        columns.name: request.name,
        columns.requested_by: request.by,
    }
    conditions = [column == value for column, value in equal.items() if value is not None]
    if request.dataset is not None:
        conditions.append(columns.dataset_name.contains(request.dataset, autoescape=True))
    with desk.log.read() as connection:
        found = runs.listed(connection, desk.principal, conditions=conditions, limit=request.limit)
    empty = "No run fits." if conditions else "There are no runs yet. Begin with `train DATASET`."
    return runs_answer("log", found, title="Experiment log", expected={}, empty=empty)


VERB = Verb(
    name="log",
    summary="List runs, newest first.",
    plain="",
    keys=(
        Key("kind", "|".join(KINDS), "only this kind of run", values.one_of(KINDS)),
        Key("state", "|".join(STATES), "only runs in this state", values.one_of(STATES)),
        Key("dataset", "NAME", "only runs whose dataset's name contains this", values.text),
        Key("name", "...", "only runs of this name", values.title),
        Key("by", "USER", "only runs that this user asked for", values.text),
        Key("limit", "N", "how many; 20 unless given", values.whole(least=1, most=1_000)),
    ),
    examples=("log", "log kind=train dataset=churn", "log state=failed limit=5"),
    build=build,
    answer=answer,
)
