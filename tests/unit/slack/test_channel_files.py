"""Datasets that were shared in a channel: found, downloaded safely, and every failure named with what to do."""

from collections.abc import Callable

import pytest
from support.fake_slack import Channel, Failure, FakeSlack

from bot.slack.channel_files import ChannelFiles
from bot.slack.web import file_hosts
from shared.errors import RunFailed
from shared.log import runs
from shared.log.engine import Log
from shared.settings import Settings

Fetch = Callable[[str], bytes | None]
CSV = b"a,b\n1,2\n"


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
