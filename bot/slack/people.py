"""Who somebody in Slack is to LML: a principal with the role that the access file and Slack's own facts give.

In this order, and whatever fails on the way leaves nobody: the channel must not be shared with others, unless it is
listed; then `LML_ADMINS`, then the user's own line; then guests, bots and strangers go, unless they are listed; and of
the rest the highest role of their groups, of the channel, and of `default` counts.
"""

from dataclasses import replace

from slack_sdk import WebClient

from bot.slack.facts import Facts, NotKnown
from shared.access import Entry, Principal, Role, Source, Visibility
from shared.errors import LmlError, NotAllowed, Problem, RefusedWords
from shared.roles import AccessFile, Grants
from shared.settings import Settings


class People:
    """Answers who somebody is, from facts that it keeps for some minutes. Safe to be asked from several threads."""

    def __init__(self, settings: Settings, client: WebClient, *, facts: Facts | None = None) -> None:
        self._admins = settings.admin_ids
        self._file = AccessFile(settings)
        self._facts = facts or Facts(client)

    def principal(self, *, team_id: str, user_id: str, channel_id: str | None, entry: Entry) -> Principal:
        """Who asks. Never raises: who has no role comes back without one, with the reason in `refusal`."""
        nobody = Principal(team_id, user_id, Source.SLACK, channel_id, entry=entry)
        try:
            grants = self._grants(user_id)
            role = self._role(grants, team_id, user_id, channel_id)
        except LmlError as error:
            return replace(nobody, refusal=error.problems[0])
        return replace(nobody, role=role, withheld=grants.withheld(role))

    def knows(self, *, user_id: str, channel_id: str | None) -> bool:
        """Whether `principal` would answer without asking Slack."""
        try:
            self._role(self._grants(user_id), None, user_id, channel_id, ask=False)
        except NotKnown:
            return False
        except LmlError:  # a refusal is an answer too
            return True
        return True

    def channel_visibility(self, channel_id: str) -> Visibility:
        """Who sees a run that is asked for in a channel, where its payload does not say; may ask Slack.

        The team only where Slack says that the channel is a public one.
        """
        if channel_id.startswith("D"):
            return Visibility.PRIVATE
        try:
            channel = self._facts.channel(channel_id)
        except LmlError:
            return Visibility.CHANNEL
        if channel.direct:
            return Visibility.PRIVATE
        return Visibility.TEAM if channel.public else Visibility.CHANNEL

    def forget(self, *ids: str) -> None:
        """Drop what is known of these users, channels and user groups: an event says that it has changed."""
        for one in ids:
            self._facts.forget(one)

    def _grants(self, user_id: str) -> Grants:
        try:
            return self._file.grants()
        except RefusedWords as error:
            if user_id in self._admins:  # they are named elsewhere, and may be who mends it
                return Grants()
            raise NotAllowed(_FILE_WRONG) from error

    def _role(
        self, grants: Grants, team_id: str | None, user_id: str, channel_id: str | None, *, ask: bool = True
    ) -> Role:
        self._require_ours(grants, channel_id, ask=ask)
        if user_id in self._admins:
            return Role.ADMIN
        if user_id in grants.users:
            return _given(grants.users[user_id])
        if user_id not in grants.guests:
            user = self._facts.user(team_id, user_id, ask=ask)
            if not user.member:
                raise NotAllowed(_guest(user.what))
        best = max((role for role in (grants.default, grants.channels.get(channel_id or "")) if role), default=None)
        for group, role in sorted(grants.groups.items(), key=lambda given: -given[1]):
            if best is not None and role <= best:
                break
            if user_id in self._facts.members(group, ask=ask):
                best = role
        return _given(best)

    def _require_ours(self, grants: Grants, channel_id: str | None, *, ask: bool) -> None:
        """Refuse a channel in which others read along. In a direct message only the user's own facts count."""
        if channel_id is None or channel_id.startswith("D") or channel_id in grants.external_channels:
            return
        if self._facts.channel(channel_id, ask=ask).external:
            raise NotAllowed(_EXTERNAL)


def _given(role: Role | None) -> Role:
    if role is None:
        raise NotAllowed(_UNLISTED)
    return role


_HOW = "(LML_ACCESS_FILE, docs/access.md)"
_UNLISTED = Problem(
    "no_role",
    "Only whoever has a role may use LML here, and the access file gives you none.",
    f"Ask an admin of LML for one {_HOW}.",
)
_EXTERNAL = Problem(
    "channel_external",
    "LML answers in channels of this workspace alone; this one is shared with another organisation.",
    f"Ask in another channel, or ask an admin of LML to list this one under `external_channels` {_HOW}.",
)
_FILE_WRONG = Problem(
    "no_role",
    "Only whoever has a role may use LML here, and the access file, which gives roles, cannot be read.",
    "Its operator finds the reason in the bot's log, or with `lml doctor`.",
)


def _guest(what: str) -> Problem:
    return Problem(
        "guest_refused",
        f"LML serves full members of this workspace; to Slack you are {what}.",
        f"Ask an admin of LML to list you {_HOW}.",
    )
