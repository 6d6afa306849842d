"""The door for queued messages as another service sees it: a Redis, a signed message, an answer; and a real intake."""

import base64
import json
import signal
import sys
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from redis import Redis

from bot.terminal.children import Child, start_child
from shared.access import Principal, Source
from shared.intake_message import INTAKE_LIST, REJECTED_LIST, sign
from shared.log import runs
from shared.log.engine import Log
from shared.log.quotas import Quota
from shared.log.runs import Run
from shared.log.services import save_service
from shared.secrets import secret_of, shown
from shared.settings import Settings
from support.deadline import until

SERVICE = "billing"
PROBE = {"spec": {"kind": "probe"}}


@dataclass
class IntakeDoor:
    """A log with one service, and the intake that reads its messages."""

    settings: Settings
    log: Log
    intakes: list[Child] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.redis = Redis.from_url(self.settings.require_redis_url(), decode_responses=True, socket_timeout=10)
        self.save_service()

    @property
    def secret(self) -> str:
        """As the operator hands it to the service."""
        return shown(secret_of(self.settings, f"intake:{SERVICE}"))

    def save_service(self, quota: Quota | None = None) -> None:
        """Make the service, or change its quota."""
        with self.log.write() as connection:
            save_service(connection, SERVICE, team_id="T1", quota=quota or Quota())

    def start(self, owner: str = "one") -> Child:
        """A real intake; one of the same owner is the same worker's, after a restart."""
        command = [sys.executable, "-m", "workers.intake", owner]
        environment = {
            "LML_HOME": str(self.settings.home_folder),
            "LML_REDIS_URL": self.settings.require_redis_url(),
            "LML_DATABASE_URL": self.settings.log_url,
        }
        self.intakes.append(start_child(command, log_file=self.words_file, environment=environment))
        return self.intakes[-1]

    @property
    def words_file(self) -> Path:
        """What the intakes said."""
        return self.settings.home_folder / "intake.log"

    def kill(self) -> None:
        """End the newest intake at once."""
        self.intakes[-1].process.send_signal(signal.SIGKILL)
        self.intakes[-1].process.wait()

    def stop(self) -> None:
        """Stop every intake."""
        for intake in self.intakes:
            intake.stop(grace_s=10)

    def signed(self, asked: Any, **changes: Any) -> dict[str, Any]:
        """A message's argument; a change made here is not signed, but `id` and `timestamp` are."""
        body = asked if isinstance(asked, str) else json.dumps(asked)
        named = {"id": str(uuid.uuid4()), "timestamp": int(time.time())}
        named |= {name: changes.pop(name) for name in list(changes) if name in named}
        signature = sign(secret_of(self.settings, f"intake:{SERVICE}"), body=body, **named)
        return {"version": 1, "service": SERVICE, **named, "body": body, "signature": signature, **changes}

    def push(self, *raws: str | bytes) -> None:
        """Queue messages, as any client would."""
        for raw in raws:
            self.redis.lpush(INTAKE_LIST, raw)

    def ask(self, asked: Any, **changes: Any) -> str:
        """Queue a message; returns its id."""
        argument = self.signed(asked, **changes)
        self.push(framed([argument]))
        return str(argument["id"])

    def answer(self, message: str, *, within_s: float = 30) -> dict[str, Any]:
        """The answer to a message."""
        met: Any = until(
            lambda: self.redis.get(f"lml.answer:{SERVICE}:{message}"), what="the answer", within_s=within_s
        )
        answered: dict[str, Any] = json.loads(met)
        return answered

    def asked(self, asked: Any, **changes: Any) -> dict[str, Any]:
        """Queue a message and wait for its answer."""
        return self.answer(self.ask(asked, **changes))

    def rejected(self) -> list[dict[str, Any]]:
        """What was refused, newest first."""
        listed: Any = self.redis.lrange(REJECTED_LIST, 0, -1)
        return [json.loads(one) for one in listed]

    def runs(self) -> list[Run]:
        """Every run of the log, newest first."""
        with self.log.read() as connection:
            return runs.listed(connection, Principal("T1", "test", Source.SHELL), limit=1000)


def framed(args: Any, kwargs: Any = None, **changes: Any) -> str:
    """Arguments in the frame of Celery's protocol 2, as the smallest client sends it; a change of None leaves out."""
    content = json.dumps([args, {} if kwargs is None else kwargs, {}])
    return frame(base64.b64encode(content.encode()).decode(), **changes)


def frame(body: Any, **changes: Any) -> str:
    """A body in that frame, as it is."""
    made = {
        "body": body,
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {"task": "lml.submit", "id": str(uuid.uuid4())},
        "properties": {"body_encoding": "base64", "delivery_tag": str(uuid.uuid4())},
    } | changes
    return json.dumps({name: value for name, value in made.items() if value is not None})


def codes(problems: Sequence[dict[str, Any]]) -> list[str]:
    """The codes of an answer's problems."""
    return [problem["code"] for problem in problems]
