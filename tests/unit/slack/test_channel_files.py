"""Datasets that were shared in a channel: found, downloaded safely, and every failure named with what to do."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import update
from support.fake_slack import Channel, Failure, FakeSlack

from bot.slack.channel_files import ChannelFiles
from bot.slack.web import file_hosts
from shared.datasets.columns import columns_of
from shared.errors import RunFailed
from shared.log import runs, tables
from shared.log.engine import Log
from shared.settings import Settings

Fetch = Callable[[str], bytes | None]
CSV = b"a,b\n1,2\n"
ADA: dict[str, Any] = {"user": "U0ADA", "channel": "C0GENERAL"}


@pytest.fixture
def fetch(settings: Settings, log: Log, make_run: Callable[..., int]) -> Fetch:
    """Fetches the dataset of a new run; None when it is a file of the datasets folder."""
    files = ChannelFiles(settings)

    def fetch(name: str, channel: str = "C0GENERAL") -> bytes | None:
        number = make_run(name, channel=channel, card=False)
        with log.read() as connection:
            chunks = files.fetch(runs.get(connection, number))
        return None if chunks is None else b"".join(chunks)

    return fetch


def refusal(fetch: Fetch, name: str = "a.csv") -> str:
    with pytest.raises(RunFailed) as met:
        fetch(name)
    return str(met.value)


def test_the_newest_file_of_the_name_is_taken(slack: FakeSlack, fetch: Fetch) -> None:
    """Of several files of one name the newest is read, whatever the order in which Slack lists them."""
    slack.share("a.csv", b"old\n1\n")
    slack.share("a.csv", CSV)
    slack.share("b.csv", b"other\n1\n")
    assert fetch("a.csv") == CSV


def test_the_exact_case_comes_first(slack: FakeSlack, fetch: Fetch) -> None:
    """A file of exactly the name wins over a newer one in other case, which is taken when nothing else fits."""
    slack.share("Data.csv", CSV)
    slack.share("data.CSV", b"x\n1\n")
    assert fetch("Data.csv") == CSV
    assert fetch("DATA.csv") == b"x\n1\n"


def test_files_of_other_channels_are_not_seen(slack: FakeSlack, fetch: Fetch) -> None:
    """A file of another channel is not found."""
    slack.share("a.csv", CSV, channel="D0ADA")
    assert refusal(fetch) == (
        "There is no dataset `a.csv`, neither shared in this channel nor in the datasets folder."
        " Share the file in this channel, then type the command again."
    )


def test_a_near_name_is_offered(slack: FakeSlack, fetch: Fetch) -> None:
    """A typing error is answered with the name that was probably meant."""
    slack.share("churn.csv", CSV)
    assert "Did you mean `churn.csv`?" in refusal(fetch, "chrun.csv")


def test_the_datasets_folder_comes_second(slack: FakeSlack, settings: Settings, fetch: Fetch) -> None:
    """A name that nobody shared is left to the datasets folder, also where the bot does not see the channel."""
    settings.datasets_folder.mkdir(parents=True)
    (settings.datasets_folder / "a.csv").write_bytes(CSV)
    assert fetch("a.csv") is None
    slack.channels["C0GENERAL"] = Channel(has_bot=False)
    assert fetch("a.csv") is None


def test_an_unseen_channel_asks_for_an_invitation(slack: FakeSlack, fetch: Fetch) -> None:
    """Where the bot does not see the channel it says how to invite it."""
    slack.channels["C0GENERAL"] = Channel(has_bot=False)
    assert "Type `/invite @lml` in the channel" in refusal(fetch)


def test_a_missing_scope_is_named(slack: FakeSlack, fetch: Fetch) -> None:
    """Without files:read the person learns which scope the app needs."""
    slack.scopes = {"chat:write"}
    assert refusal(fetch) == (
        "To read files that are shared in Slack, the app needs the scope files:read. Slack refused to list this"
        " channel's files (missing_scope). Add the scope under OAuth & Permissions, install the app again, then type"
        " the command again."
    )


def test_a_login_page_is_no_dataset(slack: FakeSlack, fetch: Fetch) -> None:
    """Slack's login page, which comes with status 200, is recognised and never trained on."""
    slack.share("a.csv", CSV)
    slack.download = {"html": True}
    assert "Slack gave its login page instead of `a.csv`" in refusal(fetch)


