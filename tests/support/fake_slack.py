"""A strict Slack for tests: a Web API in this process that enforces the limits of the real one and fails on demand.

Neither emulator that can be installed enforces what hurts in production: lengths, blocks, one message a second in a
channel, answers that are lost, login pages instead of files. This one does, and remembers everything it was sent.
"""

import contextlib
import json
import threading
import time
from collections import defaultdict, deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

BOT_TOKEN = "xoxb-fake-bot"
APP_TOKEN = "xapp-fake-app"
TEAM, BOT_USER = "T0TEAM", "U0BOT"
SCOPES = ("commands", "chat:write", "files:read", "files:write", "channels:history", "groups:history", "im:history")


@dataclass
class Failure:
    """How the next call of a method goes wrong."""

    error: str = ""
    status: int = 200
    retry_after_s: int | None = None
    lost: bool = False
    """Done, and the answer never arrives."""
    unreached: bool = False
    """Not done, and no answer."""


@dataclass
class Channel:
    """A channel: whether the bot is in it and what was posted."""

    has_bot: bool = True
    archived: bool = False
    messages: list[dict[str, Any]] = field(default_factory=list)
    last_post: float = 0.0


class FakeSlack:
    """The server and what it knows. Use as a context manager; `url` is its Web API."""

    def __init__(self) -> None:
        self.channels: dict[str, Channel] = {"C0GENERAL": Channel(), "D0ADA": Channel()}
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.ephemerals: list[dict[str, Any]] = []
        self.files: dict[str, dict[str, Any]] = {}
        self.bodies: dict[str, bytes] = {}
        self.scopes: set[str] | None = set(SCOPES)
        self.paced = False
        self.refused_files: dict[str, str] = {}
        self.download: dict[str, Any] = {}
        """`html`, `redirect`, `status` or `short`: what a download gives instead of the file."""
        self.socket_url = ""
        self._failures: dict[str, deque[Failure]] = defaultdict(deque)
        self._lock = threading.RLock()
        self._clock = 1_700_000_000.0
        self._numbers = 0

    def __enter__(self) -> "FakeSlack":
        slack = self

        class Handler(_Handler):
            fake = slack

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def root(self) -> str:
        """The server's address."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def url(self) -> str:
        """What LML_SLACK_API_URL is set to."""
        return f"{self.root}/api/"

    def fail(self, method: str, *failures: Failure) -> None:
        """Let the next calls of a method go wrong, one after another."""
        self._failures[method].extend(failures)

    def share(self, name: str, body: bytes, *, channel: str = "C0GENERAL", **more: Any) -> dict[str, Any]:
        """A file that somebody shared in a channel."""
        file = self._new_file(name, body)
        file |= {"channels": [channel], "user": "U0ADA", **more}
        return file

    def posted(self, channel: str = "C0GENERAL") -> list[dict[str, Any]]:
        """The channel's messages that are in no thread."""
        return [message for message in self.channels[channel].messages if "thread_ts" not in message]

    def thread(self, ts: str, channel: str = "C0GENERAL") -> list[dict[str, Any]]:
        """The replies below a message."""
        return [message for message in self.channels[channel].messages if message.get("thread_ts") == ts]

    def files_in(self, ts: str) -> dict[str, bytes]:
        """The files in a thread by name."""
        return {file["name"]: self.bodies[key] for key, file in self.files.items() if file.get("thread_ts") == ts}

    def called(self, method: str) -> list[dict[str, Any]]:
        """The arguments of each call of a method."""
        return [arguments for name, arguments in self.calls if name == method]

    # What the server does with a call.

    def answer(self, method: str, arguments: dict[str, Any], token: str) -> tuple[dict[str, Any], Failure | None]:
        """The answer to a call, and how it goes wrong when it was told to."""
        with self._lock:
            self.calls.append((method, arguments))
            failures = self._failures[method]
            failure = failures.popleft() if failures else None
            if failure is not None and not failure.lost:
                return {"ok": False, "error": failure.error}, failure
            try:
                return {"ok": True, **self._do(method, arguments, token)}, failure
            except _RefusedError as refused:
                return {"ok": False, "error": refused.code, **refused.more}, failure or refused.failure

    def _do(self, method: str, arguments: dict[str, Any], token: str) -> dict[str, Any]:
        known = {
            "auth.test": (self._auth_test, None),
            "apps.connections.open": (self._connections_open, None),
            "chat.postMessage": (self._post, "chat:write"),
            "chat.update": (self._update, "chat:write"),
            "chat.postEphemeral": (self._post_ephemeral, "chat:write"),
            "conversations.history": (self._history, "channels:history"),
            "files.list": (self._files_list, "files:read"),
            "files.getUploadURLExternal": (self._upload_url, "files:write"),
            "files.completeUploadExternal": (self._complete_upload, "files:write"),
        }
        if method not in known:
            raise _RefusedError("unknown_method")
        do, scope = known[method]
        wanted = APP_TOKEN if method == "apps.connections.open" else BOT_TOKEN
        if token != wanted:
            raise _RefusedError("invalid_auth")
        if scope is not None and self.scopes is not None and scope not in self.scopes:
            raise _RefusedError("missing_scope", needed=scope, provided=",".join(sorted(self.scopes)))
        return do(arguments)

    def _auth_test(self, _arguments: dict[str, Any]) -> dict[str, Any]:
        return {
            "url": self.root,
            "team": "Fake",
            "team_id": TEAM,
            "user": "lml",
            "user_id": BOT_USER,
            "bot_id": "B0BOT",
        }

    def _connections_open(self, _arguments: dict[str, Any]) -> dict[str, Any]:
        return {"url": self.socket_url}

    def _post(self, arguments: dict[str, Any]) -> dict[str, Any]:
        target = arguments["channel"]
        if target.startswith("U"):
            target = self.channels.setdefault(f"D-{target}", Channel()) and f"D-{target}"
        channel = self._channel(target)
        _check_message(arguments)
        if len(arguments.get("text", "")) > 40_000:
            raise _RefusedError("msg_too_long")
        if self.paced and time.monotonic() - channel.last_post < 1.0:
            raise _RefusedError("ratelimited", failure=Failure(status=429, retry_after_s=1))
        channel.last_post = time.monotonic()
        message = {key: arguments[key] for key in ("text", "blocks", "metadata", "thread_ts") if arguments.get(key)}
        message |= {"ts": self._ts(), "edits": 0, "user": BOT_USER}
        channel.messages.append(message)
        return {"ts": message["ts"], "channel": target, "message": message}

    def _update(self, arguments: dict[str, Any]) -> dict[str, Any]:
        channel = self._channel(arguments["channel"])
        message = next((met for met in channel.messages if met["ts"] == arguments["ts"]), None)
        if message is None:
            raise _RefusedError("message_not_found")
        _check_message(arguments)
        if len(arguments.get("text", "")) > 4_000:
            raise _RefusedError("msg_too_long")
        message["text"] = arguments.get("text", "")
        message.pop("blocks", None)
        if arguments.get("blocks"):
            message["blocks"] = arguments["blocks"]
        message["edits"] += 1
        return {"ts": message["ts"], "channel": arguments["channel"], "text": message["text"]}

    def _post_ephemeral(self, arguments: dict[str, Any]) -> dict[str, Any]:
        self._channel(arguments["channel"])
        _check_message(arguments)
        self.ephemerals.append(arguments)
        return {"message_ts": self._ts()}

    def _history(self, arguments: dict[str, Any]) -> dict[str, Any]:
        messages = [
            message if arguments.get("include_all_metadata") else {**message, "metadata": None}
            for message in self._channel(arguments["channel"]).messages
            if "thread_ts" not in message
        ]
        return {"messages": list(reversed(messages)), "has_more": False}

    def _files_list(self, arguments: dict[str, Any]) -> dict[str, Any]:
        channel = arguments.get("channel", "")
        if not self.channels.get(channel, Channel(has_bot=False)).has_bot:
            raise _RefusedError("channel_not_found")
        found = [file for file in self.files.values() if channel in file["channels"]]
        return {"files": found, "paging": {"count": 100, "total": len(found), "page": 1, "pages": 1}}

    def _upload_url(self, arguments: dict[str, Any]) -> dict[str, Any]:
        if int(arguments["length"]) <= 0:
            raise _RefusedError("invalid_arguments")
        file = self._new_file(arguments["filename"], b"")
        return {"file_id": file["id"], "upload_url": f"{self.root}/upload/{file['id']}"}

    def _complete_upload(self, arguments: dict[str, Any]) -> dict[str, Any]:
        channel_id = arguments["channel_id"]
        self._channel(channel_id)
        wanted = arguments["files"]
        for item in wanted:
            name = self.files[item["id"]]["name"]
            if name in self.refused_files:
                raise _RefusedError(self.refused_files[name])
        for item in wanted:
            self.files[item["id"]] |= {
                "title": item["title"],
                "channels": [channel_id],
                "thread_ts": arguments.get("thread_ts"),
            }
        return {"files": [self.files[item["id"]] for item in wanted]}

    def _channel(self, name: str) -> Channel:
        channel = self.channels.get(name)
        if channel is None:
            raise _RefusedError("channel_not_found")
        if not channel.has_bot:
            raise _RefusedError("not_in_channel")
        if channel.archived:
            raise _RefusedError("is_archived")
        return channel

    def _new_file(self, name: str, body: bytes) -> dict[str, Any]:
        with self._lock:
            self._numbers += 1
            key = f"F{self._numbers:04}"
            address = f"{self.root}/files-pri/{key}/{name}"
            file = {
                "id": key,
                "name": name,
                "title": name,
                "size": len(body),
                "created": self._numbers,
                "channels": [],
                "url_private": address,
                "url_private_download": address,
            }
            self.files[key], self.bodies[key] = file, body
            return file

    def _ts(self) -> str:
        self._clock += 1
        return f"{self._clock:.6f}"


