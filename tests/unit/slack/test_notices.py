"""The log channel and its digest: each line once, whoever dies; nothing private, nothing from before."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from slack_sdk import WebClient
from sqlalchemy import update
from support.fake_slack import TEAM, Channel, Failure, FakeSlack
from support.sent_cards import notice_rows, sent_until, settle, start, succeed, texts
from unit.slack.conftest import AT_ONCE

from bot.delivery import log_channel
from bot.delivery.digest import digest_card, digest_key, last_due, people_block
from bot.delivery.log_channel import LogChannel
from bot.delivery.messages import Messages
from bot.delivery.notices import NoticeSender
from bot.delivery.pace import Pace
from bot.delivery.sender import MOST_TRIES
from bot.slack.render import message
from shared.access import Principal, Source, Visibility
from shared.blobs import BlobStore
from shared.errors import Problem
from shared.log import notices, runs, tables
from shared.log.digest import BestModel, Week
from shared.log.engine import Log, now
from shared.log.notices import NewNotice, NoticeKind
from shared.log.runs import NewRun
from shared.specs import TrainSpec

LOG = "C0LOG"
MONDAY = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
MakeNoticeSender = Callable[..., NoticeSender]


@pytest.fixture
def make(log: Log, client: WebClient, slack: FakeSlack, monkeypatch: pytest.MonkeyPatch) -> MakeNoticeSender:
    """Senders of a log channel; one stands for one bot process."""
    slack.channels[LOG] = Channel(name="lml-log")
    monkeypatch.setattr(log_channel, "LOOKS_EVERY_S", 0.0)

    def make(digest: str | None = None) -> NoticeSender:
        channel = LogChannel(LOG, TEAM, digest)
        return NoticeSender(log, Messages(client), Pace.unlimited(), channel=channel, rhythm=AT_ONCE)

    return make


def ended(log: Log, store: BlobStore, dataset: str = "churn.csv", **more: object) -> int:
    """A run that succeeded."""
    principal = Principal(TEAM, "U0ADA", Source.SLACK, "C0GENERAL")
    new = NewRun(spec=TrainSpec(dataset=dataset), words="train", principal=principal, dataset_name=dataset, **more)  # type: ignore[arg-type]
    with log.write() as connection:
        number, _ = runs.create(connection, new)
    succeed(log, start(log, number), store, {})
    return number


def lines(slack: FakeSlack) -> list[str]:
    """What was said in the log channel."""
    return texts(slack.posted(LOG))


def test_each_end_is_a_line(slack: FakeSlack, log: Log, store: BlobStore, make: MakeNoticeSender) -> None:
    """A run that ended is told in one line, with what it reached; one that failed with its reason."""
    sender = make()
    settle(sender)
    ended(log, store)
    with log.write() as connection:
        principal = Principal(TEAM, "U0ADA", Source.SLACK, "C0GENERAL")
        number, _ = runs.create(
            connection,
            NewRun(spec=TrainSpec(dataset="b.csv"), words="train", principal=principal, dataset_name="b.csv"),
        )
        runs.fail_waiting(connection, number, Problem("dataset_missing", "There is no dataset b.csv.", "Share it."))
    settle(sender)
    first, second = lines(slack)
    assert first.startswith("✅ Succeeded: Run 1 · train churn.csv: accuracy 0.9100 on the test rows")
    assert second.startswith("❌ Failed: Run 2 · train b.csv: There is no dataset b.csv.")
    settle(sender, make())
    assert len(lines(slack)) == 2


def test_nothing_from_before_is_told(slack: FakeSlack, log: Log, store: BlobStore, make: MakeNoticeSender) -> None:
    """What had ended before the channel was named is not told; what ends while no bot runs is."""
    ended(log, store)
    with log.write() as connection:
        connection.execute(update(tables.runs).values(ended_at=now(connection) - timedelta(seconds=5)))
    settle(make())
    assert lines(slack) == []
    number = ended(log, store, "b.csv")
    settle(make())
    assert [line.split(" · ")[0] for line in lines(slack)] == [f"✅ Succeeded: Run {number}"]


def test_only_what_the_team_sees_is_told(slack: FakeSlack, log: Log, store: BlobStore, make: MakeNoticeSender) -> None:
    """Runs of private channels and of one person, seeds of a run and runs of another team have no line."""
    settle(make())
    ended(log, store, visibility=Visibility.CHANNEL)
    ended(log, store, visibility=Visibility.PRIVATE)
    parent = ended(log, store, "shown.csv")
    seed = ended(log, store, "seed.csv")
    other = ended(log, store, "other.csv")
    with log.write() as connection:
        connection.execute(update(tables.runs).where(tables.runs.c.id == seed).values(seed_of=parent))
        connection.execute(update(tables.runs).where(tables.runs.c.id == other).values(team_id="T0OTHER"))
    settle(make())
    assert [line.split(":")[1] for line in lines(slack)] == [f" Run {parent} · train shown.csv"]


@pytest.mark.parametrize(
    "failure", [Failure(lost=True), Failure(unreached=True), Failure(status=503), Failure(html=True)]
)
def test_a_line_is_posted_once(
    slack: FakeSlack, log: Log, store: BlobStore, make: MakeNoticeSender, failure: Failure
) -> None:
    """When the answer is lost, the line is looked for by its key and posted only when it is not there."""
    sender = make()
    settle(sender)
    slack.fail("chat.postMessage", failure)
    ended(log, store)
    sent_until(sender, lambda: (notice_rows(log).get("ended:1") or {}).get("done_at"))
    assert len(lines(slack)) == 1
    assert slack.posted(LOG)[0]["metadata"] == {"event_type": "lml_notice", "event_payload": {"key": "ended:1"}}
    assert notice_rows(log)["ended:1"]["message_ts"] == slack.posted(LOG)[0]["ts"]


def test_a_line_that_cannot_be_looked_for_is_not_posted_by_guess(
    slack: FakeSlack, log: Log, store: BlobStore, make: MakeNoticeSender
) -> None:
    """Without the history scope a line whose answer was lost is left at that."""
    assert slack.scopes is not None
    slack.scopes -= {"channels:history"}
    sender = make()
    settle(sender)
    slack.fail("chat.postMessage", Failure(lost=True))
    ended(log, store)
    sent_until(sender, lambda: (notice_rows(log).get("ended:1") or {}).get("done_at"))
    assert len(lines(slack)) == 1
    assert notice_rows(log)["ended:1"]["problem"] == "unsure"


def test_a_log_channel_without_the_bot_stops_nothing(
    slack: FakeSlack, log: Log, store: BlobStore, make: MakeNoticeSender, caplog: pytest.LogCaptureFixture
) -> None:
    """A channel that takes nothing from the bot is named in its log; the lines are given up."""
    sender = make()
    settle(sender)
    slack.channels[LOG].has_bot = False
    ended(log, store)
    settle(sender)
    assert "Slack takes no message in the log channel (LML_SLACK_LOG_CHANNEL), C0LOG: not_in_channel." in caplog.text
    assert notice_rows(log)["ended:1"]["problem"] == "not_in_channel"


def test_a_thread_that_is_gone_is_left(slack: FakeSlack, log: Log, make: MakeNoticeSender) -> None:
    """Words for a thread whose message was deleted are given up; those of other kinds of rows are left alone."""
    new = NewNotice("files:1", NoticeKind.THREAD, TEAM, "C0GENERAL", {"text": "x"}, thread_ts="1.2")
    with log.write() as connection:
        assert notices.write(connection, new)
        assert not notices.write(connection, new)
    slack.fail("chat.postMessage", Failure(error="thread_not_found"))
    settle(make())
    assert notice_rows(log)["files:1"]["problem"] == "thread_not_found"


def test_a_line_whose_blocks_are_refused_comes_as_text(
    slack: FakeSlack, log: Log, store: BlobStore, make: MakeNoticeSender
) -> None:
    """A line whose blocks Slack does not take is said in plain text."""
    sender = make()
    settle(sender)
    slack.fail("chat.postMessage", Failure(error="invalid_blocks"))
    ended(log, store)
    settle(sender)
    (posted,) = slack.posted(LOG)
    assert "blocks" not in posted
    assert posted["text"].startswith("✅ Succeeded: Run 1")


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (Failure(error="missing_scope"), "Slack refuses chat.postMessage: "),
        (Failure(error="token_revoked"), "Slack refuses the bot's token (token_revoked): correct it; `lml doctor`"),
    ],
)
def test_a_line_waits_for_an_operator(
    slack: FakeSlack,
    log: Log,
    store: BlobStore,
    make: MakeNoticeSender,
    caplog: pytest.LogCaptureFixture,
    *,
    failure: Failure,
    said: str,
) -> None:
    """What only an operator can mend is said in the bot's log; the line is neither lost nor tried again at once."""
    sender = make()
    settle(sender)
    slack.fail("chat.postMessage", failure)
    ended(log, store)
    settle(sender)
    assert said in caplog.text
    row = notice_rows(log)["ended:1"]
    assert (row["done_at"], row["problem"], row["message_ts"], row["tries"]) == (None, None, None, 0)
    assert len(slack.called("chat.postMessage")) == 1


