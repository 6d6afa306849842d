"""What a card says of the seeds of a run: how far they are, what each reached, whose files there are. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from bot.tables import Table, number_text
from shared.events import AnyEvent, SeedEnded, SeedsQueued

CAPTION = "Seeds"
RUN_COLUMN = 1
"""Where in the table the run of a seed stands."""
WAITS = "waits or runs"


def progress(events: Sequence[AnyEvent]) -> str:
    """How many seeds are trained, and what became of the others."""
    sown = next((event for event in events if isinstance(event, SeedsQueued)), None)
    if sown is None:
        return ""
    states = [event.state for event in events if isinstance(event, SeedEnded)]
    others = {state: states.count(state) for state in dict.fromkeys(states) if state != "succeeded"}
    said = [f"{states.count('succeeded')} of {len(sown.seeds)} seeds trained"]
    return ", ".join(said + [f"{count} {state}" for state, count in others.items()])


def has_all_ended(events: Sequence[AnyEvent]) -> bool:
    """Whether none of the seeds is waited for any more."""
    ended = [event for event in events if isinstance(event, SeedEnded)]
    return bool(ended) and ended[-1].ended == ended[-1].of


def table(events: Sequence[AnyEvent], result: Mapping[str, Any]) -> Table | None:
    """A row for each seed; None for a run without any."""
    return _of_result(result) if result.get("seeds") else _of_events(events)


def counted(result: Mapping[str, Any]) -> int:
    """Of how many seeds the scores are the means; 0 for a run without any."""
    seeds = result.get("seeds")
    return sum(one.get("state") == "succeeded" for one in seeds) if isinstance(seeds, list) else 0


def whose_files(result: Mapping[str, Any]) -> tuple[str, ...]:
    """Which of the seeds the model and the files are of."""
    kept = result.get("kept")
    if not kept:
        return ()
    return (
        f"The scores are means over {counted(result)} seeds. The model and its files, classes, calibration and "
        f"candidates are those of seed {kept['seed']} (run {kept['run']}): it reached the best {kept['by']} on the "
        "validation rows.",
    )


def _of_result(result: Mapping[str, Any]) -> Table:
    metric, kept = str(result.get("headline", "")), result.get("kept") or {}
    by = str(kept.get("by") or metric)

    def reached(one: Mapping[str, Any], part: str, name: str) -> str:
        return number_text((one.get("metrics") or {}).get(part, {}).get(name))

    return Table(
        caption=CAPTION,
        header=("seed", "run", "state", f"{metric}, test", f"{by}, validation", "files"),
        rows=tuple(
            (
                str(one["seed"]),
                str(one["run"]),
                one["state"],
                reached(one, "test", metric),
                reached(one, "validation", by),
                "these" if one["run"] == kept.get("run") else "–",
            )
            for one in result["seeds"]
        ),
    )


def _of_events(events: Sequence[AnyEvent]) -> Table | None:
    sown = next((event for event in events if isinstance(event, SeedsQueued)), None)
    if sown is None:
        return None
    ended = {event.run: event for event in events if isinstance(event, SeedEnded)}
    metric = next((event.metric for event in ended.values() if event.metric), "score")
    return Table(
        caption=CAPTION,
        header=("seed", "run", "state", f"{metric}, test"),
        rows=tuple(
            (
                str(seed),
                str(run),
                ended[run].state if run in ended else WAITS,
                number_text(ended[run].score if run in ended else None),
            )
            for seed, run in zip(sown.seeds, sown.runs, strict=True)
        ),
    )
