"""Who somebody in Slack is: facts of Slack, the access file, and nobody whenever one of them is missing."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from slack_sdk import WebClient
from support.fake_slack import TEAM, Channel, Failure, FakeSlack

from bot.slack.facts import FAILED_KEPT_S, KEPT_S, Facts
from bot.slack.people import People
from shared.access import Entry, Principal, Role, Source, Visibility
from shared.settings import Settings

MakePeople = Callable[..., People]


class Clock:
    """A clock that stands until it is told to go on."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make_people(settings: Settings, client: WebClient, clock: Clock, tmp_path: Path) -> MakePeople:
    """People under an access file with this text, or under none."""

    def make(text: str | None = None, *, admins: str = "") -> People:
        update: dict[str, object] = {"admins": admins}
        if text is not None:
            update["access_file"] = tmp_path / "access.toml"
            (tmp_path / "access.toml").write_text(text)
        return People(settings.model_copy(update=update), client, facts=Facts(client, clock=clock))

    return make


def ask(people: People, user: str = "U0ADA", channel: str | None = "C0GENERAL") -> Principal:
    """Who somebody is."""
    return people.principal(team_id=TEAM, user_id=user, channel_id=channel, entry=Entry.BUTTON)


def refusal(principal: Principal) -> str:
    """The code of the reason why somebody is nobody."""
    assert principal.role is None
    assert principal.refusal is not None
    return principal.refusal.code


def asked(slack: FakeSlack) -> list[str]:
    """The methods that Slack was asked."""
    return [method for method, _ in slack.calls]


def test_without_a_file_full_members_train(make_people: MakePeople) -> None:
    """On an installation without an access file, a full member in a channel of the workspace is a trainer."""
    principal = ask(make_people())
    assert principal == Principal(TEAM, "U0ADA", Source.SLACK, "C0GENERAL", role=Role.TRAINER, entry=Entry.BUTTON)
    assert ask(make_people(), channel=None).role is Role.TRAINER
    assert ask(make_people(), channel="D0ADA").role is Role.TRAINER


@pytest.mark.parametrize(
    ("facts", "what"),
    [
        ({"is_restricted": True}, "a guest"),
        ({"is_restricted": True, "is_ultra_restricted": True}, "a guest"),
        ({"is_stranger": True}, "a member of another workspace"),
        ({"team_id": "T0OTHER"}, "a member of another workspace"),
        ({"deleted": True}, "an account that was deactivated"),
        ({"is_bot": True}, "a bot"),
        (None, "an account that was deactivated"),
    ],
)
@pytest.mark.parametrize("file", [None, 'default = "trainer"\n[channels]\nC0GENERAL = "operator"'])
def test_who_is_no_full_member_is_nobody(
    make_people: MakePeople, slack: FakeSlack, facts: dict[str, object] | None, what: str, file: str | None
) -> None:
    """A guest, a stranger, a bot or a deactivated account has no role, whatever the channel or the default gives."""
    slack.people["U0EVE"] = facts  # type: ignore[assignment]
    principal = ask(make_people(file), "U0EVE")
    assert refusal(principal) == "guest_refused"
    assert principal.refusal is not None
    assert what in principal.refusal.message


def test_someone_of_the_same_grid_is_a_member(make_people: MakePeople, slack: FakeSlack) -> None:
    """On Enterprise Grid a user belongs to several workspaces, this one among them."""
    slack.people["U0EVE"] = {"team_id": "T0OTHER", "enterprise_user": {"teams": ["T0OTHER", TEAM]}}
    assert ask(make_people(), "U0EVE").role is Role.TRAINER


@pytest.mark.parametrize("file", ['guests = ["U0EVE"]\ndefault = "viewer"', '[users]\nU0EVE = "viewer"'])
def test_a_listed_guest_comes_in(make_people: MakePeople, slack: FakeSlack, file: str) -> None:
    """A guest who is listed has the role that the file gives, and Slack need not be asked about them."""
    slack.people["U0EVE"] = {"is_restricted": True}
    assert ask(make_people(file), "U0EVE").role is Role.VIEWER
    assert "users.info" not in asked(slack)


@pytest.mark.parametrize("channel", [Channel(ext_shared=True), Channel(pending_ext_shared=True)])
def test_a_shared_channel_is_refused(make_people: MakePeople, slack: FakeSlack, channel: Channel) -> None:
    """In a channel that is shared with another organisation, or is about to be, nobody has a role: an admin neither."""
    slack.channels["C0SHARED"] = channel
    file = 'default = "trainer"\n[users]\nU0BEN = "admin"\n[channels]\nC0SHARED = "operator"'
    people = make_people(file, admins="U0ADMIN")
    assert [refusal(ask(people, user, "C0SHARED")) for user in ("U0ADA", "U0BEN", "U0ADMIN")] == [
        "channel_external"
    ] * 3
    listed = make_people('default = "viewer"\nexternal_channels = ["C0SHARED"]')
    assert ask(listed, channel="C0SHARED").role is Role.VIEWER


