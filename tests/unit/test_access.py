"""Who may do what: denied unless allowed, as the table of docs/access.md says."""

import re
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

from bot.grammar import VERB_NAMES
from shared.access import CHAT, ENTRIES, RULES, Entry, Principal, Role, Source, authorize
from shared.errors import NotAllowed, Problem
from shared.specs import SPEC_TYPES

DOCUMENT = Path(__file__).parents[2] / "docs" / "access.md"
BEGIN, END = "<!-- verbs -->\n", "<!-- end of verbs -->"
SHELL = Principal(team_id="local", user_id="ada", source=Source.SHELL)
SLACK = Principal(team_id="T1", user_id="U0ADA", source=Source.SLACK, channel_id="C1", role=Role.TRAINER)
SERVICE = Principal(team_id="T1", user_id="service:billing", source=Source.SERVICE)
DOORS = {"Slack": CHAT, "HTTP": {Entry.HTTP}, "queue": {Entry.QUEUE}, "shell": {Entry.SHELL}}
SOURCE_OF = {entry: source for source, entries in ENTRIES.items() for entry in entries}


def table() -> str:
    """The table of docs/access.md, made from the rules."""
    head = ["verb", "least role", "others'", *DOORS, "noted when allowed"]
    rows = [
        [
            f"`{verb}`",
            rule.own.word,
            "" if rule.others is rule.own else rule.others.word,
            *("yes" if entries <= rule.entries else "" for entries in DOORS.values()),
            "yes" if rule.changes else "",
        ]
        for verb, rule in RULES.items()
    ]
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def documented() -> dict[str, dict[str, str]]:
    """The rows of docs/access.md, by verb."""
    text = DOCUMENT.read_text(encoding="utf-8").split(BEGIN)[1].split(END)[0]
    head, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.strip().splitlines()]
    return {row[0].strip("`"): dict(zip(head[1:], row[1:], strict=True)) for row in rows}


def may(principal: Principal, verb: str, *, owner: str | None) -> bool:
    """Whether it is allowed."""
    try:
        authorize(principal, verb, owner=owner)
    except NotAllowed:
        return False
    return True


def test_the_table_of_the_document_is_made_from_the_code() -> None:
    """docs/access.md shows the rules that the code has; the message holds what it should say."""
    shown = DOCUMENT.read_text(encoding="utf-8").split(BEGIN)[1].split(END)[0]
    assert shown == table(), f"docs/access.md should say:\n{table()}"


def test_every_verb_and_every_kind_of_run_has_a_rule() -> None:
    """No verb is without a rule, and every rule is of a verb, of a kind of run, or of a class of priority."""
    assert set(RULES) == {*VERB_NAMES, *SPEC_TYPES, "priority urgent"}


@pytest.mark.parametrize("verb", [*VERB_NAMES, "probe", "priority urgent"])
def test_every_role_at_every_entry_may_what_the_document_says(verb: str) -> None:
    """For each role, entry and owner of the run, what is decided is what the table of docs/access.md says."""
    row = documented()[verb]
    for entry, role, own in product(Entry, [None, *Role], [True, False]):
        source = SOURCE_OF[entry]
        asking = replace(SLACK, source=source, role=role, entry=entry)
        held = {Source.SHELL: Role.ADMIN, Source.SERVICE: Role.TRAINER}.get(source, role)
        door = next(name for name, entries in DOORS.items() if entry in entries)
        least = row["least role"] if own else row["others'"] or row["least role"]
        expected = held is not None and row[door] == "yes" and held >= Role[least.upper()]
        assert may(asking, verb, owner="U0ADA" if own else "U0EVE") is expected, (verb, entry, role, own)


