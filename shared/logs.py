"""What processes say of themselves: lines for people, or JSON (`LML_LOG=json`), each with the run that it is about."""

import json
import logging
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

_ABOUT: ContextVar[dict[str, int] | None] = ContextVar("about", default=None)
_SECRETS = re.compile(
    r"xox[a-z]-[A-Za-z0-9-]+|xapp-[A-Za-z0-9-]+|lml_[A-Za-z0-9_-]{20,}|whsec_[A-Za-z0-9+/=]+|(?<=://)[^/\s?#\"'<>]+(?=@)"
    r"|(?i:(?<=[?&])[a-z0-9_.-]*(?:signature|token|secret|password|credential|sig|key)=[^&\s\"']+)"
)


def log_to_stderr(process: str, *, as_json: bool) -> None:
    """Send what is logged in this process to stderr, without secrets, and with its run and attempt."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines(process) if as_json else _Lines(process))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for chatty in ("alembic", "uvicorn.error", "kombu", "celery.worker.strategy", "celery.app.trace"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


@contextmanager
def about(run: int, attempt: int) -> Iterator[None]:
    """A block in which everything that is logged is about an attempt at a run."""
    token = _ABOUT.set({"run": run, "attempt": attempt})
    try:
        yield
    finally:
        _ABOUT.reset(token)


class _Lines(logging.Formatter):
    def __init__(self, process: str) -> None:
        super().__init__(f"%(asctime)s {process} %(levelname)s%(about)s %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """A line, and the trace below it."""
        met = _ABOUT.get()
        record.about = f" run {met['run']}.{met['attempt']}:" if met else ""
        return masked(super().format(record))


class _JsonLines(logging.Formatter):
    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """One JSON object."""
        said: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "process": self._process,
            "pid": record.process,
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **(_ABOUT.get() or {}),
        }
        if record.exc_info:
            said["trace"] = self.formatException(record.exc_info)
        return masked(json.dumps(said, ensure_ascii=False))


def masked(text: str) -> str:
    """A text without the tokens and passwords that stand in it."""
    return _SECRETS.sub("***", text)
