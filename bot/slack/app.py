"""The Bolt app: thin listeners that know nothing of how requests travel (Socket Mode or HTTP)."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from slack_bolt import Ack, App
from slack_sdk import WebClient

from bot.slack.command import PREFIX, CommandDesk, SlashCommand
from bot.slack.render import message

LISTENER_THREADS = 16
"""Each is held for as long as a command is answered; Bolt's own number, 5, is soon used up when the log is slow."""


def build_app(client: WebClient, desk: CommandDesk, *, signing_secret: str | None) -> App:
    """The app with all of its listeners; asks Slack once who the token is, and raises Bolt's or Slack's error."""
    app = App(
        client=client,
        # Over HTTP every request is signed; over Socket Mode the connection itself is Slack's. Never None: Bolt would
        # read another variable of the environment.
        signing_secret=signing_secret or "",
        listener_executor=ThreadPoolExecutor(max_workers=LISTENER_THREADS, thread_name_prefix="lml-listener"),
        raise_error_for_unhandled_request=False,
    )
    app.command(PREFIX)(_answering(desk))
    return app


def _answering(desk: CommandDesk) -> Callable[..., None]:
    def answer(ack: Ack, command: dict[str, Any]) -> None:
        text, blocks = message(desk.reply(SlashCommand.of(command)))
        ack(text=text, blocks=blocks, response_type="ephemeral")

    return answer