@pytest.mark.parametrize("entry", Entry)
def test_a_door_lets_only_its_own_source_in(entry: Entry) -> None:
    """Whoever claims to come from elsewhere than through their door is refused, whatever the role."""
    for source in set(Source) - {SOURCE_OF[entry]}:
        asking = Principal("T1", "U0ADA", source, "C1", role=Role.ADMIN, entry=entry)
        assert not any(may(asking, verb, owner="U0ADA") for verb in RULES)


@pytest.mark.parametrize("verb", ["erase", "", "Train", "train ", "*", "priority high", "TRAIN"])
def test_what_nobody_knows_is_denied_to_all(verb: str) -> None:
    """A verb without a rule is refused to a shell, to an admin and to a service, with where others can be used."""
    for asking in (SHELL, replace(SLACK, role=Role.ADMIN), SERVICE):
        with pytest.raises(NotAllowed) as met:
            authorize(asking, verb, owner=asking.user_id)
        assert met.value.code == "not_allowed"
        assert str(met.value) == (
            f"`{verb}` cannot be used from {asking.source}. Use it in a shell on the machine of the stack."
        )


@pytest.mark.parametrize("verb", RULES)
def test_nobody_may_nothing(verb: str) -> None:
    """Someone of Slack without a role is refused every verb, with the reason that was found, or that there is none."""
    with pytest.raises(NotAllowed) as met:
        authorize(replace(SLACK, role=None), verb, owner="U0ADA")
    assert met.value.code == "no_role"
    guest = Problem("guest_refused", "You are a guest.", "Ask an admin.")
    with pytest.raises(NotAllowed) as met:
        authorize(replace(SLACK, role=None, refusal=guest), verb, owner="U0ADA")
    assert met.value.problems == (guest,)


@pytest.mark.parametrize("owner", ["U0EVE", "", None, "u0ada", "U0ADA "])
@pytest.mark.parametrize("verb", ["cancel", "priority", "retry", "resume"])
def test_a_trainer_changes_only_their_own_runs(verb: str, owner: str | None) -> None:
    """A run is changed by the very user who asked for it, or an operator; a run of nobody by operators alone."""
    with pytest.raises(NotAllowed) as met:
        authorize(SLACK, verb, owner=owner)
    assert met.value.code == "not_allowed"
    assert str(met.value) == (
        f"`{verb}` is for whoever asked for a run, and for operators and admins; this one is someone else's."
        " Ask its owner."
    )
    authorize(SLACK, verb, owner="U0ADA")
    authorize(replace(SLACK, role=Role.OPERATOR), verb, owner=owner)


def test_a_viewer_is_told_which_role_it_takes() -> None:
    """A role that is too low is named, beside the one that is needed."""
    with pytest.raises(NotAllowed, match=re.escape("`train` needs the role trainer; yours is viewer. An admin gives")):
        authorize(replace(SLACK, role=Role.VIEWER), "train")


def test_the_access_file_can_withhold_a_verb() -> None:
    """A verb for which the file asks for more is refused, and nothing else is."""
    withheld = replace(SLACK, withheld=frozenset({"promote"}))
    with pytest.raises(NotAllowed, match="`promote` needs a higher role, as the access file says; yours is trainer"):
        authorize(withheld, "promote", owner="U0ADA")
    authorize(withheld, "train")


def test_a_verb_that_shells_alone_have_says_so_in_slack() -> None:
    """From Slack a verb of the shell is refused to admins too, with where it can be used."""
    with pytest.raises(NotAllowed, match=r"`up` cannot be used from slack\. Use it in a shell"):
        authorize(replace(SLACK, role=Role.ADMIN), "up")


def test_only_a_shell_sees_everything() -> None:
    """A principal from a chat never sees everything, an admin included."""
    assert SHELL.sees_everything
    assert not replace(SLACK, role=Role.ADMIN).sees_everything
    assert not SERVICE.sees_everything
    assert (SHELL.admin, replace(SLACK, role=Role.ADMIN).admin, SLACK.admin, SERVICE.admin) == (
        True,
        True,
        False,
        False,
    )
