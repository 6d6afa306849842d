"""The message that other services queue with any Celery client: how it is framed, what it says, how it is signed.

    task    lml.submit, on the Redis list `lml.intake`
    args    one object: {"version": 1, "service": "billing", "id": "...", "timestamp": 1764000000,
                         "body": "{...}", "signature": "v1,..."}

`body` is a JSON text (`shared.asked.AskedRuns`) and travels as a string, so that both sides sign the same bytes. The
signature is that of Standard Webhooks: HMAC-SHA256 over `id.timestamp.body`, so its libraries can make it.
"""

import base64
import binascii
import hmac
import json
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from shared.asked import problems_in
from shared.errors import Problem, RefusedWords, refused

SUBMIT_TASK = "lml.submit"
"""The name under which the task is sent."""
INTAKE_LIST = "lml.intake"
"""The Redis list that other services push to; the only key that they need."""
REJECTED_LIST = "lml.rejected"
"""The newest messages that were refused, newest first, each with its reason."""
MOST_BYTES = 1024 * 1024
"""The longest message, as it lies in Redis."""
FRESH_S = 300
"""How far a message's timestamp may be from the moment in which it was queued."""

_PAGE = "docs/intake.md shows the exact message."


class Signed(BaseModel):
    """The one argument of the task."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1]
    service: str = Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")
    id: str = Field(pattern=r"^[\x21-\x7e]{1,64}$")
    """Of this message alone, such as a UUID; the idempotency key where the body gives none."""
    timestamp: int = Field(ge=0, le=2**40)
    """Seconds since 1970, when it was signed."""
    body: str
    signature: str = Field(pattern=r"^[\x20-\x7e]{1,1000}$")

    @field_validator("body")
    @classmethod
    def _whole_letters(cls, body: str) -> str:
        body.encode()  # half of a surrogate pair has no bytes that could be signed
        return body


def sign(secret: bytes, *, id: str, timestamp: int, body: str) -> str:  # noqa: A002 - its name in the message
    """The signature: `v1,` and the base64 of the HMAC-SHA256."""
    digest = hmac.digest(secret, f"{id}.{timestamp}.{body}".encode(), "sha256")
    return "v1," + base64.b64encode(digest).decode()


def require_signature(secret: bytes, message: Signed) -> None:
    """Refuse a message that was not signed with its service's secret; compared in constant time.

    Several signatures between spaces are taken, of which one has to fit: so a secret can be changed.
    """
    expected = sign(secret, id=message.id, timestamp=message.timestamp, body=message.body).encode()
    fits = [hmac.compare_digest(expected, given.encode()) for given in message.signature.split(" ")]
    if not any(fits):
        raise refused(
            "bad_signature",
            f"The signature is not the HMAC-SHA256 over id.timestamp.body with the secret of `{message.service}`.",
            f"Sign the body's exact bytes with the secret that `lml token secrets {message.service}` shows.",
        )


def require_fresh(message: Signed, *, queued_after: float, now: float) -> None:
    """Refuse what was signed more than 5 minutes before it was queued, or in the future.

    A list keeps no times: `queued_after` is when it was last seen empty, so a message that had to wait is not old.
    """
    if message.timestamp < queued_after - FRESH_S or message.timestamp > now + FRESH_S:
        raise refused(
            "message_stale",
            f"A message is signed at most {FRESH_S} s before it is queued; "
            f"this one says {message.timestamp}, and it is {int(now)}.",
            "Set the sender's clock, and sign each message when it is sent.",
        )


def read_message(raw: bytes) -> Signed:
    """The signed message in what a Celery client pushed; raises `RefusedWords` with the first thing that is wrong.

    Protocol 2 and protocol 1 are read. What Celery's own options ask (eta, expires, retries) has no meaning here.
    """
    frame = _json_of(raw, "The message")
    if not isinstance(frame, dict):
        raise _malformed(f"A message is a JSON object; met {_kind(frame)}")
    args, kwargs = _arguments(frame)
    if kwargs not in ({}, None):
        raise _malformed(f"`{SUBMIT_TASK}` takes no keyword arguments; met {_kind(kwargs)}")
    if not isinstance(args, list) or len(args) != 1:
        met = f"{len(args):,} of them" if isinstance(args, list) else _kind(args)
        raise _malformed(f"`{SUBMIT_TASK}` takes exactly one argument; met {met}")
    return _signed(args[0])


def _signed(argument: Any) -> Signed:
    if not isinstance(argument, dict):
        raise _malformed(f"The argument is an object; met {_kind(argument)}")
    version = argument.get("version")
    if version != 1 or isinstance(version, bool):
        raise refused("unknown_version", f"A message has version 1; met {str(version)[:40]!r}.", _PAGE)
    try:
        return Signed.model_validate(argument)
    except ValidationError as error:
        raise RefusedWords(*problems_in(error, place="message")) from error


def _arguments(frame: Mapping[str, Any]) -> tuple[Any, Any]:
    """The task's positional and keyword arguments, in the frame of either protocol."""
    headers = frame.get("headers")
    headers = headers if isinstance(headers, dict) else {}
    if headers.get("compression"):
        raise _malformed("A message is not compressed; this one names a compression")
    content = _content(frame)
    if isinstance(content, dict):  # protocol 1: all of it is in the body
        _require_task(content)
        return content.get("args"), content.get("kwargs")
    if not isinstance(content, list) or len(content) != 3:
        met = f"{len(content):,} elements" if isinstance(content, list) else _kind(content)
        raise _malformed(f"The body is a list of three: arguments, keyword arguments, options; met {met}")
    _require_task(headers)
    return content[0], content[1]


def _require_task(named: Mapping[str, Any]) -> None:
    missing = [name for name in ("task", "id") if not isinstance(named.get(name), str) or not named[name]]
    if missing:
        raise _malformed(f"A Celery message has a task and an id; this one has no {' and no '.join(missing)}")
    if named["task"] != SUBMIT_TASK:
        raise _malformed(f"The task on this list is `{SUBMIT_TASK}`; met `{named['task'][:80]}`")


def _content(frame: Mapping[str, Any]) -> Any:
    body = frame.get("body")
    kind = frame.get("content-type", "application/json")
    if kind != "application/json":
        raise _malformed(f"The body is application/json; met {str(kind)[:80]}")
    if not isinstance(body, str):
        raise _malformed(f"The body is a text; met {_kind(body)}")
    properties = frame.get("properties")
    encoding = properties.get("body_encoding") if isinstance(properties, dict) else None
    if encoding in (None, "", "utf-8"):
        return _json_of(body.encode("utf-8", "surrogatepass"), "The body")
    if encoding != "base64":
        raise _malformed(f"The body is encoded in base64, or not at all; met {str(encoding)[:40]}")
    try:
        plain = base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _malformed(f"The body is base64, as body_encoding says; it is not: {error}") from error
    return _json_of(plain, "The body")


def _json_of(raw: bytes, what: str) -> Any:
    try:
        return json.loads(raw.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, ValueError) else "it is nested too deeply"
        raise refused("message_not_json", f"{what} is not JSON in UTF-8: {reason[:200]}.", _PAGE) from error


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _malformed(sentence: str) -> RefusedWords:
    return RefusedWords(Problem("message_malformed", f"{sentence}.", _PAGE))


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a text", bool: "a boolean", type(None): "nothing"}
    return names.get(type(value), "a number")