class _RefusedError(Exception):
    def __init__(self, code: str, *, failure: Failure | None = None, **more: Any) -> None:
        super().__init__(code)
        self.code, self.failure, self.more = code, failure, more


_PLAIN_LIMITS = {"header": 150, "section": 3_000}


def _check_message(arguments: dict[str, Any]) -> None:
    """Refuse what the real Slack refuses."""
    blocks = arguments.get("blocks") or []
    if not blocks and not arguments.get("text"):
        raise _RefusedError("no_text")
    if len(blocks) > 50:
        raise _RefusedError("msg_blocks_too_many")
    if len(json.dumps(blocks, ensure_ascii=False, separators=(",", ":"))) > 13_200:
        raise _RefusedError("msg_blocks_too_long")
    if sum(block["type"] == "table" for block in blocks) > 1:
        raise _RefusedError("invalid_blocks")
    for block in blocks:
        _check_block(block)


def _check_block(block: dict[str, Any]) -> None:
    if block["type"] in _PLAIN_LIMITS:
        _check_text(block["text"], _PLAIN_LIMITS[block["type"]])
        if block["type"] == "header" and block["text"]["type"] != "plain_text":
            raise _RefusedError("invalid_blocks")
    elif block["type"] == "context":
        if not 1 <= len(block["elements"]) <= 10:
            raise _RefusedError("invalid_blocks")
        for element in block["elements"]:
            _check_text(element, 2_000)
    elif block["type"] == "table":
        rows = block["rows"]
        if not 1 <= len(rows) <= 100 or not 1 <= len(rows[0]) <= 20:
            raise _RefusedError("invalid_blocks")
        if len({len(row) for row in rows}) != 1 or any(not cell["text"] for row in rows for cell in row):
            raise _RefusedError("invalid_blocks")
        if sum(len(cell["text"]) for row in rows for cell in row) > 10_000:
            raise _RefusedError("invalid_blocks")
    elif block["type"] != "divider":
        raise _RefusedError("invalid_blocks")


