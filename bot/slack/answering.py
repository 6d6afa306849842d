"""Brings answers to whoever asked: in the acknowledgement where they are quick, else behind it, never lost silently.

Slack waits 3 s for an acknowledgement, and people notice a tenth of that. So it goes out after `ACK_WITHIN_S` whatever
the log and Slack's facts take, and says then that the answer follows: a bot that dies before it has written the command
down leaves words that tell so. The answer follows through the `response_url` of the request, which takes five
messages in 30 minutes, and where that fails as a message that only this person sees.
"""

import logging
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as TookTooLong
from contextlib import suppress
from typing import Any

from slack_bolt import Ack
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.webhook import WebhookClient

from bot.cards import Card
from bot.slack.asked import Asked
from bot.slack.blocks import Block
from bot.slack.command import ANSWER_WITHIN_S, CommandDesk, Reply
from bot.slack.render import message
from bot.slack.web import LOST, code_of, reason_of
from shared.errors import Problem

logger = logging.getLogger(__name__)

ACK_WITHIN_S = 0.05
"""From the arrival of a request to its acknowledgement."""
_CROWDED = 3
"""With so many commands under way no answer is waited for: one that makes others wait helps nobody."""
_LOOKS_EVERY_S = 0.005
_SEND_TIMEOUT_S = 10
_SEND_THREADS = 4
_HOOKS = "https://hooks.slack.com/"


class Answers:
    """Acknowledges requests and sends their answers from threads of its own. Close it after the desk."""

    def __init__(self, desk: CommandDesk, client: WebClient) -> None:
        self._desk, self._client = desk, client
        self._any_host = desk.settings.slack_api_url is not None
        self._pool = ThreadPoolExecutor(max_workers=_SEND_THREADS, thread_name_prefix="lml-answer")

    def to_command(self, asked: Asked, ack: Ack, *, since: float) -> None:
        """Acknowledge a slash command, with its answer if that is there in time."""
        if asked.response_url is None:  # nowhere to say it later
            with self._desk.arrivals.waits_for_its_answer():
                reply = self._desk.answer(asked, within_s=ANSWER_WITHIN_S)
            ack(**_shown(reply.card))
            return
        if self._desk.waiting >= _CROWDED or not self._desk.knows(asked):
            ack(**_shown(_being_read(asked)))
            self._follow(asked, self._desk.begin(asked))
            return
        coming = self._desk.begin(asked)
        soon = self._soon(coming, until=since + ACK_WITHIN_S)
        if soon is not None:
            ack(**_shown(soon.card))
        else:
            ack(**_shown(_being_read(asked)))
            self._follow(asked, coming)

    def to_click(self, asked: Asked, ack: Ack) -> None:
        """Acknowledge a click on a message; what it came to is said to the person alone."""
        ack()
        self._follow(asked, self._desk.begin(asked))

    def tell(self, asked: Asked, card: Card) -> None:
        """Say something to whoever asked, and to nobody else."""
        self.behind(lambda: self._send(asked, card))

    def behind(self, act: Callable[[], object]) -> None:
        """Do something that may wait for Slack on a thread that nobody waits for."""
        with suppress(RuntimeError):  # the bot ends
            self._pool.submit(_caught, act)

    def close(self) -> None:
        """Let what was begun end."""
        self._pool.shutdown(wait=True)

    def _soon(self, coming: "Future[Reply]", *, until: float) -> Reply | None:
        """The answer, if it is there by then and nobody else wants to be acknowledged meanwhile."""
        with self._desk.arrivals.waits_for_its_answer():
            while (left_s := until - time.monotonic()) > 0 and self._desk.waiting < _CROWDED:
                with suppress(TookTooLong):
                    return coming.result(timeout=min(left_s, _LOOKS_EVERY_S))
        return coming.result() if coming.done() else None

    def _follow(self, asked: Asked, coming: "Future[Reply]") -> None:
        coming.add_done_callback(lambda done: self.tell(asked, _STOPPED if done.cancelled() else done.result().card))

    def _send(self, asked: Asked, card: Card) -> None:
        self._desk.arrivals.let_pass()
        text, blocks = message(card)
        if asked.response_url is not None and self._may_post(asked.response_url):
            for shown in (blocks, []):  # as plain text where the blocks are not taken
                refused = _post(asked.response_url, text, shown)
                if not refused:
                    return
                if "block" not in refused:
                    break
            logger.warning("An answer was not taken by its response_url (%s); sent as a message.", refused)
        self._send_ephemeral(asked, text, blocks)

    def _send_ephemeral(self, asked: Asked, text: str, blocks: list[Block]) -> None:
        if not asked.channel_id:
            logger.error("An answer to %s could not be sent: no channel is known.", asked.user_id)
            return
        where: dict[str, Any] = {"channel": asked.channel_id, "user": asked.user_id, "parse": "none"}
        where |= {"thread_ts": asked.thread_ts} if asked.thread_ts else {}
        for shown in (blocks, []):
            try:
                self._client.chat_postEphemeral(text=text, blocks=shown, **where)
            except SlackApiError as error:
                code = code_of(error)
                if "block" not in code:
                    break
            except LOST as error:
                code = reason_of(error)
                break
            else:
                return
        logger.error("An answer to %s in %s could not be sent: %s.", asked.user_id, asked.channel_id, code)

    def _may_post(self, address: str) -> bool:
        return address.startswith(_HOOKS) or self._any_host


_STOPPED = Card(
    title="Nothing was queued",
    problem=Problem("bot_stopped", "LML was stopped before it came to these words.", "Type them again in a minute."),
)


def _being_read(asked: Asked) -> Card:
    """What stands until the answer is there, and where the bot dies before it has written anything down."""
    return Card(title="", headline=f"Reading `{asked.text[:200]}` ... If no answer follows, type it again.")


def _shown(card: Card) -> dict[str, Any]:
    text, blocks = message(card)
    return {"text": text, "blocks": blocks, "response_type": "ephemeral"}


def _post(address: str, text: str, blocks: list[Block]) -> str:
    """Post to a response_url; '' when it was taken, else why not. A lost answer counts as not taken: better twice."""
    hook = WebhookClient(address, timeout=_SEND_TIMEOUT_S, retry_handlers=[])
    try:
        answer = hook.send(text=text, blocks=blocks or None, response_type="ephemeral", replace_original=False)
    except (*LOST, ValueError, LookupError) as error:  # also of an answer that is no text
        return reason_of(error)
    said = answer.body.strip()[:200]
    if answer.status_code >= 300:
        return f"{answer.status_code} {said}".strip()
    return "" if said in ("", "ok") or '"ok":true' in said.replace(" ", "") else said


def _caught(act: Callable[[], object]) -> None:
    try:
        act()
    except Exception:  # nobody waits for this thread: what breaks in it is heard of in the log only
        logger.exception("An answer could not be sent.")
