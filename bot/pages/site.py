"""The run pages as routes: who opens one, what is shown to them, and the headers that keep it theirs."""

import asyncio
import hashlib
import logging
import mimetypes
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote, urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from bot.desk import Desk
from bot.http.problems import broken, status_of
from bot.pages import compare_page, dataset_page, list_page, run_page
from bot.pages.html import Html, Shown
from bot.pages.links import COOKIE, Grant, cookie_text, grant_of_cookie, grant_of_link
from shared.access import Principal, Source
from shared.blobs import BlobStore
from shared.errors import LmlError, refused, unavailable
from shared.log import runs
from shared.log.engine import Log
from shared.log.runs import MOST_NUMBER
from shared.settings import Settings

logger = logging.getLogger(__name__)
T = TypeVar("T")

ANSWER_WITHIN_S = 20.0
STATIC = Path(__file__).parent / "static"
_FOR_EVER = "public, max-age=31536000, immutable"
_SIGNED = ("v", "e", "s")
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'none'; object-src 'none'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "private, no-store",
}

Make = Callable[[Desk, Request], "Shown | Response"]


class Pages:
    """The routes of the pages, and the threads on which they are made."""

    def __init__(self, settings: Settings, log: Log, store: BlobStore) -> None:
        self._settings, self._log, self._store = settings, log, store
        self._root = urlsplit(settings.pages_url or "").path.rstrip("/")
        self._static = {_named(file): file for file in STATIC.iterdir()}
        self._html = Html(self._root, {file.name: f"/pages/{name}" for name, file in self._static.items()})
        self._pool = ThreadPoolExecutor(max_workers=8, thread_name_prefix="lml-pages")

    def routes(self) -> list[BaseRoute]:
        """What is served, by GET only."""
        served: dict[str, Make] = {
            "/runs": _runs,
            "/runs/{run}": _run,
            "/runs/{run}/files/{name}": _file,
            "/compare/{runs}": _compare,
            "/datasets/{dataset:path}": _dataset,
        }
        made: list[BaseRoute] = [Route(path, self._page(make), methods=["GET"]) for path, make in served.items()]
        return [*made, Route("/pages/{name}", self._static_file, methods=["GET"])]

    def close(self) -> None:
        """Begin nothing more."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _page(self, make: Make) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            came = self._way_in(request)
            if isinstance(came, Response):
                return came
            desk = Desk(self._settings, self._log, self._store, came)
            try:
                return await self._work(lambda: self._made(make, desk, request))
            except LmlError as error:
                return self._problem(error)
            except Exception:  # the border: a person sees a page, the operator the trace
                logger.exception("The page %s broke.", request.scope["path"])
                return self._problem(LmlError(broken()))

        return answer

    def _made(self, make: Make, desk: Desk, request: Request) -> Response:
        shown = make(desk, request)
        return shown if isinstance(shown, Response) else self._response(shown)

    def _way_in(self, request: Request) -> Principal | Response:
        """Whose eyes a request has; a response that leads in, or says that there is no way."""
        path, query = str(request.scope["path"]), dict(request.query_params)
        signed = all(name in query for name in _SIGNED)
        if signed and (grant := grant_of_link(self._settings, path, query)):
            return self._led_in(path, query, grant)
        if grant := grant_of_cookie(self._settings, request.cookies.get(COOKIE, "")):
            return grant.principal
        name = self._settings.pages_user_header
        user = request.headers.get(name, "").strip() if name is not None else ""
        if user:
            return Principal(self._settings.team_id, user[:128], Source.SLACK)
        values = {"signed": signed, "behind_proxy": name is not None, "days": self._settings.pages_link_days}
        return self._response(Shown("no_way_in.html", values, status=HTTPStatus.FORBIDDEN))

    def _led_in(self, path: str, query: dict[str, str], grant: Grant) -> Response:
        """To the same page without its signature, which then stands in no history and is not copied along."""
        rest = urlencode({name: value for name, value in query.items() if name not in _SIGNED})
        to = self._root + quote(path) + (f"?{rest}" if rest else "")
        response = RedirectResponse(to, status_code=HTTPStatus.SEE_OTHER, headers=HEADERS)
        response.set_cookie(
            COOKIE,
            cookie_text(self._settings, grant),
            max_age=max(1, grant.until_s - int(time.time())),
            path=self._root or "/",
            secure=(self._settings.pages_url or "").startswith("https:"),
            httponly=True,
            samesite="lax",
        )
        return response

    def _problem(self, error: LmlError) -> Response:
        status = status_of(error)
        if error.code in ("bad_run", "dataset_not_run"):
            status = HTTPStatus.NOT_FOUND
        return self._response(Shown("problem.html", {"problems": error.problems}, status=status))

    def _response(self, shown: Shown) -> Response:
        return HTMLResponse(self._html.page(shown), status_code=shown.status, headers=HEADERS)

    async def _static_file(self, request: Request) -> Response:
        """Our style sheet and icon; their names hold their hashes, so they are kept for ever."""
        file = self._static.get(str(request.path_params["name"]))
        if file is None:
            return Response(status_code=HTTPStatus.NOT_FOUND, headers=HEADERS)
        media_type = mimetypes.guess_type(file.name)[0]
        return Response(file.read_bytes(), media_type=media_type, headers={**HEADERS, "Cache-Control": _FOR_EVER})

    async def _work(self, act: Callable[[], T]) -> T:
        future = asyncio.get_running_loop().run_in_executor(self._pool, act)
        try:
            return await asyncio.wait_for(future, ANSWER_WITHIN_S)
        except TimeoutError:
            raise unavailable(
                "database_unavailable",
                f"The experiment log did not answer within {ANSWER_WITHIN_S:g} s.",
                "Open the page again in a moment.",
            ) from None


def _runs(desk: Desk, request: Request) -> Shown:
    before = request.query_params.get("before", "")
    number = int(before) if before.isascii() and before.isdecimal() and len(before) <= 10 else None
    return list_page.show(desk, words=request.query_params.get("q", "").strip(), before=number)


def _run(desk: Desk, request: Request) -> Shown:
    return run_page.show(desk, _number(request))


def _compare(desk: Desk, request: Request) -> Shown:
    return compare_page.show(desk, compare_page.numbers_in(str(request.path_params["runs"])))


def _dataset(desk: Desk, request: Request) -> Shown:
    return dataset_page.show(desk, str(request.path_params["dataset"])[:500])


def _file(desk: Desk, request: Request) -> Response:
    """A file that a run made, to be saved: whatever it holds, no browser opens it as a page of ours."""
    name = str(request.path_params["name"])
    with desk.log.read() as connection:
        run = runs.find(connection, desk.principal, _number(request))
        made = runs.artifacts_of(connection, run.id)
    artifact = next((artifact for artifact in made if artifact.name == name), None)
    if artifact is None:
        raise refused(
            "unknown_artifact", f"Run {run.id} has no file `{name[:100]}`.", f"/runs/{run.id} lists what it has."
        )
    media_type = mimetypes.guess_type(artifact.name)[0] or "application/octet-stream"
    headers = {**HEADERS, "ETag": f'"{artifact.sha256}"', "Cache-Control": "private, max-age=3600"}
    return FileResponse(
        desk.store.path_of(artifact.sha256), filename=artifact.name, media_type=media_type, headers=headers
    )


def _number(request: Request) -> int:
    word = str(request.path_params["run"])
    if not (word.isascii() and word.isdecimal() and 0 < int(word[:11]) <= MOST_NUMBER):
        raise refused("unknown_run", f"There is no run `{word[:40]}`.", "A run is named by its number: /runs/42.")
    return int(word)


def _named(file: Path) -> str:
    """The name that a file of ours is served under."""
    return f"{file.stem}.{hashlib.sha256(file.read_bytes()).hexdigest()[:12]}{file.suffix}"