def test_redirects_are_refused(slack: FakeSlack, fetch: Fetch) -> None:
    """A redirect is not followed, for the token would go along."""
    slack.share("a.csv", CSV)
    slack.download = {"redirect": "http://evil.example/a.csv"}
    assert "A download that is redirected is refused" in refusal(fetch)


@pytest.mark.parametrize(
    ("status", "words"),
    [(403, "needs the scope files:read"), (404, "was shared here and is gone"), (502, "with 502")],
)
def test_refused_downloads_say_why(slack: FakeSlack, fetch: Fetch, status: int, words: str) -> None:
    """Each status of a refused download has its own answer."""
    slack.share("a.csv", CSV)
    slack.download = {"status": status}
    assert words in refusal(fetch)


def test_a_short_download_is_refused(slack: FakeSlack, fetch: Fetch) -> None:
    """Fewer bytes than Slack announced are not trained on."""
    slack.share("a.csv", CSV)
    slack.download = {"short": 3}
    assert "Slack says that `a.csv` has 8 bytes; 3 arrived." in refusal(fetch)


def test_only_slacks_own_hosts_see_the_token(slack: FakeSlack, fetch: Fetch, settings: Settings) -> None:
    """A file that lies elsewhere is refused, and the hosts that are trusted are Slack's own."""
    slack.share("a.csv", CSV, url_private_download="https://drive.example/a.csv")
    assert "`a.csv` lies at drive.example" in refusal(fetch)
    assert file_hosts(settings.model_copy(update={"slack_api_url": None})) == {("https", "files.slack.com")}


def test_a_file_that_is_too_large_is_not_downloaded(slack: FakeSlack, fetch: Fetch, settings: Settings) -> None:
    """The announced size is checked before the first byte."""
    slack.share("a.csv", CSV, size=settings.max_dataset_bytes + 1)
    assert "A dataset may have at most 2,147,483,648 bytes; `a.csv` has 2,147,483,649." in refusal(fetch)


def test_slack_away_is_said(slack: FakeSlack, fetch: Fetch) -> None:
    """A Slack that gives no answer, or an error, becomes one clear sentence."""
    slack.fail("files.list", Failure(error="internal_error"))
    assert "Slack refused to list this channel's files: internal_error." in refusal(fetch)
    slack.fail("files.list", *[Failure(unreached=True)] * 3)
    assert "Slack did not give the dataset's file" in refusal(fetch)


def test_rate_limits_are_waited_for(slack: FakeSlack, fetch: Fetch) -> None:
    """A 429 while looking for the file only takes time."""
    slack.share("a.csv", CSV)
    slack.fail("files.list", Failure(status=429, error="ratelimited", retry_after_s=0))
    assert fetch("a.csv") == CSV


ById = Callable[..., bytes]


@pytest.fixture
def by_id(settings: Settings, log: Log, make_run: Callable[..., int]) -> ById:
    """Fetches the dataset of a new run that names its file by an id, without any waiting."""
    waits: list[float] = []
    files = ChannelFiles(settings, sleep=waits.append)

    def fetch(
        file: str, *, channel: str = "C0GENERAL", user: str = "U0ADA", beat: Callable[[], object] | None = None
    ) -> bytes:
        number = make_run("a.csv", channel=channel, user=user, card=False)
        with log.write() as connection:
            source = {"slack_file": file, "name": "a.csv"}
            connection.execute(update(tables.runs).where(tables.runs.c.id == number).values(dataset_source=source))
        with log.read() as connection:
            chunks = files.fetch(runs.get(connection, number), beat=beat)
        assert chunks is not None
        return b"".join(chunks)

    fetch.waits = waits  # type: ignore[attr-defined]  # for the one test that counts them
    return fetch


