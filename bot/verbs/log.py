"""`log [words]`: the experiment log, newest first, or what of it is searched for."""

from typing import TYPE_CHECKING

from bot.grammar import Verb, Words
from bot.search_words import KEYS, NOTES, query_of
from shared.search import Query

if TYPE_CHECKING:
    from bot.desk import Answer, Desk


def build(words: Words) -> Query:
    """The request."""
    return query_of(words.plain)


def answer(desk: "Desk", request: Query) -> "Answer":
    """One item for each run."""
    from bot.answers import runs_answer
    from shared.log import search

    with desk.log.read() as connection:
        found = search.find(connection, desk.principal, request)
        reached = search.metrics_of(connection, [run.id for run in found], request.metrics) if request.metrics else {}
    everything = request == Query(order=request.order, limit=request.limit) and not request.metrics
    empty = (
        "There are no runs yet. Begin with `train DATASET`."
        if everything
        else "No run fits. `help log` shows what can be asked for."
    )
    return runs_answer("log", found, title="Experiment log", expected={}, empty=empty, reached=reached)


VERB = Verb(
    name="log",
    summary="List runs, newest first, or search them.",
    plain="[CONDITION]...",
    keys=KEYS,
    examples=(
        "log",
        "log ds:churn.csv 'auc>0.9' sort:-auc",
        "log by:me since:7d state:failed",
        "log tag:baseline kind:train limit:50",
        "log run:40..60 acc:0.8.. march",
    ),
    build=build,
    answer=answer,
    own_words=True,
    notes=NOTES,
)
