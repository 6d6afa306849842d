"""The ASGI app: which path is answered by what."""

from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from bot.http import artifacts, batches, openapi, problems, runs
from bot.http.door import Door
from bot.http.metrics import Metrics
from shared.errors import LmlError

DOOR_ROUTES = (
    Route("/v1/openapi.json", openapi.document, methods=["GET"]),
    Route("/v1/runs", runs.submit, methods=["POST"]),
    Route("/v1/runs/{run}", runs.show, methods=["GET"]),
    Route("/v1/runs/{run}/cancel", runs.cancel, methods=["POST"]),
    Route("/v1/runs/{run}/artifacts/{name}", artifacts.fetch, methods=["GET"]),
    Route("/v1/batches", batches.submit, methods=["POST"]),
)


def web_app(metrics: Metrics, *, door: Door | None, more: Sequence[BaseRoute] = ()) -> Starlette:
    """The app of a server: health and metrics, the door where it is open, and `more` such as Slack's endpoint."""

    async def show_metrics(_request: Request) -> Response:
        return Response(await metrics.text(), media_type=Metrics.MEDIA_TYPE)

    routes: list[BaseRoute] = [
        Route("/healthz", _healthz, methods=["GET"]),
        Route("/metrics", show_metrics, methods=["GET"]),
        *(DOOR_ROUTES if door is not None else ()),
        *more,
    ]
    app = Starlette(
        routes=routes,
        exception_handlers={
            LmlError: problems.on_error,
            HTTPException: problems.on_http_error,
            Exception: problems.on_bug,
        },
    )
    app.state.door = door
    return app


async def _healthz(_request: Request) -> Response:
    return PlainTextResponse("ok\n")
