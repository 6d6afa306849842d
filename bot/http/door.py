"""The door for other services: who knocks, what they may, and the threads on which the log is asked."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from starlette.requests import Request

from shared.access import Entry, Principal, Source
from shared.blobs import BlobStore
from shared.errors import Problem, RefusedWords, refused, unavailable
from shared.log.engine import Log
from shared.log.services import Caller, any_service, caller_of, note_use
from shared.permit import audit_refusal
from shared.settings import Settings

T = TypeVar("T")

ANSWER_WITHIN_S = 20.0
"""How long a request waits for the log; SQLite itself gives up after 15 s."""
BODY_WITHIN_S = 30.0
_NOTE_EVERY_S = 600.0


def opens_door(settings: Settings, log: Log) -> bool:
    """Whether the door for other services is to be open here: as `LML_HTTP` says, else once there is a service."""
    if settings.http is not None:
        return settings.http
    with log.read() as connection:
        return any_service(connection)


class Door:
    """What requests are answered from. `written` is called when a run waits for its dataset."""

    def __init__(self, settings: Settings, log: Log, store: BlobStore, *, written: Callable[[], None]) -> None:
        self.settings, self.log, self.store = settings, log, store
        self.written = written
        # Threads of its own: a log that hangs takes nothing from Slack's acknowledgements, and never more than these.
        self._pool = ThreadPoolExecutor(max_workers=16, thread_name_prefix="lml-http")
        self._noted: dict[int, float] = {}

    async def work(self, act: Callable[[], T], *, within_s: float = ANSWER_WITHIN_S) -> T:
        """Do something with the log on a thread; raises `ServiceUnavailable` when that takes too long."""
        future = asyncio.get_running_loop().run_in_executor(self._pool, act)
        try:
            return await asyncio.wait_for(future, within_s)
        except TimeoutError:
            raise unavailable(
                "database_unavailable",
                f"The experiment log did not answer within {within_s:g} s.",
                "Send the request again with the same Idempotency-Key; what was written then is found by it.",
            ) from None

    async def caller(self, request: Request, scope: str) -> Caller:
        """Whose token a request carries; raises `RefusedWords` for one without, and one that does not allow this."""
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        token = token.strip()
        if kind.lower() != "bearer" or not token:
            raise refused(
                "token_missing",
                "The door opens with a token, and this request carries none.",
                "Send `Authorization: Bearer lml_...`; `lml token make SERVICE` makes one.",
            )
        caller = await self.work(lambda: self._caller_of(token))
        if caller is None:
            raise refused(
                "token_unknown",
                "This token is not known here, or it was revoked.",
                "`lml token list` says which there are; `lml token make SERVICE` makes a new one.",
            )
        if scope not in caller.scopes:
            problem = Problem(
                "scope_missing",
                f"This needs a token with the scope {scope}; this one has {', '.join(sorted(caller.scopes))}.",
                "`lml token make SERVICE scopes=...` makes one.",
            )
            who, what = principal_of(caller), f"{request.method} {request.url.path}"
            await self.work(lambda: audit_refusal(self.log, who, scope, what, problem))
            raise RefusedWords(problem)
        return caller

    def close(self) -> None:
        """Begin nothing more."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _caller_of(self, token: str) -> Caller | None:
        with self.log.read() as connection:
            caller = caller_of(connection, token)
        if caller is not None and time.monotonic() - self._noted.get(caller.token, -_NOTE_EVERY_S) >= _NOTE_EVERY_S:
            self._noted[caller.token] = time.monotonic()
            with self.log.write() as connection:
                note_use(connection, caller.token)
        return caller


def door_of(request: Request) -> Door:
    """The door that a request came to."""
    door: Door = request.app.state.door
    return door


def principal_of(caller: Caller) -> Principal:
    """A service as whoever asks."""
    return Principal(caller.team_id, caller.requester, Source.SERVICE, entry=Entry.HTTP)


async def body_of(request: Request, *, media_types: tuple[str, ...], most_bytes: int) -> bytes:
    """The body of a request, never more of it than `most_bytes`; raises `RefusedWords` for one that is not taken."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in media_types:
        raise refused(
            "media_type_wrong",
            f"The body is {media_types[0]} here; met `{media_type[:100]}`.",
            f"Send `Content-Type: {media_types[0]}`.",
        )
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_WITHIN_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > most_bytes:
                    raise refused(
                        "body_too_large", f"A body has at most {most_bytes:,} bytes here.", "Send it in several parts."
                    )
    except TimeoutError:
        raise refused(
            "body_slow", f"A body arrives within {BODY_WITHIN_S:g} s; this one did not.", "Send it again."
        ) from None
    return bytes(body)