def refusal_by_id(by_id: ById, file: str, **where: Any) -> RunFailed:
    with pytest.raises(RunFailed) as met:
        by_id(file, **where)
    return met.value


def test_a_file_is_found_by_its_id(slack: FakeSlack, by_id: ById) -> None:
    """The file that came along is read, whatever newer file has its name, and no list is asked for."""
    file = slack.share("a.csv", CSV)
    slack.share("a.csv", b"newer\n1\n")
    assert by_id(file["id"]) == CSV
    assert slack.called("files.list") == []


def test_a_name_of_any_letters_is_downloaded(slack: FakeSlack, by_id: ById) -> None:
    """Gaps and letters of other languages in a file's address are no error."""
    assert by_id(slack.share("neue Kürzel 日本.csv", CSV)["id"]) == CSV


def test_a_new_file_is_waited_for(slack: FakeSlack, by_id: ById) -> None:
    """While Slack looks a new file over it has no kind yet: the run waits, ever longer, and tells that it does."""
    slack.late_mimetype = 3
    file = slack.share("a.csv", CSV)
    beats: list[int] = []
    assert by_id(file["id"], beat=lambda: beats.append(1)) == CSV
    assert by_id.waits == [0.25, 0.5, 1.0]  # type: ignore[attr-defined]
    assert len(beats) == 3


def test_a_file_that_is_never_looked_over_is_tried(slack: FakeSlack, by_id: ById) -> None:
    """After half a minute the download says what is wrong, if anything is."""
    slack.late_mimetype = 1_000
    file = slack.share("a.csv", CSV)
    assert by_id(file["id"]) == CSV
    assert 30 <= sum(by_id.waits) < 34  # type: ignore[attr-defined]


def test_a_newest_file_by_name_is_waited_for(
    slack: FakeSlack, settings: Settings, log: Log, make_run: Callable[..., int]
) -> None:
    """A file that was shared a moment ago and is named is waited for too."""
    slack.late_mimetype = 2
    slack.share("a.csv", CSV)
    number = make_run("a.csv", card=False)
    with log.read() as connection:
        chunks = ChannelFiles(settings, sleep=lambda _: None).fetch(runs.get(connection, number))
    assert b"".join(chunks or ()) == CSV
    assert len(slack.called("files.info")) == 2


def test_an_id_opens_no_file_of_others(slack: FakeSlack, by_id: ById) -> None:
    """A file is its requester's, or was shared where they asked: an id that somebody learnt opens nothing."""
    slack.channels["G0SECRET"] = Channel(private=True)
    file = slack.share("salaries.csv", CSV, channel="G0SECRET", user="U0BOB")
    error = refusal_by_id(by_id, file["id"], channel="C0GENERAL", user="U0EVE")
    assert error.code == "file_not_shared"
    assert "`salaries.csv` is neither" in str(error)
    assert by_id(file["id"], channel="G0SECRET", user="U0EVE") == CSV
    assert by_id(file["id"], channel="C0GENERAL", user="U0BOB") == CSV


def test_a_file_of_a_form_is_its_persons(slack: FakeSlack, by_id: ById) -> None:
    """A file that was uploaded in a form is in no channel; it is read for whoever uploaded it."""
    file = slack.share("a.csv", CSV, channels=[], from_modal=True)
    assert by_id(file["id"]) == CSV
    assert refusal_by_id(by_id, file["id"], user="U0EVE").code == "file_not_shared"


@pytest.mark.parametrize("error", ["file_not_found", "file_deleted", "access_denied", "not_visible"])
def test_a_file_that_is_gone_is_told(slack: FakeSlack, by_id: ById, error: str) -> None:
    """A file that was deleted, or that the bot may not see, is told of without another try."""
    file = slack.share("a.csv", CSV)
    slack.fail("files.info", Failure(error=error))
    met = refusal_by_id(by_id, file["id"])
    assert met.code == "dataset_gone"
    assert error in str(met)
    assert len(slack.called("files.info")) == 1