def _check_text(text: dict[str, Any], limit: int) -> None:
    if text["type"] not in ("plain_text", "mrkdwn") or not 1 <= len(text["text"]) <= limit:
        raise _RefusedError("invalid_blocks")
    if text["type"] == "mrkdwn" and "emoji" in text:
        raise _RefusedError("invalid_blocks")


class _Handler(BaseHTTPRequestHandler):
    fake: FakeSlack
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = urlsplit(self.path).path
        if path.startswith("/upload/"):
            key = path.removeprefix("/upload/")
            self.fake.bodies[key] = body
            self.fake.files[key]["size"] = len(body)
            self._send(200, b"OK", "text/plain")
            return
        self._call(path, body)

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path.startswith("/files-pri/"):
            self._download(path)
            return
        self._call(path, urlsplit(self.path).query.encode())

    def _call(self, path: str, body: bytes) -> None:
        kind = self.headers.get("Content-Type", "")
        fields = json.loads(body or b"{}") if kind.startswith("application/json") else _form(body)
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ") or fields.pop("token", "")
        answer, failure = self.fake.answer(path.removeprefix("/api/"), fields, token)
        if failure is not None and (failure.lost or failure.unreached):
            self.close_connection = True
            with contextlib.suppress(OSError):
                self.connection.shutdown(2)
            return
        headers = {}
        if failure is not None and failure.retry_after_s is not None:
            headers["Retry-After"] = str(failure.retry_after_s)
        if self.fake.scopes is not None:
            headers["X-OAuth-Scopes"] = ",".join(sorted(self.fake.scopes))
        status = failure.status if failure is not None else 200
        if status >= 500 and not answer["error"]:
            self._send(status, b"upstream error", "text/plain", headers)
            return
        self._send(status, json.dumps(answer).encode(), "application/json", headers)

    def _download(self, path: str) -> None:
        key = path.split("/")[2]
        instead = self.fake.download
        if instead.get("html") or self.headers.get("Authorization") != f"Bearer {BOT_TOKEN}":
            self._send(200, b"<!DOCTYPE html><html>Sign in to Fake</html>", "text/html; charset=utf-8")
        elif "redirect" in instead:
            self._send(302, b"", "text/plain", {"Location": instead["redirect"]})
        elif "status" in instead:
            self._send(instead["status"], b"", "text/plain")
        elif "short" in instead:
            self._send(200, self.fake.bodies[key][: instead["short"]], "text/csv")
        else:
            self._send(200, self.fake.bodies[key], "text/csv")

    def _send(self, status: int, body: bytes, kind: str, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name that http.server gives it
        """Say nothing."""


def _form(body: bytes) -> dict[str, Any]:
    fields = {name: values[-1] for name, values in parse_qs(body.decode(), keep_blank_values=True).items()}
    for name in ("blocks", "metadata", "files"):
        if isinstance(fields.get(name), str) and fields[name]:
            fields[name] = json.loads(unquote(fields[name]) if fields[name].startswith("%") else fields[name])
    return fields
