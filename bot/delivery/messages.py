"""Messages in Slack: posted once, updated in place; says what came of it as a value, never by an exception."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from slack_sdk import WebClient
from slack_sdk.web import SlackResponse

from bot.delivery.outcomes import WELL, Came, Outcome, attempt
from bot.slack.blocks import Block

METADATA_TYPE = "lml_run"
"""The event type of a card's metadata, by which a message is found again whose ts never arrived."""

NOTICE_TYPE = "lml_notice"
"""The same of a message that is no card."""

_SKEW_S, _POSTED_WITHIN_S = 300.0, 300.0
"""The log's clock is not Slack's; and a post takes some time at most."""

_PAGES, _PAGE_MESSAGES = 5, 200


@dataclass(frozen=True)
class Tag:
    """By what a message is known again. Everybody in the workspace can read it: it holds a number or a key alone."""

    event_type: str
    payload: Mapping[str, Any]

    def stands_on(self, message: Mapping[str, Any]) -> bool:
        """Whether a message has it."""
        metadata = message.get("metadata") or {}
        payload = metadata.get("event_payload") or {}
        return metadata.get("event_type") == self.event_type and all(
            payload.get(name) == value for name, value in self.payload.items()
        )


def run_tag(run: int) -> Tag:
    """The tag of a run's card."""
    return Tag(METADATA_TYPE, {"run": run})


def notice_tag(key: str) -> Tag:
    """The tag of a notice."""
    return Tag(NOTICE_TYPE, {"key": key})


class Messages:
    """Posts, updates and finds messages. Nothing is tried again here: who calls knows what may be repeated."""

    def __init__(self, client: WebClient) -> None:
        self._client = client

    def post(
        self, channel: str, tag: Tag, text: str, blocks: list[Block] | None = None, *, thread_ts: str | None = None
    ) -> Outcome:
        """Post a message, into a thread where one is given."""
        options: dict[str, Any] = {"blocks": blocks} if blocks else {}
        options |= {"thread_ts": thread_ts} if thread_ts else {}
        outcome, _ = attempt(
            "chat.postMessage",
            self._client.chat_postMessage,
            channel=channel,
            text=text,
            metadata={"event_type": tag.event_type, "event_payload": dict(tag.payload)},
            parse="none",
            link_names=False,
            unfurl_links=False,
            unfurl_media=False,
            **options,
        )
        return outcome

    def update(self, channel: str, ts: str, text: str, blocks: list[Block]) -> Outcome:
        """Update a message in place; one without blocks loses those that it has."""
        outcome, _ = attempt(
            "chat.update",
            self._client.chat_update,
            channel=channel,
            ts=ts,
            text=text,
            blocks=blocks,
            parse="none",
            link_names=False,
        )
        return outcome

    def find(self, channel: str, tag: Tag, *, since: float, thread_ts: str | None = None) -> Outcome:
        """The message whose post was never answered: `ts` is None when it surely was not posted.

        A channel that says more in those minutes than is read here leaves that open: `REFUSED`.
        """
        window = {"oldest": f"{since - _SKEW_S:.6f}", "latest": f"{since + _SKEW_S + _POSTED_WITHIN_S:.6f}"}
        cursor = ""
        for _ in range(_PAGES):
            outcome, answer = self._page(channel, thread_ts, cursor, window)
            if answer is None:
                return outcome
            for message in answer.get("messages") or []:
                if tag.stands_on(message):
                    return Outcome(Came.WELL, ts=str(message["ts"]))
            cursor = str((answer.get("response_metadata") or {}).get("next_cursor") or "")
            if not cursor:
                return WELL
        return Outcome(Came.REFUSED, code="too_many_messages", method="conversations.history")

    def tell(self, user: str, channel: str, text: str) -> Outcome:
        """Show a person something in a channel, for them alone."""
        outcome, _ = attempt(
            "chat.postEphemeral",
            self._client.chat_postEphemeral,
            channel=channel,
            user=user,
            text=text,
            parse="none",
            link_names=False,
        )
        return outcome

    def _page(
        self, channel: str, thread_ts: str | None, cursor: str, window: Mapping[str, str]
    ) -> tuple[Outcome, SlackResponse | None]:
        more = {"cursor": cursor} if cursor else {}
        options: dict[str, Any] = {"channel": channel, "limit": _PAGE_MESSAGES, "include_all_metadata": True, **window}
        if thread_ts is None:
            return attempt("conversations.history", self._client.conversations_history, **options, **more)
        return attempt("conversations.replies", self._client.conversations_replies, ts=thread_ts, **options, **more)
