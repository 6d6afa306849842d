"""`audit`: what can be asked of it, what it shows, and to whom."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from bot.desk import Answer, Desk
from bot.grammar import parse
from bot.terminal import main
from shared.access import Entry, Principal, Role, Source
from shared.blobs import BlobStore
from shared.errors import NotAllowed, Problem, RefusedWords
from shared.log.audit import AuditQuery, Decision
from shared.log.engine import Log
from shared.permit import audit_refusal, permit
from shared.settings import Settings

ADA = Principal("T1", "U0ADA", Source.SLACK, "C1", role=Role.TRAINER, entry=Entry.COMMAND)
ADMIN = Principal("T1", "U0ADMIN", Source.SLACK, "C9", role=Role.ADMIN)


@pytest.fixture
def desk(log: Log, tmp_path: Path) -> Desk:
    settings = Settings(home=tmp_path, team_id="T1")
    return Desk(settings, log, BlobStore(settings.store_folder), ADMIN)


def said(desk: Desk, *words: str) -> Answer:
    command = parse(["audit", *words])
    assert command.verb.answer is not None
    return command.verb.answer(desk, command.request)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], AuditQuery()),
        (["by:@ada", "verb:forget,promote"], AuditQuery(by=("ada",), verbs=("forget", "promote"))),
        (["by:<@U0ADA>", "decision=Denied"], AuditQuery(by=("U0ADA",), decision=Decision.DENIED)),
        (["--since", "7d", "--limit=5", "run:#42"], AuditQuery(since=timedelta(days=7), limit=5, run=42)),
    ],
)
def test_words_become_a_question(words: list[str], expected: AuditQuery) -> None:
    """Keys are written key:value, key=value or --key value, as for `log`."""
    assert parse(["audit", *words]).request == expected


def test_everything_wrong_is_said_at_once() -> None:
    """Unknown keys, values that do not fit and what is given twice come in one answer, with what is meant."""
    with pytest.raises(RefusedWords) as met:
        parse(["audit", "desicion:denied", "limit:0", "by:U1", "by:U2", "since:soon", "march", "decision:maybe"])
    assert [(problem.code, problem.sentence()[:38]) for problem in met.value.problems] == [
        ("unknown_key", "`audit` knows no key `desicion`. Did y"),
        ("bad_value", "`limit:0`: needs a whole number from 1"),
        ("repeated_key", "`by` is given more than once. Give it "),
        ("bad_value", "`since:soon`: needs an age such as 7d,"),
        ("unknown_key", "`audit` knows no key `march`. It knows"),
        ("bad_value", "`decision:maybe`: needs one of allowed"),
    ]


def test_it_shows_who_asked_for_what(desk: Desk) -> None:
    """A row for each request, newest first, for people and for machines, with the reason of a refusal."""
    permit(desk.log, ADA, "train", words="train churn.csv", trigger="1.2")
    audit_refusal(desk.log, ADA, "forget", "forget churn.csv", Problem("not_allowed", "It is for admins."), run=7)
    answer = said(desk)
    [table] = answer.card.tables
    assert [row[1:] for row in table.rows] == [
        ("U0ADA", "command", "C1", "denied", "forget churn.csv", "not_allowed: It is for admins."),
        ("U0ADA", "command", "C1", "allowed", "train churn.csv", ""),
    ]
    denied, allowed = answer.envelope["items"]
    assert (denied["decision"], denied["run"], denied["verb"]) == ("denied", 7, "forget")
    assert (allowed["team"], allowed["trigger"], allowed["reason"]) == ("T1", "1.2", None)
    json.dumps(answer.envelope)


def test_me_is_whoever_asks(desk: Desk) -> None:
    """`by:me` shows the admin's own requests."""
    permit(desk.log, ADA, "train", words="train a.csv")
    permit(desk.log, ADMIN, "train", words="train b.csv")
    assert [item["words"] for item in said(desk, "by:me").envelope["items"]] == ["train b.csv"]


def test_an_admin_sees_no_other_workspace(desk: Desk) -> None:
    """From Slack the rows of the own workspace are shown; nothing found is said in words."""
    permit(desk.log, replace(ADA, team_id="T2"), "train", words="train elsewhere.csv")
    answer = said(desk)
    assert (answer.card.tables, answer.card.notes) == ((), ("Nothing of this kind is on record.",))


@pytest.mark.parametrize("role", [None, Role.VIEWER, Role.TRAINER, Role.OPERATOR])
def test_it_is_for_admins(desk: Desk, role: Role | None) -> None:
    """Whoever is no admin is refused at the gate, and that is on record."""
    with pytest.raises(NotAllowed):
        permit(desk.log, replace(ADA, role=role), "audit", words="audit")
    assert [item["words"] for item in said(desk, "decision:denied").envelope["items"]] == ["audit"]


def test_a_shell_is_audited_and_reads_the_audit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a shell changes stands in the audit that the same shell then shows, as JSON too; looking is not noted."""
    monkeypatch.setenv("LML_HOME", str(tmp_path))
    assert main.run(["status", "--json"]) == 0
    assert main.run(["cancel", "42", "--json"]) == 2
    assert main.run(["forget", "churn.csv", "--json"]) == 2
    capsys.readouterr()
    assert main.run(["audit", "--json"]) == 0
    items = json.loads(capsys.readouterr().out)["items"]
    assert [(item["verb"], item["words"], item["entry"], item["run"]) for item in items] == [
        ("forget", "forget churn.csv", "shell", None),
        ("cancel", "cancel 42", "shell", 42),
    ]
