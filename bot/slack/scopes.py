"""What the bot may do in a workspace, and why: the manifest asks for these scopes and for no other."""

_HISTORY = ("channels:history", "groups:history", "mpim:history", "im:history")

METHOD_SCOPES: dict[str, tuple[str, ...]] = {
    "auth.test": (),
    "bots.info": ("users:read",),
    "chat.postMessage": ("chat:write",),
    "chat.update": ("chat:write",),
    "chat.postEphemeral": ("chat:write",),
    "files.list": ("files:read",),
    "files.info": ("files:read",),
    "files.getUploadURLExternal": ("files:write",),
    "files.completeUploadExternal": ("files:write",),
    "conversations.history": _HISTORY,
    "conversations.replies": _HISTORY,
    "conversations.info": ("channels:read", "groups:read", "mpim:read"),
    "users.info": ("users:read",),
    "usergroups.users.list": ("usergroups:read",),
    "views.open": (),
    "views.update": (),
    "views.publish": (),
}
"""Every method of the Web API that the bot calls, and its scopes; several are one for each kind of channel."""

EVENT_SCOPES: dict[str, tuple[str, ...]] = {
    "app_home_opened": (),
    "app_mention": ("app_mentions:read",),
    "message.im": ("im:history",),
    "subteam_members_changed": ("usergroups:read",),
    "subteam_updated": ("usergroups:read",),
}
"""Every event that the bot listens to, and the scopes that Slack sends it for."""

REQUIRED = (
    "commands",
    "chat:write",
    "files:read",
    "files:write",
    "app_mentions:read",
    "im:history",
    "channels:read",
    "groups:read",
    "users:read",
)
"""Without one of these something that people see does not work."""

OPTIONAL = ("channels:history", "groups:history", "mpim:history", "mpim:read", "usergroups:read")
"""Histories: to find a card again whose post was never answered; without them a second card says that it may be one.
The others: to answer in group conversations, and to give roles to user groups."""

SOCKET_MODE_SCOPE = "connections:write"
"""What the app-level token of Socket Mode needs."""