def test_who_is_not_listed_is_nobody(make_people: MakePeople) -> None:
    """Under a file without a default, a full member of whom it says nothing has no role, and is told so."""
    people = make_people('[users]\nU0BEN = "viewer"')
    assert refusal(ask(people)) == "no_role"
    assert ask(people, "U0BEN").role is Role.VIEWER


def test_the_highest_of_group_channel_and_default_counts(make_people: MakePeople, slack: FakeSlack) -> None:
    """What fits is weighed by role; a group is asked only where it could give more."""
    slack.usergroups = {"S0OPS": ["U0BEN"], "S0ALL": ["U0ADA", "U0BEN"]}
    slack.channels["C0ML"] = Channel()
    people = make_people(
        'default = "viewer"\n[groups]\nS0ALL = "trainer"\nS0OPS = "operator"\n[channels]\nC0ML = "operator"'
    )
    assert ask(people).role is Role.TRAINER
    assert ask(people, "U0BEN").role is Role.OPERATOR
    assert ask(people, "U0CID").role is Role.VIEWER
    before = len(slack.called("usergroups.users.list"))
    assert ask(people, "U0DAN", "C0ML").role is Role.OPERATOR
    assert len(slack.called("usergroups.users.list")) == before == 2


def test_a_persons_own_line_decides_alone(make_people: MakePeople, slack: FakeSlack) -> None:
    """A line under [users] lowers and raises whatever else fits, and asks Slack nothing about the person."""
    slack.usergroups = {"S0OPS": ["U0ADA", "U0EVE"]}
    people = make_people('[users]\nU0ADA = "viewer"\nU0EVE = "none"\n[groups]\nS0OPS = "operator"')
    assert ask(people).role is Role.VIEWER
    assert refusal(ask(people, "U0EVE")) == "no_role"
    assert asked(slack) == ["conversations.info"]


def test_admins_of_the_environment_stay_admins(make_people: MakePeople) -> None:
    """LML_ADMINS are admins with a file, without one, and while it is wrong, when nobody else has a role."""
    for file in (None, "", '[users]\nU0ADMIN = "none"', "[users"):
        assert ask(make_people(file, admins="U0ADMIN, U0OTHER"), "U0ADMIN").role is Role.ADMIN
    wrong = ask(make_people("[users", admins="U0ADMIN"))
    assert refusal(wrong) == "no_role"
    assert wrong.refusal is not None
    assert "cannot be read" in wrong.refusal.message


def test_verbs_that_the_file_raises_are_withheld(make_people: MakePeople) -> None:
    """What [verbs] asks more for stands in the principal."""
    assert ask(make_people('default = "trainer"\n[verbs]\npromote = "operator"')).withheld == {"promote"}


@pytest.mark.parametrize(
    ("scope", "channel"), [("users:read", "C0GENERAL"), ("channels:read", "C0GENERAL"), ("groups:read", "C0PRIVATE")]
)
def test_a_missing_scope_denies_and_is_named(
    make_people: MakePeople, slack: FakeSlack, scope: str, channel: str
) -> None:
    """Without a scope nobody who has to be looked up has a role, and the refusal names the scope."""
    slack.channels["C0PRIVATE"] = Channel(private=True)
    assert slack.scopes is not None
    slack.scopes.discard(scope)
    principal = ask(make_people(), channel=channel)
    assert refusal(principal) == "slack_facts_missing"
    assert principal.refusal is not None
    assert f"the app needs the scope {scope}" in principal.refusal.message


def test_groups_that_cannot_be_read_deny(make_people: MakePeople, slack: FakeSlack) -> None:
    """Where a group decides and Slack does not say who is in it, nobody is let in by the rest; listed people are."""
    assert slack.scopes is not None
    slack.scopes.discard("usergroups:read")
    people = make_people('default = "viewer"\n[users]\nU0BEN = "viewer"\n[groups]\nS0OPS = "operator"')
    assert refusal(ask(people)) == "slack_facts_missing"
    assert ask(people, "U0BEN").role is Role.VIEWER


def test_a_group_that_is_gone_has_nobody(make_people: MakePeople) -> None:
    """A user group that Slack no longer has gives no role, and takes none away."""
    assert ask(make_people('default = "viewer"\n[groups]\nS0GONE = "operator"')).role is Role.VIEWER


