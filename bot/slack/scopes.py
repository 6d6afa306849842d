"""What the bot may do in a workspace, and why: the manifest asks for these scopes and for no other."""

METHOD_SCOPES: dict[str, str | None] = {
    "auth.test": None,
    "chat.postMessage": "chat:write",
    "chat.update": "chat:write",
    "chat.postEphemeral": "chat:write",
    "files.list": "files:read",
    "files.getUploadURLExternal": "files:write",
    "files.completeUploadExternal": "files:write",
    "conversations.history": "channels:history",
}
"""Every method of the Web API that the bot calls, and the scope that it needs."""

REQUIRED = ("commands", "chat:write", "files:read", "files:write")
"""Without one of these something that people see does not work."""

OPTIONAL = ("channels:history", "groups:history", "im:history")
"""With these a card whose post was never answered is found again; without, a second card says that it may be one."""

SOCKET_MODE_SCOPE = "connections:write"
"""What the app-level token of Socket Mode needs."""
