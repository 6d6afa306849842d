"""What people added to a run, for people and for machines: its tags, notes and aliases."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection

from bot.answers import envelope
from bot.cards import Card, run_title
from bot.desk import Answer, Desk
from bot.grammar import quoted
from shared.log import beside
from shared.log.beside import Note, Promotion
from shared.log.runs import Run


def beside_answer(desk: Desk, connection: Connection, run: Run, kind: str) -> Answer:
    """All of it, as the answer of a verb that has just changed some."""
    facts, notes, plain = _beside(desk, connection, run)
    card = Card(title=run_title(run), facts=facts or (() if notes else (("tags", "none"),)), notes=notes)
    return Answer(card=card, envelope=envelope(kind, "succeeded", run=run.id, **plain))


def with_beside(desk: Desk, connection: Connection, run: Run, answer: Answer) -> Answer:
    """A run's own answer, and what people added to it."""
    facts, notes, plain = _beside(desk, connection, run)
    card = replace(answer.card, facts=(*facts, *answer.card.facts), notes=(*answer.card.notes, *notes))
    return Answer(card=card, envelope={**answer.envelope, **plain})


def promoted_answer(desk: Desk, made: Promotion, before: int | None) -> Answer:
    """What an alias stands for now."""
    name = f"{made.alias}:{made.dataset}"
    when = "already" if before == made.run else "now" if before is None else f"now; it was run {before}"
    card = Card(
        title=name,
        headline=f"{name} is run {made.run} {when}.",
        facts=(("why", made.why),) if made.why else (),
        more=(f"{desk.prefix} predict {quoted(name)} DATASET", f"{desk.prefix} history {quoted(made.dataset)}"),
    )
    body = envelope("promote", "succeeded", run=made.run, before=before, **promotion_plain(made))
    return Answer(card=card, envelope=body)


def promotion_plain(made: Promotion) -> dict[str, Any]:
    """A promotion for machines."""
    return {
        "alias": made.alias,
        "dataset": made.dataset,
        "why": made.why,
        "by": made.by,
        "at": made.at.isoformat(),
    }


def _beside(
    desk: Desk, connection: Connection, run: Run
) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...], dict[str, Any]]:
    tags, notes = beside.tags_of(connection, run.id), beside.notes_of(connection, run.id)
    aliases = beside.aliases_of(connection, desk.principal, run)
    facts = [("alias", ", ".join(aliases))] if aliases else []
    facts += [("tags", ", ".join(tags))] if tags else []
    plain = {"tags": tags, "notes": _notes_plain(notes), "aliases": aliases}
    return tuple(facts), tuple(_note_text(note) for note in notes), plain


def _note_text(note: Note) -> str:
    return f"{note.by}, {note.at:%Y-%m-%d %H:%M} UTC: {note.text}"


def _notes_plain(notes: Sequence[Note]) -> list[dict[str, str]]:
    return [{"text": note.text, "by": note.by, "at": note.at.isoformat()} for note in notes]
