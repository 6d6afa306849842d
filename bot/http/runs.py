"""`POST /v1/runs`, `GET /v1/runs/{run}`, `POST /v1/runs/{run}/cancel`: one run at a time."""

import re
from typing import Any

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from bot.http.door import Door, body_of, door_of, principal_of
from bot.http.run_body import run_body, run_path
from shared import submission
from shared.asked import AskedRun, read_asked, submissions
from shared.errors import refused
from shared.log import runs
from shared.log.runs import Run
from shared.log.services import Caller, webhook_of
from shared.permit import permit
from shared.spec_words import words_of
from shared.work import Priority

MOST_RUN_BYTES = 256 * 1024
_KEY = re.compile(r"[\x21-\x7e][\x20-\x7e]{0,254}")


async def submit(request: Request) -> Response:
    """Write a run; 202 when it is new, 200 when this key had written it before."""
    door, key = door_of(request), idempotency_key(request)
    caller = await door.caller(request, "runs:write")
    body = await body_of(request, media_types=("application/json",), most_bytes=MOST_RUN_BYTES)
    answer, created = await door.work(lambda: _write(door, caller, text_of(body), key))
    if created:
        door.written()
    return JSONResponse(answer, status_code=202 if created else 200, headers={"Location": run_path(answer["run"])})


async def show(request: Request) -> Response:
    """A run as it stands."""
    door = door_of(request)
    caller = await door.caller(request, "runs:read")
    number = number_in(request)

    body = await door.work(lambda: _show(door, caller, number))
    return JSONResponse(body, headers={"Cache-Control": "no-store"})


async def cancel(request: Request) -> Response:
    """Stop a run: one that waits has ended then, one that runs stops within seconds."""
    door = door_of(request)
    caller = await door.caller(request, "runs:write")
    number = number_in(request)
    body = await door.work(lambda: _cancel(door, caller, number))
    return JSONResponse(body, status_code=200 if body["state"] == "cancelled" else 202)


def write_run(
    connection: Connection, door: Door, caller: Caller, asked: AskedRun, *, key: str | None
) -> tuple[int, bool]:
    """Write what was asked; the number of its run, and whether it is new."""
    [wanted] = submissions(
        asked,
        principal_of(caller),
        default=Priority.NORMAL,
        key=key,
        webhook=webhook_of(connection, caller.service),
    )
    return submission.write(connection, door.settings, wanted)


def found(connection: Connection, caller: Caller, number: int) -> Run:
    """A run that a service may see: its own, and those that the team sees."""
    return runs.find(connection, principal_of(caller), number)


def number_in(request: Request) -> int:
    """The run that a path names."""
    word = str(request.path_params["run"])
    if not (word.isascii() and word.isdecimal() and 0 < int(word[:11]) <= runs.MOST_NUMBER):
        raise refused("unknown_run", f"There is no run `{word[:40]}`.", "A run is named by its number: /v1/runs/42.")
    return int(word)


def idempotency_key(request: Request) -> str | None:
    """The Idempotency-Key of a request, quoted as the draft has it or bare as it is common; None without one."""
    key = request.headers.get("idempotency-key")
    if key is None:
        return None
    if len(key) >= 2 and key[0] == key[-1] == '"':
        key = key[1:-1]
    if not _KEY.fullmatch(key):
        raise refused(
            "bad_value",
            f"An Idempotency-Key has 1 to 255 printable ASCII letters; met `{key[:60]}`.",
            "Use a random one for each new request, such as a UUID.",
        )
    return key


def text_of(body: bytes) -> str:
    """A body as text."""
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise refused("bad_value", f"JSON is UTF-8; byte {error.start} of the body is not.", "Send UTF-8.") from error


def _write(door: Door, caller: Caller, text: str, key: str | None) -> tuple[dict[str, Any], bool]:
    asked = read_asked(AskedRun, text)
    permit(door.log, principal_of(caller), asked.spec.kind, words=words_of(asked.spec), trigger=key)
    with door.log.write() as connection:
        number, created = write_run(connection, door, caller, asked, key=key)
    return _body(door, caller, number), created


def _show(door: Door, caller: Caller, number: int) -> dict[str, Any]:
    permit(door.log, principal_of(caller), "show", words=f"show {number}", run=number)
    return _body(door, caller, number, forecast=True)


def _cancel(door: Door, caller: Caller, number: int) -> dict[str, Any]:
    with door.log.read() as connection:
        owner = found(connection, caller, number).requested_by
    permit(door.log, principal_of(caller), "cancel", words=f"cancel {number}", run=number, owner=owner)
    with door.log.write() as connection:
        run = found(connection, caller, number)
        if run.state.ended and run.state is not runs.RunState.CANCELLED:
            raise refused(
                "run_ended",
                f"A run can be cancelled while it waits or runs; run {run.id} has {run.state.value}.",
                f"GET {run_path(run.id)} shows it.",
            )
        runs.cancel(connection, run.id, by=caller.requester)
    return _body(door, caller, number)


def _body(door: Door, caller: Caller, number: int, *, forecast: bool = False) -> dict[str, Any]:
    with door.log.read() as connection:
        return run_body(connection, found(connection, caller, number), asker=caller.requester, forecast=forecast)
