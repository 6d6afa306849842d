"""`lml token`: which services may come in, with what, and what is shown of it."""

import re
from pathlib import Path

import pytest
from pydantic import SecretStr

from bot.desk import Answer, Desk
from bot.grammar import parse
from bot.verbs.token import SCOPES
from shared.access import Principal, Role, Source, authorize
from shared.blobs import BlobStore
from shared.errors import LmlError, RefusedWords
from shared.log import services
from shared.log.engine import Log
from shared.log.quotas import Quota
from shared.settings import Settings


@pytest.fixture
def desk(log: Log, tmp_path: Path) -> Desk:
    settings = Settings(home=tmp_path, team_id="T1", secret_key=SecretStr("k"))
    return Desk(settings, log, BlobStore(settings.store_folder), Principal("T1", "ada", Source.SHELL))


def said(desk: Desk, *words: str) -> Answer:
    command = parse(["token", *words])
    assert command.verb.answer is not None
    return command.verb.answer(desk, command.request)


def refused(desk: Desk, *words: str) -> str:
    with pytest.raises(LmlError) as met:
        said(desk, *words)
    return f"{met.value.code}: {met.value}"


def test_a_token_is_shown_once(desk: Desk) -> None:
    """A token opens the door for its service; the log keeps its hash only, and no list shows it again."""
    answer = said(desk, "make", "billing")
    token = answer.envelope["token"]
    assert re.fullmatch(r"lml_[\w-]{43}", token)
    assert token in answer.card.notes
    with desk.log.read() as connection:
        caller = services.caller_of(connection, token)
        assert services.caller_of(connection, token[:-1]) is None
    assert caller is not None
    assert (caller.requester, caller.team_id, caller.scopes) == ("service:billing", "T1", frozenset(SCOPES))
    listed = said(desk, "list")
    assert token not in repr(listed)
    assert [(item["id"], item["service"], item["created_by"]) for item in listed.envelope["items"]] == [
        (1, "billing", "ada")
    ]


def test_quotas_and_webhooks_stay_until_they_are_changed(desk: Desk) -> None:
    """What is given is changed, the rest stays, and none takes it away."""
    said(desk, "make", "billing", "max_running=2", "max_gpu_hours=1.5", "webhook=https://billing.example.com/lml")
    said(desk, "make", "billing", "max_running=none", "max_waiting=9")
    with desk.log.read() as connection:
        known = services.service_of(connection, "billing")
    assert known is not None
    assert known.quota == Quota(max_running=None, max_waiting=9, max_gpu_hours=1.5)
    assert known.webhook_url == "https://billing.example.com/lml"
    said(desk, "make", "billing", "webhook=none")
    with desk.log.read() as connection:
        assert services.webhook_of(connection, "billing") is None


def test_scopes_are_those_of_the_door(desk: Desk) -> None:
    """The verb knows the door's scopes, and a token has those that were asked for."""
    assert SCOPES == services.SCOPES
    token = said(desk, "make", "billing", "scopes=runs:read, artifacts:read").envelope["token"]
    with desk.log.read() as connection:
        caller = services.caller_of(connection, token)
    assert caller is not None
    assert caller.scopes == {"runs:read", "artifacts:read"}


def test_a_revoked_token_opens_nothing(desk: Desk) -> None:
    """A token is revoked by its number; the others of the service stay."""
    first, second = (said(desk, "make", "billing").envelope["token"] for _ in range(2))
    said(desk, "revoke", "1")
    with desk.log.read() as connection:
        assert services.caller_of(connection, first) is None
        assert services.caller_of(connection, second) is not None
    assert refused(desk, "revoke", "1").startswith("unknown_token: There is no token 1 that still opens anything.")


def test_secrets_of_a_service(desk: Desk) -> None:
    """Each service has two secrets of its own, the same whenever they are asked for."""
    said(desk, "make", "billing")
    said(desk, "make", "crm")
    first, again, other = (said(desk, "secrets", name).envelope["secrets"] for name in ("billing", "billing", "crm"))
    assert first == again
    assert set(first) == {"intake", "webhook"}
    assert len({*first.values(), *other.values()}) == 4
    assert all(secret.startswith("whsec_") for secret in first.values())
    assert refused(desk, "secrets", "hr") == (
        "unknown_service: There is no service `hr`. `token make hr` makes it, with a token."
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("lst",), "bad_value: `token` is followed by one of make, list, revoke, secrets; met `lst`. Did you mean"),
        (("make",), "missing_word: `token make` takes a service."),
        (("list", "billing"), "extra_word: `token list` takes nothing more."),
        (("revoke", "one"), "bad_value: A token is named by its number; met `one`."),
        (("revoke", "99999999999999"), "bad_value: A token is named by its number"),
        (("list", "max_running=1"), "unknown_key: `token list` takes no keys; met max_running."),
        (("make", "Billing"), "bad_value: A service is named with small letters, digits and dashes"),
        (("make", "b", "webhook=http://example.com"), "webhook_refused: A webhook goes to an https address"),
        (("make", "b", "scopes=all"), "bad_value: `scopes=all`: needs one of runs:write, runs:read"),
        (("make", "b", "max_running=0"), "bad_value: `max_running=0`"),
    ],
)
def test_what_is_refused(desk: Desk, words: tuple[str, ...], message: str) -> None:
    """Words that make no sense are refused with what would, and leave no service."""
    assert refused(desk, *words).startswith(message)
    with desk.log.read() as connection:
        assert not services.any_service(connection)


def test_a_service_stays_with_its_team(desk: Desk) -> None:
    """The name of another team's service cannot be taken over."""
    with desk.log.write() as connection:
        services.save_service(connection, "billing", team_id="T2", quota=Quota())
    assert refused(desk, "make", "billing").startswith(
        "service_elsewhere: The service `billing` belongs to the team T2, and this is T1."
    )


def test_only_a_shell_makes_tokens() -> None:
    """Neither Slack nor a service can make what opens the door."""
    for source in (Source.SLACK, Source.SERVICE):
        with pytest.raises(RefusedWords, match="`token` cannot be used from"):
            authorize(Principal("T1", "U1", source, role=Role.ADMIN), "token")
