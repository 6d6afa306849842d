"""How requests of Slack come in over HTTP: a path of the bot's server. Over Socket Mode see `side`."""

from slack_bolt import App
from slack_bolt.adapter.starlette.handler import to_bolt_request, to_starlette_response
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

MOST_BODY_BYTES = 1024 * 1024
"""A slash command is some kilobytes; what is larger is not read."""


def slack_route(app: App) -> Route:
    """`POST /slack/events`."""

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

    return Route("/slack/events", events, methods=["POST"])
