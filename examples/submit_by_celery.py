"""Queue a run from a program that has none of LML's code: any Celery client, one signed message.

    pip install celery redis
    INTAKE_REDIS_URL=redis://billing:password@host:6379/0 INTAKE_SECRET=whsec_... \
        python examples/submit_by_celery.py billing churn.csv

The operator shows the secret with `lml token secrets billing`; docs/intake.md says what a message may ask.
"""

import base64
import hmac
import json
import os
import sys
import time
import uuid
from typing import Any

from celery import Celery
from kombu import Exchange, Queue
from redis import Redis

# Not declared: Celery then only pushes to the list, and needs no right on any other key of Redis.
INTAKE = Queue("lml.intake", Exchange("", no_declare=True), routing_key="lml.intake", no_declare=True)
ANSWER_WITHIN_S = 30


def submit(app: Celery, service: str, secret: str, asked: dict[str, Any]) -> str:
    """Queue what is asked; returns the message's id."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    message = {"version": 1, "service": service, "id": str(uuid.uuid4()), "timestamp": int(time.time())}
    body = json.dumps(asked)
    signed = f"{message['id']}.{message['timestamp']}.{body}".encode()
    signature = "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
    argument = {**message, "body": body, "signature": signature}
    app.send_task("lml.submit", args=[argument], queue=INTAKE, routing_key=INTAKE.name, ignore_result=True)
    return str(message["id"])


def answer(redis: Redis, service: str, message_id: str) -> dict[str, Any] | None:
    """What LML answered: the runs' numbers, or what is wrong; None when it has not within 30 s."""
    deadline = time.monotonic() + ANSWER_WITHIN_S
    while time.monotonic() < deadline:
        met = redis.get(f"lml.answer:{service}:{message_id}")
        if met:
            return dict(json.loads(met))
        time.sleep(0.1)
    return None


def main() -> int:
    """Queue a train run and wait for its number."""
    service, dataset = sys.argv[1:3]
    url, secret = os.environ["INTAKE_REDIS_URL"], os.environ["INTAKE_SECRET"]
    asked = {"spec": {"kind": "train", "dataset": dataset, "model": "linear"}, "tags": ["example"]}
    message_id = submit(Celery(broker=url), service, secret, asked)
    met = answer(Redis.from_url(url), service, message_id)
    sys.stdout.write(f"{json.dumps(met)}\n")
    return 0 if met is not None and met["state"] == "taken" else 1


if __name__ == "__main__":
    sys.exit(main())
