"""The gate of every entry, and its audit: the row comes first, and without a row nothing happens."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.access import RULES, Entry, Principal, Role, Source, authorize
from shared.errors import NotAllowed, Problem, ServiceUnavailable
from shared.log import audit
from shared.log.audit import MOST_WORDS, Asked, AuditQuery, Decision, Noted
from shared.log.engine import Log
from shared.permit import audit_refusal, audited, permit, permit_all

ADA = Principal("T1", "U0ADA", Source.SLACK, "C1", role=Role.TRAINER, entry=Entry.BUTTON)
ADMIN = Principal("T1", "U0ADMIN", Source.SLACK, "C9", role=Role.ADMIN)
SHELL = Principal("local", "ada", Source.SHELL)
SERVICE = Principal("T1", "service:billing", Source.SERVICE, entry=Entry.QUEUE)


def rows(log: Log, principal: Principal = SHELL, query: AuditQuery | None = None) -> list[Noted]:
    """The audit, newest first."""
    with log.read() as connection:
        return audit.find(connection, principal, query or AuditQuery())


def test_a_row_stands_before_the_effect(log: Log) -> None:
    """Once `permit` returns, the log says who asked for what, where, through which entry, and that it was allowed."""
    permit(log, ADA, "cancel", words="cancel 42", run=42, owner="U0ADA", trigger="123.4")
    [row] = rows(log)
    assert (row.team_id, row.by, row.source, row.entry, row.channel_id) == ("T1", "U0ADA", "slack", "button", "C1")
    assert (row.verb, row.words, row.run_id, row.trigger_id) == ("cancel", "cancel 42", 42, "123.4")
    assert (row.decision, row.reason) == (Decision.ALLOWED, None)


def test_what_changes_is_noted_and_what_looks_is_not(log: Log) -> None:
    """A verb that is allowed leaves a row if its rule says that it changes something; a denied one always."""
    for verb in RULES:
        permit(log, SHELL, verb, words=verb)
    assert {row.verb for row in rows(log)} == {verb for verb, rule in RULES.items() if rule.changes}
    for verb in RULES:
        with pytest.raises(NotAllowed):
            permit(log, replace(ADA, role=None), verb, words=verb)
    denied = rows(log, query=AuditQuery(decision=Decision.DENIED))
    assert sorted(row.verb for row in denied) == sorted(RULES)
    assert all((row.by, (row.reason or "")[:9]) == ("U0ADA", "no_role: ") for row in denied)


def test_without_an_owner_it_asks_whether_at_all(log: Log) -> None:
    """Before the owner of a run is known, the verb may be used at all; with another owner it is denied and noted."""
    permit(log, ADA, "cancel", words="cancel 42")
    with pytest.raises(NotAllowed) as met:
        permit(log, ADA, "cancel", words="cancel 42", run=42, owner="U0EVE")
    assert met.value.audited
    assert [row.decision for row in rows(log)] == [Decision.DENIED, Decision.ALLOWED]


def test_what_a_verb_denies_by_itself_is_noted_once(log: Log) -> None:
    """A refusal inside of a verb becomes one row, however many blocks it passes, and is raised on."""
    with (
        pytest.raises(NotAllowed),
        audited(log, ADA, "cancel", words="cancel 42", run=42),
        audited(log, ADA, "cancel", words="cancel 42", run=42),
    ):
        authorize(ADA, "cancel", owner="U0EVE")
    with pytest.raises(NotAllowed), audited(log, ADA, "forget", words="forget x"):
        permit(log, ADA, "forget", words="forget x")
    assert [(row.verb, row.run_id) for row in rows(log)] == [("forget", None), ("cancel", 42)]


def test_other_errors_are_no_refusals(log: Log) -> None:
    """What is wrong with words, or breaks, passes through and is not noted as denied."""
    with pytest.raises(RuntimeError), audited(log, ADA, "cancel", words="cancel 42"):
        raise RuntimeError
    assert rows(log) == []


def test_a_log_that_cannot_be_written_refuses_the_effect(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the row cannot be written, what was asked does not happen, whoever asks; a refusal stays a refusal."""
    away = ServiceUnavailable(_problem())

    def broken(*_: object) -> None:
        raise away

    monkeypatch.setattr(audit, "note", broken)
    with pytest.raises(ServiceUnavailable):
        permit(log, SHELL, "train", words="train churn.csv")
    with pytest.raises(NotAllowed):
        permit(log, replace(ADA, role=None), "train", words="train churn.csv")
    permit(log, ADA, "show", words="show 42")


