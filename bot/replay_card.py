"""What a card says of a run that did another one again."""

from typing import Any


def sentences(result: dict[str, Any]) -> tuple[str, ...]:
    """Whether the same came out, and what has changed since; nothing for a run that replays none."""
    replay = result.get("replay")
    if not replay:
        return ()
    changed = replay.get("changed") or []
    since = f"changed since: {', '.join(changed)}" if changed else "nothing that the log knows of has changed since"
    if replay.get("same"):
        tail = f"; {since}" if changed else ""
        return (f"Replay of run {replay['of']}: the same weights, bit for bit{tail}.",)
    if replay.get("metrics_same"):
        metrics = "the same metrics"
    else:
        place = "within" if replay.get("within_interval") else "outside"
        metrics = f"metrics {place} the interval of run {replay['of']}"
    return (f"Replay of run {replay['of']}: other weights; {metrics}; {since}.",)
