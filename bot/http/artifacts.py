"""`GET /v1/runs/{run}/artifacts/{name}`: a file that a run made, streamed, known by the hash of its bytes."""

import mimetypes
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response

from bot.http.door import Door, door_of, principal_of
from bot.http.runs import found, number_in
from shared.errors import refused
from shared.log import runs
from shared.log.runs import Artifact
from shared.log.services import Caller
from shared.permit import permit


async def fetch(request: Request) -> Response:
    """The bytes of an artifact; 304 for whoever has them already, 206 for a part of them."""
    door = door_of(request)
    caller = await door.caller(request, "artifacts:read")
    number, name = number_in(request), str(request.path_params["name"])
    artifact, path = await door.work(lambda: _look_up(door, caller, number, name))
    headers = {
        "ETag": f'"{artifact.sha256}"',
        "Cache-Control": "private, max-age=31536000, immutable",
        "X-Content-Type-Options": "nosniff",
    }
    if _has(request, artifact.sha256):
        return Response(status_code=304, headers=headers)
    media_type = mimetypes.guess_type(artifact.name)[0] or "application/octet-stream"
    return FileResponse(path, filename=artifact.name, media_type=media_type, headers=headers)


def _look_up(door: Door, caller: Caller, number: int, name: str) -> tuple[Artifact, Path]:
    permit(door.log, principal_of(caller), "show", words=f"show {number}", run=number)
    with door.log.read() as connection:
        run = found(connection, caller, number)
        made = runs.artifacts_of(connection, run.id)
    artifact = next((artifact for artifact in made if artifact.name == name), None)
    if artifact is None:
        there = ", ".join(artifact.name for artifact in made) or "none; a run has its files once it has succeeded"
        raise refused("unknown_artifact", f"Run {run.id} has no file `{name[:100]}`.", f"Its files: {there}.")
    return artifact, door.store.path_of(artifact.sha256)


def _has(request: Request, sha256: str) -> bool:
    asked = request.headers.get("if-none-match", "")
    return asked.strip() == "*" or sha256 in (tag.strip().removeprefix("W/").strip('"') for tag in asked.split(","))