def test_several_are_allowed_together_or_not_at_all(log: Log) -> None:
    """A message of several runs leaves a row for each; one that is denied leaves only its own refusal."""
    permit_all(log, SERVICE, [Asked("train", "train a.csv"), Asked("probe", "probe")])
    assert [(row.verb, row.entry) for row in rows(log)] == [("probe", "queue"), ("train", "queue")]
    with pytest.raises(NotAllowed):
        permit_all(log, SERVICE, [Asked("train", "train b.csv"), Asked("cancel", "cancel 1")])
    assert [row.words for row in rows(log)] == ["cancel 1", "probe", "train a.csv"]
    permit_all(log, SERVICE, [])


def test_secrets_and_endless_words_are_not_kept(log: Log) -> None:
    """Tokens and passwords in the words are masked, long words cut, whether allowed or denied."""
    token, address = "xoxb-123-abc", "https://ada:s3cret@example.com/a.csv"
    permit(log, ADA, "train", words=f"train {address} name={token}")
    permit(log, ADA, "note", words="x" * 50_000)
    audit_refusal(log, ADA, "train", f"train {token}", replace(_problem(), message=f"met {address}"))
    kept = repr(rows(log))
    assert "s3cret" not in kept
    assert token not in kept
    assert [len(row.words) for row in rows(log)][1] == MOST_WORDS


def test_ids_of_any_length_are_kept_short(log: Log) -> None:
    """Whatever a payload claims to be fits into the row, so that no refusal goes unnoted."""
    long = Principal("T" * 500, "U" * 500, Source.SLACK, "C" * 500, entry=Entry.MODAL)
    audit_refusal(log, long, "v" * 500, "words", _problem(), run=10**12, trigger="t" * 500)
    [row] = rows(log)
    assert (len(row.team_id), len(row.by), len(row.channel_id or ""), len(row.verb)) == (64, 128, 64, 32)
    assert len(row.trigger_id or "") == 128


@pytest.mark.parametrize(
    ("query", "words"),
    [
        (AuditQuery(), ["forget x", "train b", "train a"]),
        (AuditQuery(by=("U0ADA",)), ["train b", "train a"]),
        (AuditQuery(by=("U0ADA", "U0ADMIN")), ["forget x", "train b", "train a"]),
        (AuditQuery(verbs=("forget",)), ["forget x"]),
        (AuditQuery(decision=Decision.DENIED), ["train b"]),
        (AuditQuery(run=7), ["train b"]),
        (AuditQuery(since=timedelta(hours=1)), ["forget x", "train b", "train a"]),
        (AuditQuery(since=timedelta(hours=-1)), []),
        (AuditQuery(limit=1), ["forget x"]),
    ],
)
def test_the_audit_is_searched(log: Log, query: AuditQuery, words: list[str]) -> None:
    """Rows are found by who, what, decision, run and time, newest first, within a team; a shell reads every team's."""
    permit(log, ADA, "train", words="train a")
    audit_refusal(log, ADA, "train", "train b", _problem(), run=7)
    permit(log, ADMIN, "forget", words="forget x")
    permit(log, replace(ADA, team_id="T2"), "train", words="train elsewhere", run=8)
    assert [row.words for row in rows(log, ADMIN, query)] == words
    assert len(rows(log)) == 4


def _problem() -> Problem:
    return Problem("not_allowed", "No.", "Ask.")
