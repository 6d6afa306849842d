"""Who may do what: denied unless allowed."""

from dataclasses import replace

import pytest

from bot.grammar import VERB_NAMES
from shared.access import Principal, Source, authorize
from shared.errors import RefusedWords

SHELL = Principal(team_id="local", user_id="ada", source=Source.SHELL)
SLACK = Principal(team_id="T1", user_id="U0ADA", source=Source.SLACK, channel_id="C1")
FROM_SLACK = {"describe", "train", "evaluate", "compare", "predict", "status", "show", "log", "help"}
FROM_SLACK |= {"diff", "history", "leaderboard", "note", "tag", "promote"}


@pytest.mark.parametrize("verb", VERB_NAMES)
def test_a_shell_may_use_every_verb(verb: str) -> None:
    """Whoever sits at a shell of the stack may do everything, also to runs of others."""
    authorize(SHELL, verb)
    authorize(SHELL, verb, owner="someone else")


@pytest.mark.parametrize("verb", sorted(FROM_SLACK))
def test_slack_may_use_its_verbs(verb: str) -> None:
    """From Slack, these verbs may be used, on runs of others too: what is seen is the query's affair."""
    authorize(SLACK, verb)
    authorize(SLACK, verb, owner="U0EVE")


@pytest.mark.parametrize("verb", ["up", "doctor", "erase", "", "Train", "train ", "*"])
def test_what_is_not_allowed_is_denied(verb: str) -> None:
    """From Slack, a verb that is not on its list is refused, known or not, with where it can be used."""
    with pytest.raises(RefusedWords) as met:
        authorize(SLACK, verb, owner="U0ADA")
    assert met.value.code == "not_allowed"
    assert str(met.value) == (f"`{verb}` cannot be used from slack. Use it in a shell on the machine of the stack.")


@pytest.mark.parametrize("verb", ["erase", "", "TRAIN"])
def test_a_shell_is_denied_what_nobody_knows(verb: str) -> None:
    """A verb that is on no list is refused from a shell too."""
    with pytest.raises(RefusedWords, match="cannot be used from shell"):
        authorize(SHELL, verb)


@pytest.mark.parametrize("owner", ["U0EVE", "", None, "u0ada", "U0ADA "])
@pytest.mark.parametrize("verb", ["cancel", "priority", "retry", "resume"])
def test_only_the_owner_changes_a_run_from_slack(verb: str, owner: str | None) -> None:
    """From Slack, a run is changed by the very user who asked for it, or an admin; a run of nobody by admins alone."""
    with pytest.raises(RefusedWords) as met:
        authorize(SLACK, verb, owner=owner)
    assert met.value.code == "not_allowed"
    assert str(met.value) == (
        f"`{verb}` is for whoever asked for a run, and for admins; this one is someone else's. Ask its owner."
    )
    authorize(SLACK, verb, owner="U0ADA")
    authorize(replace(SLACK, admin=True), verb, owner=owner)


def test_only_a_shell_sees_everything() -> None:
    """A principal from a chat never sees everything."""
    assert SHELL.sees_everything
    assert not SLACK.sees_everything