@pytest.mark.parametrize(
    "failure",
    [Failure(status=503), Failure(unreached=True), Failure(html=True), Failure(error="ratelimited", status=429)],
)
@pytest.mark.parametrize("method", ["users.info", "conversations.info"])
def test_a_slack_that_does_not_answer_denies(
    make_people: MakePeople, slack: FakeSlack, clock: Clock, failure: Failure, method: str
) -> None:
    """No answer is no role; Slack is left alone for a while, and asked again then."""
    people = make_people()
    slack.fail(method, failure)
    assert refusal(ask(people)) == "slack_facts_missing"
    before = len(slack.called(method))
    assert refusal(ask(people)) == "slack_facts_missing"
    assert len(slack.called(method)) == before
    clock.now_s += FAILED_KEPT_S
    assert ask(people).role is Role.TRAINER


def test_a_private_channel_without_the_bot_says_invite(make_people: MakePeople, slack: FakeSlack) -> None:
    """Of a private channel that the bot is not in nothing is known, so it is refused, with the way in."""
    slack.channels["C0PRIVATE"] = Channel(private=True, has_bot=False)
    principal = ask(make_people(), channel="C0PRIVATE")
    assert refusal(principal) == "slack_facts_missing"
    assert principal.refusal is not None
    assert "/invite @lml" in principal.refusal.hint


def test_answers_are_kept_for_five_minutes(make_people: MakePeople, slack: FakeSlack, clock: Clock) -> None:
    """Slack is asked once for each user and channel; when that is old, again, and what it says then counts."""
    people = make_people()
    assert not people.knows(user_id="U0ADA", channel_id="C0GENERAL")
    for _ in range(5):
        ask(people)
    assert people.knows(user_id="U0ADA", channel_id="C0GENERAL")
    assert not people.knows(user_id="U0BEN", channel_id="C0GENERAL")
    assert sorted(asked(slack)) == ["conversations.info", "users.info"]
    slack.people["U0ADA"] = {"is_restricted": True}
    clock.now_s += KEPT_S - 1
    assert ask(people).role is Role.TRAINER
    clock.now_s += 1
    assert not people.knows(user_id="U0ADA", channel_id="C0GENERAL")
    assert refusal(ask(people)) == "guest_refused"


def test_what_an_event_names_is_asked_again(make_people: MakePeople, slack: FakeSlack) -> None:
    """`forget` drops a user, a channel or a group at once."""
    slack.usergroups = {"S0OPS": ["U0ADA"]}
    people = make_people('default = "viewer"\n[groups]\nS0OPS = "operator"')
    assert ask(people).role is Role.OPERATOR
    slack.usergroups = {"S0OPS": []}
    assert ask(people).role is Role.OPERATOR
    people.forget("S0OPS")
    assert ask(people).role is Role.VIEWER


def test_many_at_once_ask_slack_once(make_people: MakePeople, slack: FakeSlack) -> None:
    """Twenty clicks of one person in one moment are one question to Slack, and all get its answer."""
    slack.fail("users.info", Failure(delay_s=0.2))
    people, gate = make_people(), Barrier(20)

    def click(_: int) -> Role | None:
        gate.wait(timeout=30)
        return ask(people).role

    with ThreadPoolExecutor(20) as pool:
        assert set(pool.map(click, range(20))) == {Role.TRAINER}
    assert sorted(asked(slack)) == ["conversations.info", "users.info"]


def test_a_look_up_that_breaks_denies(settings: Settings, clock: Clock) -> None:
    """A bug on the way to a fact is nobody, never a role and never an exception in a listener."""
    people = People(settings, None, facts=Facts(None, clock=clock))  # type: ignore[arg-type]
    assert refusal(ask(people)) == "slack_facts_missing"


@pytest.mark.parametrize(
    ("key", "channel", "expected"),
    [
        ("C0OPEN", Channel(), Visibility.TEAM),
        ("C0SHUT", Channel(private=True), Visibility.CHANNEL),
        ("G0SHUT", Channel(private=True), Visibility.CHANNEL),
        ("C0GROUP", Channel(mpim=True), Visibility.CHANNEL),
        ("C0GONE", None, Visibility.CHANNEL),
        ("D0ADA", Channel(), Visibility.PRIVATE),
    ],
)
def test_only_a_public_channel_is_for_the_team(
    make_people: MakePeople, slack: FakeSlack, key: str, channel: Channel | None, expected: Visibility
) -> None:
    """A run is seen by the team only where Slack says that its channel is public; what is not known stays in it."""
    if channel is not None:
        slack.channels[key] = channel
    assert make_people().channel_visibility(key) is expected
