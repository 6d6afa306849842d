"""`diff RUN RUN`: what differs between two runs: what was asked, the data, where they were done, what came out."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bot.grammar import Verb, Words
from bot.verbs.runs_in_words import runs_in
from shared.errors import refused

if TYPE_CHECKING:
    from bot.desk import Answer, Desk
    from shared.log.runs import Run

MOST_ROWS = 60
_MOST_LETTERS = 60


@dataclass(frozen=True)
class Diff:
    """Two runs side by side."""

    first: int
    second: int


def build(words: Words) -> Diff:
    """The request."""
    first, second = runs_in(words.plain)
    if first == second:
        raise refused("bad_run", f"`diff` needs two different runs; met {first} twice.", "`log` lists the runs.")
    return Diff(first=first, second=second)


def answer(desk: "Desk", request: Diff) -> "Answer":
    """A row for everything that differs."""
    from bot.answers import envelope
    from bot.cards import Card, Table, number_text
    from bot.desk import Answer
    from shared.log import runs

    with desk.log.read() as connection:
        first, second = (runs.find(connection, desk.principal, number) for number in (request.first, request.second))
    sides = [dict(_facts(run)) for run in (first, second)]
    differ = {name: [side.get(name) for side in sides] for name in {**sides[0], **sides[1]}}
    same = sum(one == other for one, other in differ.values())
    differ = {name: values for name, values in differ.items() if values[0] != values[1]}

    def text(value: Any) -> str:
        said = number_text(value) if isinstance(value, float) else "–" if value is None else str(value)
        return said if len(said) <= _MOST_LETTERS else f"{said[: _MOST_LETTERS - 1]}…"

    rows = tuple((name, *map(text, values)) for name, values in list(differ.items())[:MOST_ROWS])
    title = f"Runs {first.id} and {second.id}"
    table = Table(caption="What differs", header=("", f"run {first.id}", f"run {second.id}"), rows=rows)
    notes = [f"{same:,} values are the same." if rows else f"Nothing differs; {same:,} values are the same."]
    if len(differ) > MOST_ROWS:
        notes.append(f"{len(differ) - MOST_ROWS:,} more differ; `--json` has all of them.")
    card = Card(
        title=title,
        tables=(table,) if rows else (),
        notes=tuple(notes),
        more=(f"{desk.prefix} compare {first.id} {second.id}",) if first.kind == second.kind == "train" else (),
    )
    items = [{"name": name, "values": values} for name, values in differ.items()]
    return Answer(card=card, envelope=envelope("diff", "succeeded", runs=[first.id, second.id], same=same, items=items))


def _facts(run: "Run") -> Iterator[tuple[str, Any]]:
    """Everything of a run that can be put beside another's, by its place, the words of the request first."""
    from bot.cards import seconds_between

    result = run.result or {}
    yield "kind", run.kind
    yield "state", run.state.value
    yield "asked by", run.requested_by
    yield from _flat("", run.spec.model_dump(mode="json", exclude={"kind", "version"}))
    yield "dataset.name", run.dataset_name
    yield "dataset.sha256", run.dataset_sha256
    of_result = (
        "dataset",
        "split_sha256",
        "target",
        "task",
        "model",
        "plan",
        "environment",
        "metrics",
        "sd",
        "timing_s",
    )
    for name in of_result:
        kept = result.get(name)
        if kept is not None:
            yield from _flat(name, kept)
    yield "took_s", seconds_between(run.started_at, run.ended_at)


def _flat(place: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The values of nested ones, each by its whole place; a list is one value."""
    if not isinstance(value, Mapping):
        yield place, value
        return
    for name, inner in value.items():
        yield from _flat(f"{place}.{name}" if place else str(name), inner)


VERB = Verb(
    name="diff",
    summary="Show what differs between two runs: request, data, environment, plan, scores.",
    plain="RUN RUN",
    examples=("diff 41 42", "diff champion:churn 42"),
    build=build,
    answer=answer,
)
