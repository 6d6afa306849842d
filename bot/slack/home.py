"""The home tab: drawn when it is opened and after what its person does there, not whenever anything happens anywhere.

Its buttons say words as those of cards do; their answers are shown in a view, for a tab has no place for messages.
"""

import json
import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from threading import Lock
from typing import Any

from slack_bolt import Ack, App
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from bot.cards import Card
from bot.slack import blocks as kit
from bot.slack.answering import Answers
from bot.slack.asked import Asked, of_click
from bot.slack.blocks import Block
from bot.slack.command import CommandDesk
from bot.slack.home_data import home_of
from bot.slack.render import parts, text_of
from bot.slack.views import ids
from bot.slack.views.fields import Place, View, loading, modal
from bot.slack.views.home_view import dataset_of_home, home_view
from bot.slack.web import LOST, reason_of
from shared.access import Entry, authorize
from shared.errors import LmlError, Problem, one_problem
from shared.permit import audited

logger = logging.getLogger(__name__)

ANSWER = "lml:answer"
"""The callback_id of the view that shows what came of a click."""
_TRIES = 3


class HomeTab:
    """Draws the tab of a person, one drawing of each person at a time."""

    def __init__(self, desk: CommandDesk, client: WebClient, answers: Answers) -> None:
        self._desk, self._client, self._answers = desk, client, answers
        self._drawing: defaultdict[str, Lock] = defaultdict(Lock)

    def draw(self, asked: Asked, *, dataset: str = "", hash: str | None = None) -> None:  # noqa: A002 - Slack's word
        """Draw the tab of whoever asked; `hash` is that of the tab as they saw it."""
        self._answers.behind(lambda: self._publish(asked, dataset, hash))

    def changed(self, asked: Asked) -> None:
        """Somebody did something; their tab shows it if it was done from there."""
        if (asked.channel_id or "D").startswith("D") and asked.entry in (Entry.HOME, Entry.MODAL):
            self.draw(asked)

    def clicked(self, asked: Asked, *, dataset: str = "") -> None:
        """Do the words of a button of the tab; `asked.trigger_id` opens the view that shows what came of it."""
        title = "LML"
        view = loading(ANSWER, title, place=Place())
        try:
            opened = self._client.views_open(trigger_id=asked.trigger_id or "", view=view).get("view") or {}
        except (SlackApiError, *LOST) as error:  # it is done nevertheless: the tab shows it
            logger.warning("The view of an answer could not be opened: %s.", reason_of(error))
            opened = {}
        self._answers.behind(lambda: self._answer(asked, opened, dataset))

    def _answer(self, asked: Asked, opened: Mapping[str, Any], dataset: str) -> None:
        reply = self._desk.begin(asked).result()
        if opened:
            try:
                self._client.views_update(view_id=str(opened.get("id")), view=answer_view(reply.card))
            except (SlackApiError, *LOST) as error:
                logger.warning("The view of an answer could not be shown: %s.", reason_of(error))
        self._publish(asked, dataset, None)

    def _publish(self, asked: Asked, dataset: str, hash: str | None) -> None:  # noqa: A002
        with self._drawing[asked.user_id]:
            for _ in range(_TRIES):
                view = self._view(asked, dataset)
                try:
                    seen = {"hash": hash} if hash else {}
                    self._client.views_publish(user_id=asked.user_id, view=view, **seen)
                except (SlackApiError, *LOST) as error:
                    if reason_of(error) == "hash_conflict":  # drawn elsewhere since: once more, with what is true now
                        hash = None  # noqa: A001
                        continue
                    logger.warning("The home tab of %s could not be drawn: %s.", asked.user_id, reason_of(error))
                return

    def _view(self, asked: Asked, dataset: str) -> View:
        try:
            desk = self._desk.desk_of(asked)
            with audited(self._desk.log, desk.principal, "status", words="status (home)"):
                authorize(desk.principal, "status", owner=desk.principal.user_id)
            with self._desk.log.read() as connection:
                view = home_view(home_of(connection, desk, dataset=dataset))
        except LmlError as error:
            view = {"type": "home", "callback_id": ids.HOME, "blocks": list(_problem(one_problem(error.problems)))}
        told = {"dataset": dataset_of_home(view), "channel": asked.channel_id or ""}
        return {**view, "private_metadata": json.dumps({name: value for name, value in told.items() if value})}


def register(app: App, tab: HomeTab) -> None:
    """Listen to the tab being opened, and to what is chosen in it."""

    def opened(body: dict[str, Any], event: dict[str, Any]) -> None:
        if event.get("tab") != "home":
            return
        view = event.get("view") or {}
        asked = _asked(body, str(event.get("user") or ""), str(event.get("channel") or ""))
        tab.draw(asked, dataset=dataset_of_home(view), hash=view.get("hash"))

    def drawn_anew(ack: Ack, body: dict[str, Any], action: dict[str, Any]) -> None:
        ack()
        view = body.get("view") or {}
        dataset = str((action.get("selected_option") or {}).get("value") or dataset_of_home(view))
        tab.draw(in_tab(body, action, text=""), dataset=dataset, hash=view.get("hash"))

    app.event("app_home_opened")(opened)
    app.action(ids.HOME_REFRESH)(drawn_anew)
    app.action(ids.HOME_DATASET)(drawn_anew)


def in_tab(body: Mapping[str, Any], action: Mapping[str, Any], *, text: str) -> Asked:
    """What somebody does in the tab; it happens in their direct message with the bot, which alone they see there."""
    channel = Place.of(body.get("view") or {}).channel
    return of_click(body, action, text=text, channel_id=channel if channel.startswith("D") else None)


def answer_view(card: Card) -> View:
    """A card in a view, which takes no tables: as text."""
    text = "\n".join(line[: kit.SECTION_CHARACTERS - 200] for line in text_of(card).splitlines()) or "–"
    return modal(ANSWER, "LML", [_section(part) for part in parts(text, kit.SECTION_CHARACTERS - 100)], place=Place())


def _section(text: str) -> Block:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": True}}


def _problem(problem: Problem) -> Iterator[Block]:
    yield kit.header("LML")
    yield kit.section(problem.sentence())


def _asked(body: Mapping[str, Any], user: str, channel: str) -> Asked:
    payload = {**body, "user": {"id": user}}
    asked = of_click(payload, {}, text="", channel_id=channel if channel.startswith("D") else None)
    return replace(asked, entry=Entry.HOME, key=None)
