"""Buttons whose value is a command in words: below cards, and in the home tab."""

import re
from typing import Any

from slack_bolt import Ack, App

from bot.slack.answering import Answers
from bot.slack.asked import of_click
from bot.slack.home import HomeTab, in_tab
from bot.slack.views import ids
from bot.slack.views.home_view import dataset_of_home


def register(app: App, answers: Answers, tab: HomeTab) -> None:
    """Listen to such buttons, and acknowledge links."""

    def clicked(ack: Ack, body: dict[str, Any], action: dict[str, Any]) -> None:
        words = str(action.get("value") or "")
        if (body.get("container") or {}).get("type") == "view":
            ack()
            tab.clicked(in_tab(body, action, text=words), dataset=dataset_of_home(body.get("view") or {}))
        else:
            answers.to_click(of_click(body, action, text=words, channel_id=None), ack)

    def opened(ack: Ack) -> None:
        ack()

    app.action(re.compile(f"^{re.escape(ids.WORDS)}"))(clicked)
    app.action(ids.DETAILS)(opened)
