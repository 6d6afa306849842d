"""The weekly digest: when it is due, and what it says."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from bot.cards import Card
from bot.slack import blocks as kit
from bot.slack.blocks import Block
from bot.tables import Table, number_text
from shared.log.digest import Week

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
WEEK = timedelta(days=7)


def last_due(when: str, moment: datetime) -> datetime:
    """The latest moment, not after another, at which a digest is due: `mon 09:00`, in UTC."""
    day, clock = when.lower().split()
    hour, minute = (int(part) for part in clock.split(":"))
    due = moment.replace(hour=hour, minute=minute, second=0, microsecond=0)
    due -= timedelta(days=(due.weekday() - DAYS.index(day)) % 7)
    return due if due <= moment else due - WEEK


def digest_key(due: datetime, team_id: str) -> str:
    """One for each week and team, however many bots there are: `digest:2026-W48:T0TEAM`."""
    year, week, _ = due.isocalendar()
    return f"digest:{year}-W{week:02}:{team_id}"


def digest_card(week: Week) -> Card:
    """What happened in a week."""
    number = sum(sum(states.values()) for states in week.ended.values())
    last = week.end - timedelta(seconds=1)
    notes = [_kind_text(kind, states) for kind, states in week.ended.items()]
    if week.failures:
        notes.append("failures: " + ", ".join(f"{code} {count}" for code, count in week.failures))
    return Card(
        title=f"The week of LML, {week.start:%d %b} to {last:%d %b %Y}",
        headline=_headline(number, week.gpu_s),
        tables=(_best_table(week),) if week.best else (),
        notes=tuple(notes),
    )


def people_block(requesters: Sequence[tuple[str, int]]) -> Block | None:
    """Who asked for the most, named by Slack itself; None where nobody did."""
    named = [f"{f'<@{by}>' if kit.person(by) else kit.escape(kit.cut(by, 60))} {count:,}" for by, count in requesters]
    return kit.context(kit.markdown("Most runs: " + ", ".join(named))) if named else None


def _headline(number: int, gpu_s: float) -> str:
    if number == 0:
        return "No run ended."
    used = f", with {gpu_s / 3600:,.1f} GPU-hours" if gpu_s else ""
    return f"{number:,} run{'s' if number != 1 else ''} ended{used}."


def _kind_text(kind: str, states: dict[str, int]) -> str:
    return f"{kind}: " + ", ".join(f"{count:,} {state}" for state, count in states.items())


def _best_table(week: Week) -> Table:
    rows = tuple(
        (best.dataset, str(best.run), best.model, f"{best.metric} {number_text(best.score)}", f"{best.of:,}")
        for best in week.best
    )
    return Table(caption="The best models", header=("dataset", "run", "model", "score", "of"), rows=rows)
