"""`audit [words]`: who asked for what, and whether it was allowed, newest first. For admins."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bot import values
from bot.grammar import Key, Verb, Words, nearest_of
from bot.search_words import person, since
from shared.errors import Problem, RefusedWords

if TYPE_CHECKING:
    from bot.desk import Answer, Desk
    from shared.log.audit import AuditQuery, Noted

_DECISIONS = ("allowed", "denied")
_MOST = 500


def _several(read: Any) -> Any:
    return lambda value: tuple(dict.fromkeys(read(part.strip()) for part in value.split(",")))


KEYS = (
    Key("by", "@USER|me", "what this user asked for", _several(person)),
    Key("verb", "VERB", "requests with this verb", _several(values.text)),
    Key("decision", "|".join(_DECISIONS), "what was answered", values.one_of(_DECISIONS)),
    Key("run", "42", "what was asked about this run", values.run_number),
    Key("since", "7d|2026-11-27|today", "since then (UTC)", since),
    Key("limit", "N", "how many; 50 unless given", values.whole(least=1, most=_MOST)),
)


def build(words: Words) -> "AuditQuery":
    """The request; raises `RefusedWords` with everything that is wrong."""
    from shared.log.audit import AuditQuery, Decision

    met, problems = _read(words.plain)
    if problems:
        raise RefusedWords(*problems)
    decision = met.get("decision")
    return AuditQuery(
        by=met.get("by", ()),
        verbs=met.get("verb", ()),
        decision=None if decision is None else Decision(decision),
        run=met.get("run"),
        since=met.get("since"),
        limit=met.get("limit", AuditQuery.limit),
    )


def _read(words: Sequence[str]) -> tuple[dict[str, Any], list[Problem]]:
    """The values of `key:value`, `key=value`, `--key=value` and `--key value`, and what is wrong."""
    keys = {key.name: key for key in KEYS}
    found: dict[str, Any] = {}
    problems: list[Problem] = []
    waiting = list(words)
    while waiting:
        word = waiting.pop(0)
        bare = word.removeprefix("--")
        at = min((place for place in (bare.find("="), bare.find(":")) if place > 0), default=len(bare))
        name, value = bare[:at].lower(), bare[at + 1 :]
        if word.startswith("--") and at == len(bare) and waiting:
            value = waiting.pop(0)
        if name not in keys:
            near = nearest_of(name, list(keys))
            hint = f"Did you mean `{near}:`?" if near else f"It knows: {', '.join(keys)}."
            problems.append(Problem("unknown_key", f"`audit` knows no key `{name[:100]}`.", hint))
        elif name in found:
            problems.append(Problem("repeated_key", f"`{name}` is given more than once.", "Give it once."))
        else:
            try:
                found[name] = keys[name].read(value)
            except ValueError as error:
                problems.append(Problem("bad_value", f"`{word[:100]}`: {error}"))
                found[name] = None
    return found, problems


def answer(desk: "Desk", request: "AuditQuery") -> "Answer":
    """One row for each request."""
    from dataclasses import replace

    from bot.answers import envelope
    from bot.cards import Card, Table
    from bot.desk import Answer
    from shared.log import audit
    from shared.search import ME

    by = tuple(desk.principal.user_id if who == ME else who for who in request.by)
    with desk.log.read() as connection:
        found = audit.find(connection, desk.principal, replace(request, by=by))
    header = ("when (UTC)", "who", "through", "where", "decision", "what", "why not")
    rows = tuple(_row(row) for row in found)
    tables = (Table(caption="Audit", header=header, rows=rows),) if rows else ()
    notes = () if rows else ("Nothing of this kind is on record.",)
    card = Card(title="Audit", tables=tables, notes=notes)
    return Answer(card=card, envelope=envelope("audit", "succeeded", items=[_plain(row) for row in found]))


def _row(row: "Noted") -> tuple[str, ...]:
    words = row.words if len(row.words) <= 80 else f"{row.words[:77]}..."
    when = row.at.strftime("%Y-%m-%d %H:%M:%S")
    return when, row.by, row.entry, row.channel_id or "", row.decision.value, words or row.verb, row.reason or ""


def _plain(row: "Noted") -> dict[str, Any]:
    return {
        "id": row.id,
        "at": row.at.isoformat(),
        "team": row.team_id,
        "by": row.by,
        "source": row.source,
        "entry": row.entry,
        "channel": row.channel_id,
        "verb": row.verb,
        "words": row.words,
        "run": row.run_id,
        "decision": row.decision.value,
        "reason": row.reason,
        "trigger": row.trigger_id,
    }


VERB = Verb(
    name="audit",
    summary="Show who asked for what, and whether it was allowed, newest first. For admins.",
    plain="[CONDITION]...",
    keys=KEYS,
    examples=("audit", "audit by:@ada since:7d", "audit decision:denied", "audit verb:forget,promote limit:200"),
    build=build,
    answer=answer,
    own_words=True,
    notes=("Keys are written key:value too. What only looks (`show`, `log`, ...) is noted when it is denied.",),
)
