"""Cards in Slack lead to the page of their run, where pages are served."""

import json
from urllib.parse import parse_qs, urlsplit

import pytest
from slack_sdk import WebClient
from support.fake_slack import FakeSlack, _check_message
from unit.slack.conftest import AT_ONCE, MakeRun

from bot.answers import run_answer
from bot.cards import Card
from bot.delivery.messages import Messages
from bot.delivery.pace import Pace
from bot.delivery.sender import CardSender
from bot.delivery.thread_files import ThreadFiles
from bot.desk import Desk
from bot.pages.links import grant_of_link, run_link
from bot.slack.render import message
from shared.access import Principal, Source
from shared.blobs import BlobStore
from shared.log import runs
from shared.log.engine import Log
from shared.settings import Settings

GENERAL = "C0GENERAL"


@pytest.fixture
def outside(settings: Settings) -> Settings:
    """The same settings, with an outside address of the pages."""
    return settings.model_copy(update={"pages_url": "https://ml.example.com"})


def links_in(shown: object) -> list[str]:
    """The addresses behind `Details`."""
    text = json.dumps(shown).replace("&amp;", "&")
    words = [part.split("|")[0] for part in text.split("<https:")[1:] if "|Details>" in part]
    buttons = [part.split('"')[0] for part in text.split('"url": "https:')[1:]]
    return words + buttons


def test_a_card_with_a_page_has_one_small_link() -> None:
    """The link is a word below the card; a card without a page has none."""
    text, blocks = message(Card(title="x", page="https://ml.example.com/runs/1?v=a&e=1&s=b"))
    _check_message({"text": text, "blocks": blocks})
    element = blocks[-1]["elements"][0]
    assert element["text"] == "<https://ml.example.com/runs/1?v=a&amp;e=1&amp;s=b|Details>"
    assert "Details" not in json.dumps(message(Card(title="x")))


def test_a_posted_card_links_with_the_eyes_of_its_channel(
    log: Log, store: BlobStore, client: WebClient, slack: FakeSlack, make_run: MakeRun, outside: Settings
) -> None:
    """What the notifier posts holds a link that opens the run's page for whoever is in that channel, and no more."""
    sender = CardSender(
        log,
        Messages(client),
        ThreadFiles(client, store),
        Pace.unlimited(),
        rhythm=AT_ONCE,
        page_of=lambda run, channel: run_link(outside, run, channel_id=channel),
    )
    number = make_run()
    while sender.send_next():
        pass
    [posted] = slack.channels[GENERAL].messages
    [link] = links_in(posted["blocks"])
    query = {name: values[0] for name, values in parse_qs(urlsplit(link).query).items()}
    grant = grant_of_link(outside, f"/runs/{number}", query)
    assert grant is not None
    assert (grant.principal.channel_id, grant.principal.user_id) == (GENERAL, "")


@pytest.mark.parametrize(("source", "links"), [(Source.SLACK, 1), (Source.SHELL, 0)])
def test_show_gives_a_new_link_in_slack_alone(
    log: Log, store: BlobStore, make_run: MakeRun, outside: Settings, source: Source, links: int
) -> None:
    """`/lml show` answers with a link that is valid again; a terminal shows none."""
    number = make_run()
    desk = Desk(outside, log, store, Principal("T0TEAM", "U0ADA", source, GENERAL))
    with log.read() as connection:
        card = run_answer(desk, connection, runs.get(connection, number)).card
    assert bool(card.page) == bool(links)


def test_without_an_outside_address_cards_have_no_link(
    log: Log, store: BlobStore, make_run: MakeRun, settings: Settings
) -> None:
    """Nobody is sent to a page that is not served."""
    number = make_run()
    desk = Desk(settings, log, store, Principal("T0TEAM", "U0ADA", Source.SLACK, GENERAL))
    with log.read() as connection:
        assert run_answer(desk, connection, runs.get(connection, number)).card.page == ""
