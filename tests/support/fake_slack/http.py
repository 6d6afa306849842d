"""How the strict Slack is spoken to: its Web API, upload addresses, downloads and response_urls over HTTP."""

import contextlib
import json
import time
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

from support.fake_slack.model import BOT_TOKEN, Failure, Json

if TYPE_CHECKING:
    from support.fake_slack import FakeSlack

_AS_JSON = ("blocks", "metadata", "files", "view")


class Handler(BaseHTTPRequestHandler):
    """One request."""

    fake: "FakeSlack"
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        path = urlsplit(self.path).path
        if "Content-Length" not in self.headers:
            self._send(411, b"length required", "text/plain")
            return
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        if path.startswith("/upload/"):
            self._upload(path.removeprefix("/upload/"), body)
        elif path.startswith("/response/"):
            self._respond(path.removeprefix("/response/"), body)
        else:
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
        if self._broken(failure):
            return
        headers = {}
        if failure is not None and failure.retry_after_s is not None:
            headers["Retry-After"] = str(failure.retry_after_s)
        if self.fake.scopes is not None:
            headers["X-OAuth-Scopes"] = ",".join(sorted(self.fake.scopes))
        status = failure.status if failure is not None else 200
        if status >= 500 and not answer.get("error"):
            self._send(status, b"upstream error", "text/plain", headers)
            return
        self._send(status, json.dumps(answer).encode(), "application/json", headers)

    def _upload(self, key: str, body: bytes) -> None:
        failure, status = self.fake.uploaded(key, body)
        if self._broken(failure):
            return
        self._send(status, b"OK" if status == 200 else b"upload error", "text/plain")

    def _respond(self, key: str, body: bytes) -> None:
        status, words, failure = self.fake.respond(key, json.loads(body or b"{}"))
        if self._broken(failure):
            return
        headers = {}
        if failure is not None and failure.retry_after_s is not None:
            headers["Retry-After"] = str(failure.retry_after_s)
        self._send(status, words.encode(), "text/plain", headers)

    def _broken(self, failure: Failure | None) -> bool:
        """Whether no answer is given, or another one was."""
        if failure is None:
            return False
        if failure.then is not None:
            failure.then()
        if failure.delay_s:
            time.sleep(failure.delay_s)
        if failure.html:
            self._send(200, b"<!DOCTYPE html><html>Sign in to Fake</html>", "text/html; charset=utf-8")
            return True
        if failure.lost or failure.unreached:
            self.close_connection = True
            with contextlib.suppress(OSError):
                self.connection.shutdown(2)
            return True
        return False

    def _download(self, path: str) -> None:
        key = path.split("/")[2]
        instead, file = self.fake.download, self.fake.files.get(key)
        if file is None or file.get("deleted"):
            self._send(404, b"", "text/plain")
        elif instead.get("html") or self.headers.get("Authorization") != f"Bearer {BOT_TOKEN}":
            self._send(200, b"<!DOCTYPE html><html>Sign in to Fake</html>", "text/html; charset=utf-8")
        elif "redirect" in instead:
            self._send(302, b"", "text/plain", {"Location": instead["redirect"]})
        elif "status" in instead:
            self._send(instead["status"], b"", "text/plain")
        elif "short" in instead:
            self._send(200, self.fake.bodies[key][: instead["short"]], "text/csv")
        else:
            self._send_file(self.fake.bodies[key])

    def _send_file(self, body: bytes) -> None:
        """The file, or the part of it that a Range asks for."""
        wanted = self.headers.get("Range", "")
        if wanted.startswith("bytes="):
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            start, end = int(first or 0), min(int(last or len(body) - 1), len(body) - 1)
            headers = {"Content-Range": f"bytes {start}-{end}/{len(body)}"}
            self._send(206, body[start : end + 1], "text/csv", headers)
            return
        self._send(200, body, "text/csv")

    def _send(self, status: int, body: bytes, kind: str, headers: dict[str, str] | None = None) -> None:
        with contextlib.suppress(OSError):  # whoever called may be dead by now
            self.send_response(status)
            for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name that http.server gives it
        """Say nothing."""


def _form(body: bytes) -> Json:
    fields: Json = {name: values[-1] for name, values in parse_qs(body.decode(), keep_blank_values=True).items()}
    for name in _AS_JSON:
        if isinstance(fields.get(name), str) and fields[name]:
            fields[name] = json.loads(unquote(fields[name]) if fields[name].startswith("%") else fields[name])
    return fields
