"""Who may do what: one function, deny by default, asked at every entry. docs/access.md shows its table."""

from dataclasses import dataclass
from enum import IntEnum, StrEnum

from shared.errors import NotAllowed, Problem


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


class Entry(StrEnum):
    """Through which door they came."""

    COMMAND = "command"  # a slash command
    BUTTON = "button"  # a click on a card
    MODAL = "modal"  # a form that was sent
    SHORTCUT = "shortcut"  # a shortcut on a message
    MENTION = "mention"  # a message that names the bot
    MESSAGE = "message"  # a direct message to the bot
    HOME = "home"  # the bot's home tab
    HTTP = "http"  # a request of another service
    QUEUE = "queue"  # a message that another service has queued
    SHELL = "shell"  # the `lml` command


class Role(IntEnum):
    """What a person is to the team; each may what the ones before it may."""

    VIEWER = 1  # looks
    TRAINER = 2  # starts runs, and does with them what they like
    OPERATOR = 3  # stops, reorders and repeats everyone's runs
    ADMIN = 4  # forgets datasets, and reads who did what

    @property
    def word(self) -> str:
        """As it is written in the access file."""
        return self.name.lower()


CHAT = frozenset({Entry.COMMAND, Entry.BUTTON, Entry.MODAL, Entry.SHORTCUT, Entry.MENTION, Entry.MESSAGE, Entry.HOME})
ENTRIES = {
    Source.SHELL: frozenset({Entry.SHELL}),
    Source.SLACK: CHAT,
    Source.SERVICE: frozenset({Entry.HTTP, Entry.QUEUE}),
}
"""Which doors belong to which source; through another one nothing comes in."""


@dataclass(frozen=True)
class Principal:
    """Who asks, and from where. Ids only: names can be changed by their owners."""

    team_id: str
    user_id: str
    source: Source
    channel_id: str | None = None
    role: Role | None = None
    """What someone of a chat is here; None is nobody, who may nothing."""
    entry: Entry | None = None
    withheld: frozenset[str] = frozenset()
    """Verbs for which the access file asks for more than this role."""
    refusal: Problem | None = None
    """Why there is no role."""

    @property
    def sees_everything(self) -> bool:
        """A shell that reaches the log can read all of it anyway, so no query hides anything from it."""
        return self.source is Source.SHELL

    @property
    def standing(self) -> Role | None:
        """The role that counts: a shell owns the stack, a service has the token that its operator made for it."""
        if self.source is Source.SHELL:
            return Role.ADMIN
        return Role.TRAINER if self.source is Source.SERVICE else self.role

    @property
    def admin(self) -> bool:
        """Whether it may do everything that its door lets through."""
        return self.standing is Role.ADMIN

    @property
    def came_by(self) -> Entry:
        """Its door; that of most of its kind where none was noted."""
        usual = {Source.SHELL: Entry.SHELL, Source.SLACK: Entry.COMMAND, Source.SERVICE: Entry.HTTP}
        return self.entry or usual[self.source]


@dataclass(frozen=True)
class Rule:
    """Who may use a verb: the least role on one's own runs, and where no run is concerned; and on those of others."""

    own: Role
    others: Role
    entries: frozenset[Entry]
    changes: bool = True
    """Whether the audit notes it also when it is allowed: it starts a run, or changes something."""


_SHELL = frozenset({Entry.SHELL})
_PEOPLE = CHAT | _SHELL
_ALL = _PEOPLE | {Entry.HTTP, Entry.QUEUE}


def _rules(
    verbs: str, least: Role, entries: frozenset[Entry], *, others: Role | None = None, changes: bool = True
) -> dict[str, Rule]:
    rule = Rule(own=least, others=others or least, entries=entries, changes=changes)
    return dict.fromkeys(verbs.split(), rule)


RULES: dict[str, Rule] = {
    **_rules("help log diff history leaderboard data", Role.VIEWER, _PEOPLE, changes=False),
    **_rules("status show", Role.VIEWER, _PEOPLE | {Entry.HTTP}, changes=False),
    **_rules("describe train evaluate compare predict", Role.TRAINER, _ALL),
    **_rules("probe", Role.TRAINER, _SHELL | {Entry.HTTP, Entry.QUEUE}),
    **_rules("note tag promote replay", Role.TRAINER, _PEOPLE),
    **_rules("cancel", Role.TRAINER, _PEOPLE | {Entry.HTTP}, others=Role.OPERATOR),
    **_rules("priority retry resume", Role.TRAINER, _PEOPLE, others=Role.OPERATOR),
    "priority urgent": Rule(Role.OPERATOR, Role.OPERATOR, _PEOPLE),
    **_rules("forget", Role.ADMIN, _PEOPLE),
    **_rules("audit", Role.ADMIN, _PEOPLE, changes=False),
    **_rules("submit token export", Role.ADMIN, _SHELL),
    **_rules("up down doctor", Role.ADMIN, _SHELL, changes=False),
}
"""Every verb. `priority urgent` is the one class that overtakes everyone else's runs; what is not here is denied."""


def authorize(principal: Principal, verb: str, *, owner: str | None = None) -> None:
    """Raise `NotAllowed` unless this principal may use this verb, on a run of `owner` where the verb is about one.

    A run whose owner is not named is someone else's.
    """
    rule, entry, role = RULES.get(verb), principal.came_by, principal.standing
    if role is None:
        raise NotAllowed(principal.refusal or _NOBODY)
    if rule is None or entry not in rule.entries or entry not in ENTRIES[principal.source]:
        raise NotAllowed(
            Problem(
                "not_allowed",
                f"`{verb}` cannot be used from {principal.source}.",
                "Use it in a shell on the machine of the stack.",
            )
        )
    if verb in principal.withheld:
        raise NotAllowed(_needs_more(verb, "a higher role, as the access file says", role))
    if role < rule.own:
        raise NotAllowed(_needs_more(verb, f"the role {rule.own.word}", role))
    if role < rule.others and owner != principal.user_id:
        raise NotAllowed(
            Problem(
                "not_allowed",
                f"`{verb}` is for whoever asked for a run, and for operators and admins; this one is someone else's.",
                "Ask its owner.",
            )
        )


_NOBODY = Problem(
    "no_role",
    "Only whoever has a role here may use LML; you have none.",
    "An admin gives roles in the access file (docs/access.md).",
)


def _needs_more(verb: str, needed: str, role: Role) -> Problem:
    message = f"`{verb}` needs {needed}; yours is {role.word}."
    return Problem("not_allowed", message, "An admin gives roles in the access file (docs/access.md).")
