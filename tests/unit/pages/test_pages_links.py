"""Signed addresses and cookies: what they grant, and everything that they do not."""

from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from bot.pages.links import (
    Grant,
    cookie_text,
    grant_of_cookie,
    grant_of_link,
    page_link,
    run_link,
    serves_pages,
)
from shared.access import Principal, Source, Visibility
from shared.errors import RefusedWords
from shared.log.runs import Run, RunState
from shared.settings import Settings, load_settings
from shared.specs import TrainSpec

ADA = Principal("T1", "U0ADA", Source.SLACK, "C1")
NOW_S = 1_800_000_000.0
DAY_S = 86_400


def query_of(link: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(link).query).items()}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path, pages_url="https://ml.example.com/lml/")


def test_a_link_grants_the_eyes_that_it_was_signed_for(settings: Settings) -> None:
    """The address outside, its prefix included, opens the page for the team, channel and person of whoever got it."""
    link = page_link(settings, ADA, "/runs/42", now_s=NOW_S)
    assert link is not None
    assert link.startswith("https://ml.example.com/lml/runs/42?v=")
    grant = grant_of_link(settings, "/runs/42", query_of(link), now_s=NOW_S)
    assert grant is not None
    assert grant.principal == ADA
    assert NOW_S + 7 * DAY_S <= grant.until_s < NOW_S + 7 * DAY_S + 3600


def test_a_link_stays_the_same_within_an_hour(settings: Settings) -> None:
    """A card that is told again within the hour carries the same text, so that Slack sees no change."""
    hour = NOW_S - NOW_S % 3600
    links = {page_link(settings, ADA, "/runs/42", now_s=hour + second) for second in (1, 1800, 3600)}
    assert len(links) == 1


@pytest.mark.parametrize("changed", ["path", "v", "e", "s", "late", "other key", "no signature"])
def test_a_changed_link_grants_nothing(settings: Settings, tmp_path: Path, changed: str) -> None:
    """Another path, scope, end, signature, moment or installation: the link opens nothing."""
    query = query_of(page_link(settings, ADA, "/runs/42", now_s=NOW_S) or "")
    other = query_of(page_link(settings, Principal("T2", "U1", Source.SLACK), "/runs/42", now_s=NOW_S + DAY_S) or "")
    path, at_s = "/runs/42", NOW_S
    if changed == "path":
        path = "/runs/43"
    elif changed == "late":
        at_s += 7 * DAY_S + 3600
    elif changed == "other key":
        settings = Settings(home=tmp_path / "other", pages_url=settings.pages_url)
    elif changed == "no signature":
        query = {name: value for name, value in query.items() if name != "s"}
    else:
        query[changed] = other[changed]
    assert grant_of_link(settings, path, query, now_s=at_s) is None


def test_a_cookie_holds_the_same_and_no_link_is_a_cookie(settings: Settings) -> None:
    """A cookie grants until its end; a link's signature is none of a cookie, nor the other way round."""
    cookie = cookie_text(settings, Grant(ADA, int(NOW_S) + 60))
    assert grant_of_cookie(settings, cookie, now_s=NOW_S) == Grant(ADA, int(NOW_S) + 60)
    assert grant_of_cookie(settings, cookie, now_s=NOW_S + 60) is None
    query = query_of(page_link(settings, ADA, "/runs/42", now_s=NOW_S) or "")
    assert grant_of_cookie(settings, f"{query['v']}.{query['e']}.{query['s']}", now_s=NOW_S) is None
    scope, until, signature = cookie.split(".")
    assert grant_of_link(settings, "/runs/42", {"v": scope, "e": until, "s": signature}, now_s=NOW_S) is None


@pytest.mark.parametrize("cookie", ["", "..", "a.b.c", "a.٣.c", "x" * 5000, "W10.1900000000.", "é.1900000000.é"])
def test_no_nonsense_is_a_cookie(settings: Settings, cookie: str) -> None:
    """Whatever stands in a cookie that was not made here, it grants nothing and breaks nothing."""
    assert grant_of_cookie(settings, cookie, now_s=NOW_S) is None


@pytest.mark.parametrize(
    ("visibility", "user"), [(Visibility.TEAM, ""), (Visibility.CHANNEL, ""), (Visibility.PRIVATE, "U0ADA")]
)
def test_a_card_lends_no_more_than_its_channel_sees(settings: Settings, visibility: Visibility, user: str) -> None:
    """The link of a card grants what its channel sees; only a private run's, which nobody else gets, its asker's."""
    run = Run(
        id=42,
        team_id="T1",
        channel_id="C9",
        visibility=visibility,
        requested_by="U0ADA",
        source=Source.SLACK,
        words="train a.csv",
        kind="train",
        spec=TrainSpec(dataset="a.csv"),
        state=RunState.QUEUED,
        created_at=datetime(2026, 11, 27, tzinfo=UTC),
    )
    grant = grant_of_link(settings, "/runs/42", query_of(run_link(settings, run, channel_id="C1")))
    assert grant is not None
    assert grant.principal == Principal("T1", user, Source.SLACK, "C1")


def test_without_an_outside_address_there_are_no_links(tmp_path: Path) -> None:
    """Links are made where LML_PAGES_URL is given; pages are served there, or where a proxy signs people in."""
    alone = Settings(home=tmp_path)
    assert page_link(alone, ADA, "/runs/42") is None
    assert not serves_pages(alone)
    assert serves_pages(Settings(home=tmp_path, pages_user_header="X-User"))


@pytest.mark.parametrize(
    ("name", "value"),
    [("LML_PAGES_URL", "ml.example.com"), ("LML_PAGES_USER_HEADER", "X User"), ("LML_PAGES_LINK_DAYS", "0")],
)
def test_wrong_settings_are_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """An address without http, a header that is none and no days are named before anything is served."""
    monkeypatch.setenv(name, value)
    with pytest.raises(RefusedWords, match=name):
        load_settings()
