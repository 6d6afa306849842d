"""Answers that verbs give at once: cards for people, envelopes for machines."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection

from bot.cards import (
    Card,
    Table,
    duration_text,
    headline_metric,
    run_card,
    run_title,
    seconds_between,
    starts_text,
    took_s,
)
from bot.desk import Answer, Desk
from bot.pages.links import run_link
from bot.scored import on_test
from bot.tables import spread_text
from shared.access import Source
from shared.errors import Problem, one_problem
from shared.log import forgotten, runs, seeds
from shared.log.forecast import Forecast, forecasts
from shared.log.runs import Artifact, Run, RunState


def envelope(
    kind: str, state: str, *, run: int | None = None, problems: Sequence[Problem] = (), **more: Any
) -> dict[str, Any]:
    """The shape that every verb answers machines with."""
    problem = one_problem(problems) if problems else None
    return {
        "run": run,
        "kind": kind,
        "state": state,
        "artifacts": [],
        "error": None if problem is None else {"code": problem.code, "message": problem.message, "hint": problem.hint},
        **more,
    }


def run_envelope(run: Run, artifacts: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
    """A run for machines: the envelope, and whatever its kind of run found out."""
    result = dict(run.result or {})
    body = envelope(run.kind, run.state.value, run=run.id, problems=[run.problem] if run.problem else [])
    body["artifacts"] = list(artifacts)
    if run.dataset_name is not None:
        result["dataset"] = {"name": run.dataset_name, "sha256": run.dataset_sha256, **result.get("dataset", {})}
    result["timing_s"] = {
        "queued": seconds_between(run.queued_at, run.started_at),
        **result.get("timing_s", {}),
        "total": seconds_between(run.created_at, run.ended_at),
    }
    return {
        **body,
        "name": run.name,
        "words": run.words,
        "attempts": run.attempts,
        "seed_of": run.seed_of,
        "priority": run.priority.word,
        "device": run.device.value,
        **result,
    }


def seeds_plain(connection: Connection, run: Run) -> dict[str, Any]:
    """The seeds of a run that has not gathered them, for machines: its result has none of them."""
    if run.seeds is None or run.result:
        return {}
    return {
        "seeds": [
            {
                "seed": seed.seed,
                "run": seed.run,
                "state": seed.state.value,
                "model": seed.model,
                "score": seed.score,
                "problem": None if seed.problem is None else seed.problem.code,
            }
            for seed in seeds.of_run(connection, run.id)
        ]
    }


def laid_out(desk: Desk, run: Run, artifacts: Sequence[Artifact]) -> list[dict[str, Any]]:
    """A run's artifacts as readable files below the home, each with its path."""
    folder = desk.settings.home_folder / "runs" / str(run.id)
    return [
        {
            "name": artifact.name,
            "path": str(desk.store.copy_out(artifact.sha256, folder / artifact.name)),
            "sha256": artifact.sha256,
            "size_bytes": artifact.size_bytes,
        }
        for artifact in artifacts
    ]


def run_answer(desk: Desk, connection: Connection, run: Run) -> Answer:
    """A run's own card and envelope."""
    events = [event for _, event in runs.events_after(connection, run.id)]
    artifacts = runs.artifacts_of(connection, run.id)
    expected = forecasts(connection, [run]).get(run.id) if run.state is RunState.QUEUED else None
    card = run_card(run, events, artifacts, prefix=desk.prefix, expected=expected)
    if desk.principal.source is Source.SLACK:
        card = replace(card, page=run_link(desk.settings, run, channel_id=desk.principal.channel_id))
    # Only a shell can open a path; in a chat the files are in the card's thread.
    files = laid_out(desk, run, artifacts) if desk.principal.sees_everything else []
    body, tombstone = run_envelope(run, files) | seeds_plain(connection, run), forgotten.of_run(connection, run)
    if tombstone is not None:
        card = replace(card, notes=(tombstone.sentence(), *card.notes))
        body["forgotten"] = {"by": tombstone.by, "at": tombstone.at.isoformat(), "why": tombstone.why}
    return Answer(card=card, envelope=body)


def runs_answer(
    kind: str,
    found: Sequence[Run],
    *,
    title: str,
    expected: Mapping[int, Forecast],
    empty: str,
    reached: Mapping[int, Mapping[str, float]] | None = None,
) -> Answer:
    """A list of runs; `reached` are metrics of theirs that are shown in place of the one that stands for each."""
    header = ("run", "what", "state", "result", "by", "when")
    rows = tuple(
        (
            str(run.id),
            _what(run),
            _state(run, expected.get(run.id)),
            _metrics_text(run, (reached or {}).get(run.id)) or _result(run),
            run.requested_by,
            _when(run),
        )
        for run in found
    )
    tables = (Table(caption=title, header=header, rows=rows),) if rows else ()
    card = Card(title=title, tables=tables, notes=() if rows else (empty,))
    items = [{**run_envelope(run), **forecast_plain(expected.get(run.id))} for run in found]
    return Answer(card=card, envelope=envelope(kind, "succeeded", items=items))


def text_answer(kind: str, text: str) -> Answer:
    """Text as it is."""
    title, _, body = text.partition("\n")
    return Answer(card=Card(title=title, notes=(body.strip("\n"),)), envelope=envelope(kind, "succeeded", text=text))


def _what(run: Run) -> str:
    return run_title(run).split(" · ", 1)[1]


def forecast_plain(expected: Forecast | None) -> dict[str, Any]:
    """What is to be expected of a run, for machines: its place, and the least and most seconds until start and end."""
    if expected is None:
        return {"position": None, "starts_in_s": None, "ends_in_s": None}
    spans = {"starts_in_s": expected.starts_in_s, "ends_in_s": expected.ends_in_s}
    rounded = {name: None if span is None else [round(end, 1) for end in span] for name, span in spans.items()}
    return {"position": expected.position, **rounded}


def _state(run: Run, expected: Forecast | None) -> str:
    if expected is None:
        return run.state.value
    place = f"{run.state.value}, number {expected.position}" if expected.position else run.state.value
    when = starts_text(expected)
    return f"{place}, {when}" if when else place


def _result(run: Run) -> str:
    if run.problem is not None:
        return run.problem.code
    metric, reached = headline_metric(run.result or {})
    sds = on_test(run.result, "sd")
    return f"{metric} {spread_text(reached, sds.get(metric))}" if reached is not None else ""


def _metrics_text(run: Run, reached: Mapping[str, float] | None) -> str:
    sds = on_test(run.result, "sd")
    return ", ".join(f"{name} {spread_text(value, sds.get(name))}" for name, value in (reached or {}).items())


def _when(run: Run) -> str:
    took = took_s(run)
    moment = run.created_at.strftime("%Y-%m-%d %H:%M UTC")
    return f"{moment}, {duration_text(took)}" if took is not None else moment
