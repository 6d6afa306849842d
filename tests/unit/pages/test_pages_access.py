"""Who may open a page, and what nobody else learns."""

from dataclasses import replace

import pytest
from support.pages_runs import ADA, compare, train, waiting
from unit.pages.conftest import Get

from bot.pages.links import COOKIE, page_link, signed_path
from shared.access import Principal, Source, Visibility
from shared.blobs import BlobStore
from shared.log.engine import Log
from shared.settings import Settings

PATHS = (
    "/runs",
    "/runs/1",
    "/runs/99",
    "/runs/x",
    "/runs/1/files/report.json",
    "/compare/1...2",
    "/datasets/churn.csv",
)


@pytest.mark.parametrize("path", PATHS)
def test_without_a_link_every_page_is_the_same(get: Get, log: Log, store: BlobStore, path: str) -> None:
    """Without a way in, a run that is there and one that is not are answered alike: with what to do."""
    train(log, store)
    reply = get(path)
    nothing = get("/runs/12345")
    assert reply.status == 403
    assert reply.text == nothing.text
    assert "/lml show" in reply.text
    assert "churn" not in reply.text


def test_a_link_leads_in_and_its_signature_goes(get: Get, log: Log, store: BlobStore, settings: Settings) -> None:
    """A link sets a cookie and leads to the clean address; the cookie opens the other pages too."""
    number = train(log, store)
    reply = get(signed_path(settings, ADA, f"/runs/{number}"))
    assert reply.status == 303
    assert reply.headers["location"] == f"/runs/{number}"
    cookie = reply.headers["set-cookie"]
    assert all(part in cookie for part in ("HttpOnly", "SameSite=lax", "Secure", "Path=/", "Max-Age="))
    held = cookie.split(";")[0]
    assert held.startswith(f"{COOKIE}=")
    for path in ("/runs", f"/runs/{number}", "/datasets/churn.csv"):
        assert get(path, Cookie=held).status == 200


def test_a_link_that_ended_says_so(get: Get, log: Log, store: BlobStore, settings: Settings) -> None:
    """An old link is answered with how to get a new one, and opens nothing."""
    train(log, store)
    reply = get(signed_path(settings, ADA, "/runs/1", now_s=1_700_000_000))
    assert reply.status == 403
    assert "has ended" in reply.text
    assert "set-cookie" not in reply.headers


def test_links_of_names_that_need_quoting_lead_in(get: Get, settings: Settings) -> None:
    """A dataset whose name has blanks, signs and letters of other alphabets is signed and found as it is."""
    reply = get(signed_path(settings, ADA, "/datasets/my data/Ä?#%.csv"))
    assert reply.status == 303
    assert reply.headers["location"] == "/datasets/my%20data/%C3%84%3F%23%25.csv"


def test_pages_show_what_slack_shows(see: Get, log: Log, store: BlobStore) -> None:
    """Team, channel and private runs are seen by whom Slack shows them to, and hidden ones look like none."""
    team = train(log, store)
    channel, private = waiting(log, Visibility.CHANNEL), waiting(log, Visibility.PRIVATE)
    readers = {
        ADA: (200, 200, 200),
        replace(ADA, user_id="U0EVE"): (200, 200, 404),
        replace(ADA, user_id=""): (200, 200, 404),
        replace(ADA, channel_id="C2"): (200, 404, 404),
        replace(ADA, team_id="T2"): (404, 404, 404),
    }
    for reader, statuses in readers.items():
        met = [see(f"/runs/{number}", principal=reader).status for number in (team, channel, private)]
        assert tuple(met) == statuses, reader
        listed = see("/runs", principal=reader).text
        assert [f'/runs/{number}"' in listed for number in (team, channel, private)] == [s == 200 for s in statuses]
    stranger = replace(ADA, channel_id="C2")
    hidden, none = see(f"/runs/{private}", principal=stranger), see("/runs/4711", principal=stranger)
    assert hidden.text.replace(f"run {private}.", "run N.") == none.text.replace("run 4711.", "run N.")
    for path in ("/datasets/secret.csv", f"/compare/{team}...{channel}", f"/runs/{channel}/files/report.json"):
        assert see(path, principal=stranger).status == 404


def test_related_runs_that_are_hidden_are_not_named(see: Get, log: Log, store: BlobStore) -> None:
    """A page names only those parents and children that its reader sees."""
    first, second = train(log, store), train(log, store)
    compare(log, store, [first, second])
    assert f"compare {second + 1}" in see(f"/runs/{first}").text
    with log.write() as connection:
        connection.exec_driver_sql(f"UPDATE runs SET visibility = 'channel' WHERE id = {second + 1}")
    stranger = replace(ADA, channel_id="C2")
    assert f"compare {second + 1}" not in see(f"/runs/{first}", principal=stranger).text
    assert "no paired test" in see(f"/compare/{first}...{second}", principal=stranger).text


class TestBehindASignInProxy:
    """LML_PAGES_USER_HEADER: whoever the team's proxy has signed in."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"pages_user_header": "X-Forwarded-User", "pages_url": None})

    def test_the_proxys_people_see_the_teams_runs(self, get: Get, log: Log, store: BlobStore) -> None:
        """A signed-in person sees what the whole team sees, and neither channels' nor private runs."""
        number, hidden = train(log, store), waiting(log, Visibility.CHANNEL)
        assert get(f"/runs/{number}", X_Forwarded_User="ada@example.com").status == 200
        assert get(f"/runs/{hidden}", X_Forwarded_User="ada@example.com").status == 404
        assert get(f"/runs/{number}", X_Forwarded_User=" ").status == 403
        assert "sign-in" in get(f"/runs/{number}").text


def test_the_header_counts_only_where_it_is_set(get: Get, log: Log, store: BlobStore) -> None:
    """Without LML_PAGES_USER_HEADER nobody is anybody by a header."""
    train(log, store)
    for header in ("X-Forwarded-User", "X-User", "Remote-User"):
        assert get("/runs/1", **{header: "ada"}).status == 403


def test_nothing_but_reading(get: Get, see: Get, log: Log, store: BlobStore) -> None:
    """Only GET and HEAD are served."""
    train(log, store)
    assert see("/runs", method="HEAD").status == 200
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert see("/runs/1", method=method).status == 405


def test_a_links_principal_is_never_the_shell(see: Get, settings: Settings, log: Log) -> None:
    """The shell, which sees everything, has no link: one that is made for it sees what its team sees."""
    hidden = waiting(log, Visibility.PRIVATE)
    shell = Principal("T1", "ada", Source.SHELL)
    assert page_link(settings, shell, "/runs") is not None
    assert see(f"/runs/{hidden}", principal=shell).status == 404
