"""`POST /v1/batches`: a line of JSON for each run in, a line of JSON with its answer out.

Each line stands for itself: one that is refused does not stop the others. The lines are taken in whole before the
first is answered, since a client that does not read while it sends would wait for us, and we for it.
"""

import json
import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from bot.http.door import Door, body_of, door_of, principal_of
from bot.http.problems import broken, problem_body
from bot.http.run_body import run_path
from bot.http.runs import idempotency_key, text_of, write_run
from shared.asked import AskedRun, read_asked
from shared.errors import LmlError, refused
from shared.log import runs
from shared.log.audit import Asked
from shared.log.services import Caller
from shared.permit import permit_all
from shared.spec_words import words_of

logger = logging.getLogger(__name__)

MEDIA_TYPES = ("application/x-ndjson", "application/ndjson", "application/jsonl")
MOST_BYTES = 8 * 1024**2
MOST_LINES = 10_000
_AT_ONCE = 20
"""How many lines one transaction writes, so that nobody waits for it for long."""


@dataclass(frozen=True)
class _Line:
    """One line of a batch, with its number in it; blank ones are left out."""

    number: int
    text: str


async def submit(request: Request) -> Response:
    """Write a run for each line; the answers come as the runs are written."""
    door, key = door_of(request), idempotency_key(request)
    caller = await door.caller(request, "runs:write")
    body = await body_of(request, media_types=MEDIA_TYPES, most_bytes=MOST_BYTES)
    return StreamingResponse(_answers(door, caller, _lines(text_of(body)), key), media_type=MEDIA_TYPES[0])


def _lines(text: str) -> list[_Line]:
    lines = [_Line(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
    if not 0 < len(lines) <= MOST_LINES:
        raise refused(
            "body_too_large" if lines else "bad_value",
            f"A batch has 1 to {MOST_LINES:,} lines; this one has {len(lines):,}.",
            "Send one JSON object in each line.",
        )
    return lines


async def _answers(door: Door, caller: Caller, lines: Sequence[_Line], key: str | None) -> AsyncIterator[bytes]:
    for start in range(0, len(lines), _AT_ONCE):
        some = lines[start : start + _AT_ONCE]
        try:
            answers = await door.work(lambda some=some: _write(door, caller, some, key))  # type: ignore[misc]
        except LmlError as error:  # none of these lines is written: the log took the transaction as a whole, or not
            answers = [_refusal(line, error) for line in some]
        except Exception:  # the border: the answer has begun, so its status can say nothing any more
            logger.exception("A batch broke.")
            answers = [_refusal(line, LmlError(broken())) for line in some]
        door.written()
        yield b"".join(map(_json_line, answers))


def _write(door: Door, caller: Caller, lines: Sequence[_Line], key: str | None) -> list[dict[str, Any]]:
    read = [_read(line) for line in lines]
    specs = [asked.spec for asked in read if isinstance(asked, AskedRun)]
    permit_all(door.log, principal_of(caller), [Asked(spec.kind, words_of(spec), trigger=key) for spec in specs])
    with door.log.write() as connection:
        return [
            _written(connection, door, caller, line, asked, key) if isinstance(asked, AskedRun) else asked
            for line, asked in zip(lines, read, strict=True)
        ]


def _read(line: _Line) -> AskedRun | dict[str, Any]:
    """What a line asks, or its refusal."""
    try:
        return read_asked(AskedRun, line.text)
    except LmlError as error:
        return _refusal(line, error)


def _written(
    connection: Connection, door: Door, caller: Caller, line: _Line, asked: AskedRun, key: str | None
) -> dict[str, Any]:
    try:
        with connection.begin_nested():  # what a refused line had begun is taken back alone
            number, created = write_run(
                connection, door, caller, asked, key=None if key is None else f"{key}\n{line.number}"
            )
            state = runs.get(connection, number).state
    except LmlError as error:
        return _refusal(line, error)
    status = 202 if created else 200
    return {"line": line.number, "status": status, "run": number, "state": state.value, "href": run_path(number)}


def _refusal(line: _Line, error: LmlError) -> dict[str, Any]:
    return {"line": line.number, **problem_body(error)}


def _json_line(answer: dict[str, Any]) -> bytes:
    return json.dumps(answer, separators=(",", ":")).encode() + b"\n"
