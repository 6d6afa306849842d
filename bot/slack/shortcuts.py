"""The shortcut "Train on this file" of a message: the form of `train`, about the file of that message."""

from typing import Any

from slack_bolt import Ack, App

from bot.cards import Card
from bot.slack.answering import Answers
from bot.slack.asked import files_of, of_shortcut
from bot.slack.modals import Forms
from bot.slack.views import ids
from bot.slack.views.fields import Place
from shared.errors import Problem

TRAIN_ON_FILE = "train_on_file"
"""The callback_id of the shortcut in the manifest."""


def register(app: App, forms: Forms, answers: Answers) -> None:
    """Listen to the shortcut."""

    def train_on_file(ack: Ack, body: dict[str, Any]) -> None:
        ack()
        files = files_of(body.get("message") or {})
        asked = of_shortcut(body)
        if not files:
            answers.tell(asked, _NO_FILE)
            return
        # Of several files the first: the form names it, and a mention in words can name another.
        forms.open(asked, ids.TRAIN, Place(channel=asked.channel_id or "", file=files[0].id, name=files[0].name))

    app.message_shortcut(TRAIN_ON_FILE)(train_on_file)


_NO_FILE = Card(
    title="Nothing to train on",
    problem=Problem(
        "message_without_file",
        "This shortcut trains on a file of the message; this message has none that is still there.",
        "Use it on a message with a CSV, or type `/lml train DATASET`.",
    ),
)
