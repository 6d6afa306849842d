"""The Bolt app: thin listeners that know nothing of how requests travel (Socket Mode or HTTP)."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from slack_bolt import Ack, App, BoltContext
from slack_sdk import WebClient

from bot.slack import changes, clicks, home, mentions, modals, shortcuts
from bot.slack.answering import Answers
from bot.slack.arrivals import arrived
from bot.slack.asked import of_command
from bot.slack.command import CommandDesk
from bot.slack.form_data import Heads
from bot.slack.home import HomeTab
from bot.slack.mentions import Ears
from bot.slack.modals import Forms
from bot.slack.typed import PREFIX
from bot.slack.views import ids
from bot.slack.views.fields import Place

LISTENER_THREADS = 64
"""Each is held for at most as long as an acknowledgement takes; Bolt's own number, 5, lets the sixth wait for it."""


@dataclass(frozen=True)
class Front:
    """What listeners hand requests to."""

    desk: CommandDesk
    answers: Answers
    tab: HomeTab
    forms: Forms
    ears: Ears

    def close(self) -> None:
        """Let what was begun end: first the answers, then what brings them."""
        self.desk.close()
        self.answers.close()


def front_of(
    desk: CommandDesk, client: WebClient, heads: Heads, *, bot_user: str, heard: Callable[[], None] = lambda: None
) -> Front:
    """The parts around a desk; `bot_user` is the bot's own id, `heard` is called for each message to be answered."""
    answers = Answers(desk, client)
    tab = HomeTab(desk, client, answers)
    forms = Forms(desk, client, heads, answers, bot_user=bot_user, changed=tab.changed)
    return Front(desk, answers, tab, forms, Ears(desk.log, bot_user=bot_user, woken=heard))


def build_app(client: WebClient, front: Front, *, signing_secret: str | None) -> App:
    """The app with all of its listeners; asks Slack once who the token is, and raises Bolt's or Slack's error."""
    app = App(
        client=client,
        # Over HTTP every request is signed; over Socket Mode the connection itself is Slack's. Never None: Bolt would
        # read another variable of the environment.
        signing_secret=signing_secret or "",
        listener_executor=ThreadPoolExecutor(max_workers=LISTENER_THREADS, thread_name_prefix="lml-listener"),
        raise_error_for_unhandled_request=False,
    )
    app.command(PREFIX)(_answering(front))
    clicks.register(app, front.answers, front.tab)
    modals.register(app, front.forms)
    shortcuts.register(app, front.forms, front.answers)
    mentions.register(app, front.ears)
    home.register(app, front.tab)
    changes.register(app, front.desk.people)
    return app


def _answering(front: Front) -> Callable[..., None]:
    def answer(ack: Ack, command: dict[str, Any], context: BoltContext) -> None:
        asked = of_command(command)
        if asked.text.lower().split() == ["train"] and asked.trigger_id:  # without words it is a form
            ack()
            front.forms.open(asked, ids.TRAIN, Place(channel=asked.channel_id or ""))
        else:
            front.answers.to_command(asked, ack, since=arrived(context))

    return answer
