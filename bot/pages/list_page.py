"""`/runs`: the log, newest first, or what of it is searched for."""

from dataclasses import dataclass, replace
from urllib.parse import urlencode

from bot.cards import duration_text, took_s
from bot.desk import Desk
from bot.pages.html import Shown
from bot.search_words import query_of
from bot.tables import spread_text
from bot.words import split_words
from shared.errors import LmlError, Problem
from shared.log import pages
from shared.log.pages import ListedRun
from shared.search import Order, Query

A_PAGE = 50
MOST_CHARACTERS = 500
EXAMPLES = ("ds:churn.csv auc>0.9 sort:-auc", "state:failed since:7d", "tag:baseline kind:train")


@dataclass(frozen=True)
class Line:
    """A run of a list."""

    number: int
    state: str
    what: str
    result: str
    by: str
    when: str


def show(desk: Desk, *, words: str, before: int | None) -> Shown:
    """A page of the log: what `words` ask for, with numbers below `before`."""
    try:
        query = _query(words[:MOST_CHARACTERS])
    except LmlError as error:
        return _shown(words, [], problems=error.problems, older=None, before=before)
    by_number = query.order == Order()
    if before is not None and by_number:
        query = replace(query, last=before - 1 if query.last is None else min(before - 1, query.last))
    with desk.log.read() as connection:
        found = pages.listed(connection, desk.principal, replace(query, limit=query.limit + 1))
    more, found = len(found) > query.limit, found[: query.limit]
    older = _address(words, found[-1].number) if more and by_number else None
    return _shown(words, [line(run) for run in found], older=older, before=before, cut=more and not by_number)


def line(run: ListedRun) -> Line:
    """A run as a list shows it."""
    took = took_s(run)
    moment = run.created_at.strftime("%Y-%m-%d %H:%M")
    return Line(
        number=run.number,
        state=run.state.value,
        what=_what(run),
        result=_result(run),
        by=run.requested_by,
        when=moment if took is None else f"{moment}, {duration_text(took)}",
    )


def _query(words: str) -> Query:
    query = query_of(split_words(words))
    return query if query.limit != Query.limit else replace(query, limit=A_PAGE)


def _shown(
    words: str,
    lines: list[Line],
    *,
    older: str | None,
    before: int | None,
    problems: tuple[Problem, ...] = (),
    cut: bool = False,
) -> Shown:
    values = {
        "words": words,
        "lines": lines,
        "older": older,
        "newest": _address(words, None) if before is not None else None,
        "problems": problems,
        "cut": cut,
        "examples": EXAMPLES,
    }
    return Shown("runs.html", values, status=400 if problems else 200)


def _address(words: str, before: int | None) -> str:
    query = {key: value for key, value in (("q", words), ("before", before)) if value}
    return f"/runs?{urlencode(query)}" if query else "/runs"


def _what(run: ListedRun) -> str:
    if run.kind == "compare":
        what = " and ".join(map(str, run.of_runs))
    elif run.of_runs:
        what = f"{run.of_runs[0]} on {run.dataset_name or 'a dataset'}"
    else:
        what = run.dataset_name or ""
    what += f", {run.seeds} seeds" if run.seeds is not None else ""
    what += f" seed {run.seed} of run {run.seed_of}" if run.seed_of is not None else ""
    name = f" ({run.name})" if run.name else ""
    return f"{run.kind} {what}".rstrip() + name


def _result(run: ListedRun) -> str:
    if run.problem is not None:
        return run.problem
    return "" if run.score is None else f"{run.headline} {spread_text(run.score, run.sd)}"
