"""What people are told of files that cannot be had in a thread: why, and where they get them instead."""

from collections.abc import Mapping

from bot.slack.blocks import cut, escape, unformatted
from shared.log.runs import Run

_REASONS = {
    "file_type_not_allowed": "this workspace takes no files of this type",
    "file_uploads_disabled": "this workspace takes no files",
    "file_uploads_except_images_disabled": "this workspace takes images alone",
    "storage_limit_reached": "this workspace has no room for more files",
    "file_upload_size_restricted": "it is larger than this workspace takes",
    "missing_scope": "the app may not upload",
}


def refused_text(run: Run, refused: Mapping[str, str], *, page: str = "") -> str:
    """The words in the thread, in Slack's mrkdwn; '' where nothing was refused."""
    if not refused:
        return ""
    which = ", ".join(f"{_inert(name)} ({_reason(code)})" for name, code in refused.items())
    scope = " The app needs the scope files:write; add it and install the app again."
    fix = scope if "missing_scope" in refused.values() else ""
    there = f" <{escape(page)}|The run's page> has them, and" if page else ""
    return (
        f"Not put into this thread: {which}.{fix}{there} `lml show {run.id}` in a shell lays every file out;"
        f" `lml export {run.id}` packs them."
    )


def _reason(code: str) -> str:
    return f"{_REASONS[code]}: {code}" if code in _REASONS else _inert(code)


def _inert(text: str) -> str:
    """A name that somebody chose: it formats nothing, mentions nobody and turns no text around."""
    return escape(unformatted(cut(text, 300).replace("\n", " ")))