def test_a_missing_scope_is_named_for_an_id_too(slack: FakeSlack, by_id: ById) -> None:
    """Without files:read the person learns which scope the app needs."""
    file = slack.share("a.csv", CSV)
    slack.scopes = {"chat:write"}
    assert refusal_by_id(by_id, file["id"]).code == "slack_scope_missing"


@pytest.mark.parametrize(
    ("facts", "code", "words"),
    [
        ({"mode": "tombstone"}, "dataset_gone", "Slack keeps it no more"),
        ({"mode": "hidden_by_limit"}, "dataset_gone", "Slack keeps it no more"),
        ({"file_access": "access_denied"}, "dataset_gone", "Slack keeps it no more"),
        ({"mode": "external", "is_external": True, "external_type": "gdrive"}, "dataset_elsewhere", "lies at gdrive"),
        ({"mode": "space"}, "dataset_not_table", "is a canvas of Slack"),
        ({"mode": "email"}, "dataset_not_table", "is a mail of Slack"),
        ({"size": 2**40}, "dataset_too_large", "1,099,511,627,776"),
        ({"url_private_download": "http://files.slack.com/a"}, "dataset_elsewhere", "lies at files.slack.com"),
        ({"url_private_download": "https://files.slack.com.evil.com/a"}, "dataset_elsewhere", "evil.com"),
        ({"url_private_download": "", "url_private": ""}, "dataset_elsewhere", "lies at no address"),
    ],
)
def test_files_that_hold_no_data_are_refused(
    slack: FakeSlack, by_id: ById, facts: dict[str, Any], code: str, words: str
) -> None:
    """What Slack lists among files and does not keep as one is refused with what it is."""
    file = slack.share("a.csv", CSV, **facts)
    met = refusal_by_id(by_id, file["id"])
    assert (met.code, words in str(met)) == (code, True), str(met)


def test_a_snippet_is_a_file(slack: FakeSlack, by_id: ById) -> None:
    """Text that was pasted as a snippet is read like a file."""
    file = slack.share("a.csv", CSV, mode="snippet", filetype="text")
    assert by_id(file["id"]) == CSV


def test_a_page_is_recognised_whatever_slack_calls_it(slack: FakeSlack, by_id: ById) -> None:
    """A login page that comes as CSV is recognised by its first bytes."""
    file = slack.share("a.csv", b"<!DOCTYPE html><html>Sign in</html>")
    assert refusal_by_id(by_id, file["id"]).code == "slack_scope_missing"


def test_the_beginning_of_a_file_tells_its_columns(slack: FakeSlack, settings: Settings) -> None:
    """A form reads the first bytes of a file, not all of it, and shows its columns."""
    file = slack.share("a.csv", b"customer,churned\n" + b"1,yes\n" * 50_000)
    head = ChannelFiles(settings).head(file["id"], **ADA)
    assert len(head) == 65_536
    assert columns_of(head, "a.csv") == ["customer", "churned"]


def test_the_beginning_of_a_file_that_cannot_be_had(slack: FakeSlack, settings: Settings) -> None:
    """A form is told what is wrong with a file in the words of a run."""
    files = ChannelFiles(settings, sleep=lambda _: None)
    with pytest.raises(RunFailed, match="is gone"):
        files.head("F0NONE", **ADA)
    file = slack.share("a.csv", CSV)
    slack.download = {"html": True}
    with pytest.raises(RunFailed, match="login page"):
        files.head(file["id"], **ADA)
    slack.download = {"redirect": "http://evil.example/a.csv"}
    with pytest.raises(RunFailed, match="redirected is refused"):
        files.head(file["id"], **ADA)


def test_the_beginning_of_a_strangers_file_is_not_shown(slack: FakeSlack, settings: Settings) -> None:
    """An id alone opens no file for a form either: it is its person's own, or was shared where they are."""
    slack.channels["C0SECRET"] = Channel(private=True)
    file = slack.share("a.csv", CSV, channel="C0SECRET", user="U0BOB")
    with pytest.raises(RunFailed, match="is neither"):
        ChannelFiles(settings).head(file["id"], **ADA)
    assert ChannelFiles(settings).head(file["id"], user="U0BOB", channel=None) == CSV