def test_a_line_that_is_refused_is_tried_again_and_then_given_up(
    slack: FakeSlack, log: Log, store: BlobStore, make: MakeNoticeSender
) -> None:
    """A refusal that nobody knows is met some times, the next line gets its turn, and the reason is kept."""
    sender = make()
    settle(sender)
    slack.fail("chat.postMessage", *[Failure(error="never_heard_of")] * (MOST_TRIES + 1))
    ended(log, store)
    sent_until(sender, lambda: notice_rows(log).get("ended:1", {}).get("done_at"))
    assert notice_rows(log)["ended:1"]["problem"] == "never_heard_of"
    ended(log, store, "b.csv")
    settle(sender)
    assert len(lines(slack)) == 1


@pytest.fixture
def told(log: Log) -> NewNotice:
    """Words for Ada, or for her alone in a channel."""
    body = {"text": "Run 1 has no card.", "else_channel": "C0GENERAL"}
    new = NewNotice("no-card:1", NoticeKind.TELL, TEAM, "U0ADA", body=body)
    with log.write() as connection:
        assert notices.write(connection, new)
    return new


def test_who_takes_no_direct_message_is_told_in_the_channel_once_it_has_a_turn(
    slack: FakeSlack, log: Log, make: MakeNoticeSender, told: NewNotice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The words come for them alone where they asked; a 429 of that is waited for."""
    slack.fail("chat.postMessage", *[Failure(error="messages_tab_disabled")] * 2)
    slack.fail("chat.postEphemeral", Failure(status=429, error="ratelimited", retry_after_s=60))
    settle(make())
    assert notice_rows(log)[told.key]["done_at"] is None
    assert slack.ephemerals == []
    with log.write() as connection:
        connection.execute(update(notices.outbox).values(due_at=now(connection) - timedelta(seconds=1)))
    settle(make())
    assert [(one["user"], one["text"]) for one in slack.ephemerals] == [("U0ADA", "Run 1 has no card.")]
    assert notice_rows(log)[told.key]["problem"] is None


def test_who_can_be_told_nowhere_is_named_in_the_log(
    slack: FakeSlack, log: Log, make: MakeNoticeSender, told: NewNotice, caplog: pytest.LogCaptureFixture
) -> None:
    """Where neither way is open, the words are given up with both reasons."""
    slack.fail("chat.postMessage", Failure(error="messages_tab_disabled"))
    slack.fail("chat.postEphemeral", Failure(error="user_not_in_channel"))
    settle(make())
    assert "Nobody could be told of run None: messages_tab_disabled, user_not_in_channel." in caplog.text
    assert notice_rows(log)[told.key]["problem"] == "user_not_in_channel"


def test_a_line_mentions_and_links_nothing_of_others(
    slack: FakeSlack, log: Log, store: BlobStore, make: MakeNoticeSender
) -> None:
    """A dataset that is called like a mention or a link is shown as it is called."""
    settle(make())
    ended(log, store, "<!channel> <http://evil|x> <@U0BOB>.csv")
    settle(make())
    (posted,) = slack.posted(LOG)
    assert "&lt;!channel&gt;" in posted["text"]
    for block in posted["blocks"]:
        for element in [block.get("text"), *block.get("elements", [])]:
            if element and element["type"] == "mrkdwn":
                assert element["text"].startswith(("asked by <@U0ADA>", "<https"))


@pytest.mark.parametrize(
    ("moment", "due"),
    [
        (MONDAY, MONDAY),
        (MONDAY - timedelta(seconds=1), MONDAY - timedelta(days=7)),
        (MONDAY + timedelta(days=3), MONDAY),
        (MONDAY + timedelta(days=6, hours=23), MONDAY),
        (MONDAY + timedelta(days=7), MONDAY + timedelta(days=7)),
    ],
)
def test_when_a_digest_is_due(moment: datetime, due: datetime) -> None:
    """The last moment of its kind that has come; its key names the week."""
    assert last_due("Mon 09:00", moment) == due
    assert digest_key(MONDAY, "T1") == "digest:2026-W48:T1"


def test_a_week_is_told_once_however_many_bots_there_are(
    slack: FakeSlack, log: Log, store: BlobStore, make: MakeNoticeSender
) -> None:
    """The digest of a week that passed while no bot ran is made up once; nobody gets one of weeks before the first."""
    weekly = f"{datetime.now(UTC) - timedelta(minutes=2):%a %H:%M}"
    settle(make(weekly))
    assert notice_rows(log).keys() == {"begun:C0LOG"}
    ended(log, store)
    with log.write() as connection:
        long_ago = now(connection) - timedelta(days=20)
        connection.execute(update(tables.runs).values(ended_at=now(connection) - timedelta(days=1)))
        connection.execute(update(notices.outbox).values(due_at=long_ago))
    first, second = make(weekly), make(weekly)
    settle(first, second)
    told = [line for line in lines(slack) if "The week of LML" in line]
    assert len(told) == 1
    assert "1 run ended." in told[0]
    assert "train: 1 succeeded" in told[0]
    assert "Most runs: <@U0ADA> 1" in str(slack.posted(LOG)[-1]["blocks"]) + str(slack.posted(LOG)[0]["blocks"])
    settle(make(weekly))
    assert len([line for line in lines(slack) if "The week of LML" in line]) == 1


def test_what_a_digest_says() -> None:
    """What ran, the best models, GPU-hours, failures and who asked, each on its place."""
    week = Week(
        start=MONDAY - timedelta(days=7),
        end=MONDAY,
        ended={"predict": {"succeeded": 2}, "train": {"failed": 2, "succeeded": 11}},
        best=(BestModel("<!here>.csv", 42, "mlp", "roc_auc", 0.9134, 7),),
        gpu_s=9_000,
        failures=(("dataset_missing", 2),),
        requesters=(("U0ADA", 9), ("ada@<host>", 6)),
    )
    card = digest_card(week)
    assert card.title == "The week of LML, 16 Nov to 23 Nov 2026"
    assert card.headline == "15 runs ended, with 2.5 GPU-hours."
    assert card.notes == ("predict: 2 succeeded", "train: 2 failed, 11 succeeded", "failures: dataset_missing 2")
    assert card.tables[0].rows == (("<!here>.csv", "42", "mlp", "roc_auc 0.9134", "7"),)
    block = people_block(week.requesters)
    assert block is not None
    assert block["elements"][0]["text"] == "Most runs: <@U0ADA> 9, ada@&lt;host&gt; 6"
    text, blocks = message(card)
    assert "<!here>" not in text
    assert blocks
    quiet = digest_card(Week(MONDAY - timedelta(days=7), MONDAY, {}, (), 0, (), ()))
    assert quiet.headline == "No run ended."
