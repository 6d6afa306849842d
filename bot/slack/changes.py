"""Events that say that somebody's groups have changed: what is kept of them is dropped."""

from typing import Any

from slack_bolt import App

from bot.slack.command import Facts


def register(app: App, people: Facts) -> None:
    """Listen to changes of user groups."""

    def members_changed(event: dict[str, Any]) -> None:
        people.forget(str(event.get("subteam_id") or ""))

    def group_changed(event: dict[str, Any]) -> None:
        people.forget(str((event.get("subteam") or {}).get("id") or ""))

    app.event("subteam_members_changed")(members_changed)
    app.event("subteam_updated")(group_changed)
