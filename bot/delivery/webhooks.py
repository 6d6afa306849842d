"""Tells services of the ends of their runs: Standard Webhooks headers around a CloudEvents body, from the outbox.

The life of a webhook, a row of the log: written with its run; due once the run has ended; taken under a lease by one
bot; done when the other side takes it (2xx), when it says that it wants no more (410), or after the last try. The
receiver tells a repeated one by its id.
"""

import base64
import hmac
import http.client
import json
import logging
import random
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from threading import Timer
from typing import Any
from urllib.parse import SplitResult

from bot.http.run_body import plain_run
from shared.errors import LmlError
from shared.log import runs
from shared.log.engine import Log
from shared.log.quotas import SERVICE
from shared.log.runs import Run
from shared.log.services import Delivery, take_webhook, webhook_done, webhook_is_due, webhook_later
from shared.outgoing import Pinned
from shared.secrets import secret_of
from shared.settings import Settings
from shared.webhook_url import addresses_of, require_webhook_url

logger = logging.getLogger(__name__)

WITHIN_S = 10.0
MOST_TRIES = 12
FIRST_WAIT_S, WAIT_GROWS, MOST_WAIT_S = 5.0, 3.0, 24 * 3600.0
MOST_RESULT_BYTES = 16_000
"""Webhooks are small, so that no receiver refuses them for their size; a larger result is fetched with GET."""


@dataclass(frozen=True)
class Outcome:
    """What came of a try."""

    status: int | None
    problem: str | None = None
    retry_after_s: float | None = None

    @property
    def taken(self) -> bool:
        """Whether the other side has it."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def final(self) -> bool:
        """Whether the other side wants no more of it."""
        return self.taken or self.status == 410


class WebhookSender:
    """Sends webhooks, one at a time. Used by one thread."""

    def __init__(self, settings: Settings, log: Log, *, wait: Callable[[int], float] | None = None) -> None:
        self._settings, self._log = settings, log
        self._wait = wait or wait_s
        self._owner = f"bot-{uuid.uuid4().hex[:12]}"

    def send_next(self) -> bool:
        """Send the next webhook that is due; False when none is."""
        with self._log.read() as connection:  # most looks find nothing, and cost no write
            if not webhook_is_due(connection):
                return False
        with self._log.write() as connection:
            delivery = take_webhook(connection, owner=self._owner)
        if delivery is None:
            return False
        self._settle(delivery, self._send(delivery))
        return True

    def _send(self, delivery: Delivery) -> Outcome:
        with self._log.read() as connection:
            run = runs.get(connection, delivery.run)
            artifacts = runs.artifacts_of(connection, delivery.run)
        message = message_id(delivery)
        body = cloud_event(message, run, plain_run(run, artifacts))
        secret = secret_of(self._settings, f"webhook:{delivery.service.removeprefix(SERVICE)}")
        headers = signed_headers(message, body, secret, at=int(time.time()))
        return post(delivery.url, body, headers, private=self._settings.webhook_private)

    def _settle(self, delivery: Delivery, outcome: Outcome) -> None:
        tries = delivery.tries + 1
        with self._log.write() as connection:
            if outcome.final or tries >= MOST_TRIES:
                webhook_done(connection, delivery.id, owner=self._owner, problem=outcome.problem)
            else:
                seconds = min(max(self._wait(tries), outcome.retry_after_s or 0.0), MOST_WAIT_S)
                webhook_later(
                    connection, delivery.id, owner=self._owner, seconds=seconds, problem=outcome.problem or ""
                )
        if not outcome.taken:
            logger.warning("The webhook of run %s, try %s: %s", delivery.run, tries, outcome.problem)


def wait_s(tries: int) -> float:
    """How long to wait after so many tries: longer each time, and anything up to that, so that receivers that come
    back are not met by everyone at once (exponential backoff with full jitter).
    """
    most_s = min(FIRST_WAIT_S * WAIT_GROWS ** (tries - 1), MOST_WAIT_S)
    return random.uniform(0.0, most_s)  # noqa: S311 - spreads load, hides nothing


def message_id(delivery: Delivery) -> str:
    """The same for every try, so that a receiver tells a repeated one."""
    return f"run-{delivery.run}-{delivery.id}"


def cloud_event(message: str, run: Run, data: dict[str, Any]) -> bytes:
    """The body: a CloudEvents 1.0 event in JSON whose data is the run as `GET /v1/runs/{run}` shows it."""
    if len(json.dumps(data)) > MOST_RESULT_BYTES:
        data = {name: value for name, value in data.items() if name not in (run.result or {}) or name == "artifacts"}
    event = {
        "specversion": "1.0",
        "id": message,
        "source": f"urn:lml:{run.team_id}",
        "type": f"io.lml.run.{run.state.value}",
        "subject": str(run.id),
        "time": data["ended_at"],
        "datacontenttype": "application/json",
        "data": data,
    }
    return json.dumps(event, separators=(",", ":")).encode()


def signed_headers(message: str, body: bytes, secret: bytes, *, at: int) -> dict[str, str]:
    """The headers of Standard Webhooks 1.0.0 for a body that is sent at a moment, in seconds since 1970."""
    digest = hmac.digest(secret, f"{message}.{at}.".encode() + body, "sha256")
    return {
        "Content-Type": "application/cloudevents+json",
        "User-Agent": "LML",
        "webhook-id": message,
        "webhook-timestamp": str(at),
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def post(url: str, body: bytes, headers: dict[str, str], *, private: bool) -> Outcome:
    """Send a body once, to an address that may have it, without following anything."""
    try:
        parts = require_webhook_url(url, private=private)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        addresses = addresses_of(parts.hostname or "", port, private=private)
        return _exchange(parts, addresses[0], port, body, headers)
    except LmlError as error:
        return Outcome(status=None, problem=str(error))
    except (OSError, http.client.HTTPException, ValueError) as error:
        return Outcome(status=None, problem=f"{type(error).__name__}: {error}"[:500])


def _exchange(parts: SplitResult, address: str, port: int, body: bytes, headers: dict[str, str]) -> Outcome:
    secure = parts.scheme == "https"
    connection = Pinned(parts.hostname or "", address, port, secure=secure, timeout_s=WITHIN_S)
    # A receiver that sends a byte now and then would never meet the socket's own limit.
    cut = Timer(WITHIN_S, connection.cut)
    cut.daemon = True
    cut.start()
    try:
        path = parts.path or "/"
        connection.request("POST", f"{path}?{parts.query}" if parts.query else path, body=body, headers=headers)
        answer = connection.getresponse()
        problem = None if 200 <= answer.status < 300 else f"the receiver answered {answer.status}"
        return Outcome(answer.status, problem, _retry_after_s(answer.getheader("Retry-After")))
    finally:
        cut.cancel()
        connection.close()


def _retry_after_s(value: str | None) -> float | None:
    return float(value) if value is not None and value.isascii() and value.isdecimal() and len(value) < 7 else None
