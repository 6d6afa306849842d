"""How requests of Slack reach the app: a WebSocket that we open (Socket Mode), or HTTP."""

import socket
from collections.abc import Callable
from threading import Event
from typing import TYPE_CHECKING

from slack_bolt import App

from bot.slack.web import web_client
from shared.errors import unavailable
from shared.settings import Settings

if TYPE_CHECKING:
    from starlette.applications import Starlette

MOST_BODY_BYTES = 1024 * 1024
"""A slash command is some kilobytes; what is larger is not read."""


def serve_socket_mode(app: App, settings: Settings, *, stopping: Event, ready: Callable[[], None]) -> None:
    """Answer over Socket Mode until told to stop; reconnects by itself."""
    from slack_bolt.adapter.socket_mode import SocketModeHandler

    token = settings.slack_app_token.get_secret_value() if settings.slack_app_token else ""
    handler = SocketModeHandler(app, app_token=token, web_client=web_client(settings, token=token))
    handler.connect()  # type: ignore[no-untyped-call]
    try:
        ready()
        stopping.wait()
    finally:
        handler.close()  # type: ignore[no-untyped-call]


def listen(settings: Settings) -> socket.socket:
    """The socket on which Slack's requests are taken; raises `ServiceUnavailable` when the port is taken."""
    try:
        return socket.create_server((settings.http_host, settings.http_port), backlog=128)
    except OSError as error:
        raise unavailable(
            "port_taken",
            f"The bot cannot listen on {settings.http_host}:{settings.http_port}: {error.strerror or error}.",
            "Stop what listens there, or set LML_HTTP_HOST and LML_HTTP_PORT.",
        ) from error


def serve_http(app: App, listening: socket.socket) -> None:
    """Answer over HTTP until SIGTERM or SIGINT."""
    import uvicorn

    config = uvicorn.Config(
        web_app(app), log_config=None, access_log=False, timeout_graceful_shutdown=5, lifespan="off"
    )
    uvicorn.Server(config).run(sockets=[listening])


def web_app(app: App) -> "Starlette":
    """`POST /slack/events` for Slack, `GET /healthz` for whoever watches over the process."""
    from slack_bolt.adapter.starlette.handler import to_bolt_request, to_starlette_response
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.requests import Request
    from starlette.responses import PlainTextResponse, Response
    from starlette.routing import Route

    async def events(request: Request) -> Response:
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > MOST_BODY_BYTES:
                return PlainTextResponse("The request is too large.", status_code=413)
        try:
            asked = to_bolt_request(request, body)
        except UnicodeDecodeError:
            return PlainTextResponse("The request is not UTF-8.", status_code=400)
        # Bolt waits for the acknowledgement; waiting here would stop every other request.
        return to_starlette_response(await run_in_threadpool(app.dispatch, asked))

    async def healthz(_request: Request) -> Response:
        return PlainTextResponse("ok\n")

    return Starlette(
        routes=[Route("/slack/events", events, methods=["POST"]), Route("/healthz", healthz, methods=["GET"])]
    )
