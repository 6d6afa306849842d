"""How requests of Slack come in: over HTTP at a path of the bot's server, or over a WebSocket that we open.

Both note when a request arrived: from then on its acknowledgement is measured.
"""

import time
from asyncio import get_running_loop
from concurrent.futures import ThreadPoolExecutor

from slack_bolt import App, BoltRequest
from slack_bolt.adapter.socket_mode import SocketModeHandler
from slack_bolt.adapter.socket_mode.internals import build_headers, send_response
from slack_bolt.adapter.starlette.handler import to_bolt_request, to_starlette_response
from slack_sdk import WebClient
from slack_sdk.socket_mode.builtin import SocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from bot.slack.arrivals import ARRIVED, Arrivals

MOST_BODY_BYTES = 1024 * 1024
"""A slash command is some kilobytes, and a view at most 250; what is larger is not read."""

MOST_WAITING = 128
"""How many requests are waited for at a time; what pages and other services ask for has threads of its own."""

SOCKET_THREADS = 32
"""How many requests of a WebSocket are waited for at a time; slack_sdk's own number, 10, lets the next one wait."""


def slack_route(app: App, arrivals: Arrivals) -> Route:
    """`POST /slack/events`."""
    waiting = ThreadPoolExecutor(max_workers=MOST_WAITING, thread_name_prefix="lml-slack")

    async def events(request: Request) -> Response:
        since, body = time.monotonic(), b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > MOST_BODY_BYTES:
                return PlainTextResponse("The request is too large.", status_code=413)
        try:
            asked = to_bolt_request(request, body, {ARRIVED: since})
        except UnicodeDecodeError:
            return PlainTextResponse("The request is not UTF-8.", status_code=400)
        with arrivals.one():
            # Bolt waits for the acknowledgement; waiting here would stop every other request.
            return to_starlette_response(await get_running_loop().run_in_executor(waiting, app.dispatch, asked))

    return Route("/slack/events", events, methods=["POST"])


class SocketRequests(SocketModeHandler):
    """Hands the requests of a WebSocket to the app, and its answers back."""

    def __init__(self, app: App, arrivals: Arrivals, *, app_token: str, web_client: WebClient) -> None:
        self._arrivals = arrivals
        super().__init__(app, app_token=app_token, web_client=web_client, concurrency=SOCKET_THREADS)

    def handle(self, client: SocketModeClient, req: SocketModeRequest) -> None:  # type: ignore[override]
        """Answer one request; one that is not answered with 200 Slack sends again."""
        started, asked = time.time(), BoltRequest(mode="socket_mode", body=req.payload, headers=build_headers(req))
        asked.context[ARRIVED] = time.monotonic()
        with self._arrivals.one():
            send_response(client, req, self.app.dispatch(asked), started)
