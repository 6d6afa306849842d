"""Who may do what: one function, deny by default, asked at every entry."""

from dataclasses import dataclass
from enum import StrEnum

from shared.errors import refused


class Visibility(StrEnum):
    """Who sees a run."""

    TEAM = "team"  # everyone in the team
    CHANNEL = "channel"  # whoever asks in the channel that it came from
    PRIVATE = "private"  # whoever asked for it, where it was asked


class Source(StrEnum):
    """Where words came from."""

    SHELL = "shell"  # a shell on a machine that reaches the log
    SLACK = "slack"  # a Slack workspace


@dataclass(frozen=True)
class Principal:
    """Who asks, and from where. Ids only: names can be changed by their owners."""

    team_id: str
    user_id: str
    source: Source
    channel_id: str | None = None

    @property
    def sees_everything(self) -> bool:
        """A shell that reaches the log can read all of it anyway, so no query hides anything from it."""
        return self.source is Source.SHELL


SLACK_VERBS = frozenset(
    {"describe", "train", "evaluate", "compare", "predict", "status", "show", "log", "cancel", "help"}
)
SHELL_VERBS = SLACK_VERBS | {"up", "doctor"}


def authorize(principal: Principal, verb: str, *, owner: str | None = None) -> None:
    """Raise `RefusedWords` unless this principal may use this verb, on a run of `owner` where one is concerned."""
    allowed = SHELL_VERBS if principal.source is Source.SHELL else SLACK_VERBS
    if verb not in allowed:
        raise refused(
            "not_allowed",
            f"`{verb}` cannot be used from {principal.source}.",
            "Use it in a shell on the machine of the stack.",
        )
    if verb == "cancel" and not principal.sees_everything and owner != principal.user_id:
        raise refused(
            "not_allowed",
            "A run can be cancelled by whoever asked for it; this one is someone else's.",
            "Ask its owner.",
        )
