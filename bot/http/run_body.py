"""A run as other services read it: what `--json` says of it in a shell, and what only matters across the network."""

from datetime import datetime
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection

from bot.answers import forecast_plain, run_envelope, seeds_plain
from shared.log import runs
from shared.log.forecast import forecasts
from shared.log.runs import Artifact, Run
from shared.log.services import told_of
from shared.log.states import ENDED, RunState


def run_path(number: int) -> str:
    """Where a run is found."""
    return f"/v1/runs/{number}"


def run_body(connection: Connection, run: Run, *, asker: str, forecast: bool) -> dict[str, Any]:
    """A run as it stands; `asker` alone is told where its webhooks went.

    With `forecast` the queue is played through, which takes long when thousands wait.
    """
    going = run.state in (RunState.QUEUED, RunState.RUNNING)
    expected = forecasts(connection, [run]).get(run.id) if forecast and going else None
    artifacts = runs.artifacts_of(connection, run.id)
    body = {**plain_run(run, artifacts), **seeds_plain(connection, run), **forecast_plain(expected)}
    if run.requested_by == asker:
        body["webhooks"] = [{**told, "done_at": _rfc3339(told["done_at"])} for told in told_of(connection, run.id)]
    return body


def plain_run(run: Run, artifacts: list[Artifact]) -> dict[str, Any]:
    """What a run says about itself."""
    files = [{**artifact.model_dump(), "href": _artifact_path(run.id, artifact.name)} for artifact in artifacts]
    path = run_path(run.id)
    links = {"self": path} if run.state in ENDED else {"self": path, "cancel": f"{path}/cancel"}
    return {
        **run_envelope(run, files),
        "requested_by": run.requested_by,
        "batch": run.batch,
        "tags": list(run.tags or ()),
        "cancel_requested": run.cancel_requested,
        "last_event": run.last_event,
        "created_at": _rfc3339(run.created_at),
        "queued_at": _rfc3339(run.queued_at),
        "started_at": _rfc3339(run.started_at),
        "ended_at": _rfc3339(run.ended_at),
        "deadline": _rfc3339(run.deadline_at),
        "links": links,
    }


def _artifact_path(run: int, name: str) -> str:
    return f"{run_path(run)}/artifacts/{quote(name, safe='')}"


def _rfc3339(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
