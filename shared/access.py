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
    SERVICE = "service"  # another service, by HTTP or a queue


@dataclass(frozen=True)
class Principal:
    """Who asks, and from where. Ids only: names can be changed by their owners."""

    team_id: str
    user_id: str
    source: Source
    channel_id: str | None = None
    admin: bool = False
    """Whether it may stop and reorder everyone's runs, and forget datasets (`LML_ADMINS`)."""

    @property
    def sees_everything(self) -> bool:
        """A shell that reaches the log can read all of it anyway, so no query hides anything from it."""
        return self.source is Source.SHELL


RUN_VERBS = frozenset({"describe", "train", "evaluate", "compare", "predict"})
LOG_VERBS = frozenset({"status", "show", "log", "diff", "history", "leaderboard", "note", "tag", "promote"})
"""What whoever sees a run may do with it: look, compare, and add to it what leaves it as it is."""
OWNER_VERBS = frozenset({"cancel", "priority", "retry", "resume"})
"""What only the owner of a run and admins may do to it."""
ADMIN_VERBS = frozenset({"forget"})
"""What only admins may do."""
ALLOWED = {
    Source.SERVICE: RUN_VERBS | {"probe", "status", "show", "cancel"},
    Source.SLACK: RUN_VERBS | OWNER_VERBS | LOG_VERBS | ADMIN_VERBS | {"replay", "help"},
    Source.SHELL: RUN_VERBS
    | OWNER_VERBS
    | LOG_VERBS
    | {"probe", "replay", "help", "up", "down", "doctor", "submit", "token", "export"}
    | ADMIN_VERBS,
}


def authorize(principal: Principal, verb: str, *, owner: str | None = None) -> None:
    """Raise `RefusedWords` unless this principal may use this verb, on a run of `owner` where one is concerned."""
    if verb not in ALLOWED[principal.source]:
        raise refused(
            "not_allowed",
            f"`{verb}` cannot be used from {principal.source}.",
            "Use it in a shell on the machine of the stack.",
        )
    if verb in ADMIN_VERBS and not (principal.sees_everything or principal.admin):
        raise refused("not_allowed", f"`{verb}` is for admins.", "Ask one of those whom LML_ADMINS names.")
    if verb in OWNER_VERBS and not (principal.sees_everything or principal.admin) and owner != principal.user_id:
        raise refused(
            "not_allowed",
            f"`{verb}` is for whoever asked for a run, and for admins; this one is someone else's.",
            "Ask its owner.",
        )
