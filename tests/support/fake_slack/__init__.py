"""A strict Slack for tests: a Web API in this process that enforces the limits of the real one and fails on demand.

Neither emulator that can be installed enforces what hurts in production: lengths, blocks, rates, triggers that are good
once and for three seconds, answers that are lost, login pages instead of files. This one does, and remembers everything
it was sent. docs/slack-limits.md lists what it holds its callers to, and where Slack says so.
"""

import threading
from http.server import ThreadingHTTPServer
from typing import Any

from support.fake_slack.chat import Chat
from support.fake_slack.chat import checked as _check_message
from support.fake_slack.files import Files
from support.fake_slack.http import Handler
from support.fake_slack.model import (
    APP_ID,
    APP_TOKEN,
    BOT_TOKEN,
    BOT_USER,
    SCOPES,
    TEAM,
    Channel,
    Failure,
    Json,
    RefusedError,
    View,
)
from support.fake_slack.views import Views

__all__ = [
    "APP_ID",
    "APP_TOKEN",
    "BOT_TOKEN",
    "BOT_USER",
    "SCOPES",
    "TEAM",
    "Channel",
    "Failure",
    "FakeSlack",
    "View",
    "_check_message",
]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


class FakeSlack(Chat, Files, Views):
    """The server and what it knows. Use as a context manager; `url` is its Web API."""

    def __enter__(self) -> "FakeSlack":
        slack = self

        class Here(Handler):
            fake = slack

        self._server = _Server(("127.0.0.1", 0), Here)
        serve = {"target": self._server.serve_forever, "kwargs": {"poll_interval": 0.01}}
        threading.Thread(**serve, daemon=True).start()  # type: ignore[arg-type]
        return self

    def __exit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        """What LML_SLACK_API_URL is set to."""
        return f"{self.root}/api/"

    def fail(self, method: str, *failures: Failure) -> None:
        """Let the next calls of a method go wrong, one after another; `upload` and `response_url` are methods too."""
        self._failures[method].extend(failures)

    def share(self, name: str, body: bytes, *, channel: str = "C0GENERAL", **more: Any) -> Json:
        """A file that somebody shared in a channel."""
        file = self._new_file(name, body, channel=channel, **{"user": "U0ADA", **more})
        if channel in self.channels and channel in file["channels"]:
            self._share_of(file, channel, self._ts(), None)
        return file

    def posted(self, channel: str = "C0GENERAL") -> list[Json]:
        """The channel's messages that are in no thread."""
        return [message for message in self.channels[channel].messages if "thread_ts" not in message]

    def thread(self, ts: str, channel: str = "C0GENERAL") -> list[Json]:
        """The replies below a message that say something; `files_in` and `shown_in` tell the files."""
        replies = [message for message in self.channels[channel].messages if message.get("thread_ts") == ts]
        return [message for message in replies if message.get("text") or message.get("blocks")]

    def files_in(self, ts: str) -> dict[str, bytes]:
        """The files in a thread by name."""
        return {file["name"]: self.bodies[key] for key, file in self.files.items() if file.get("thread_ts") == ts}

    def shown_in(self, ts: str, channel: str = "C0GENERAL") -> list[str]:
        """The names of the files shown in a thread, each as often as it is shown."""
        replies = [message for message in self.channels[channel].messages if message.get("thread_ts") == ts]
        return [self.files[key]["name"] for message in replies for key in message.get("file_ids", [])]

    def called(self, method: str) -> list[Json]:
        """The arguments of each call of a method."""
        return [arguments for name, arguments in list(self.calls) if name == method]

    # What the server does with a call.

    def answer(self, method: str, arguments: Json, token: str) -> tuple[Json, Failure | None]:
        """The answer to a call, and how it goes wrong when it was told to."""
        with self._lock:
            self.calls.append((method, arguments))
            failures = self._failures[method]
            failure = failures.popleft() if failures else None
            if failure is not None and not failure.lost and (failure.error or failure.unreached or failure.html):
                return {"ok": False, "error": failure.error}, failure
            if failure is not None and failure.status >= 400:
                return {"ok": False, "error": failure.error}, failure
            try:
                return {"ok": True, **self._do(method, arguments, token)}, failure
            except RefusedError as refused:
                return {"ok": False, "error": refused.code, **refused.more}, failure or refused.failure
            except (KeyError, TypeError, ValueError) as error:
                return {"ok": False, "error": "invalid_arguments", "errors": [repr(error)]}, failure

    def uploaded(self, key: str, body: bytes) -> tuple[Failure | None, int]:
        """The bytes of an upload, and the status that they are answered with."""
        with self._lock:
            self.calls.append(("upload", {"file": key, "size": len(body)}))
            failure = self._failures["upload"].popleft() if self._failures["upload"] else None
            if failure is not None and not failure.lost:
                if failure.unreached or failure.html:
                    return failure, 0
                if failure.status >= 400:
                    return failure, failure.status
            file = self.files.get(key)
            if file is None or file["completed"]:
                return failure, 404
            if len(body) != file["announced"]:
                return failure, 400
            self.bodies[key], file["size"] = body, len(body)
            return failure, 200

    def _do(self, method: str, arguments: Json, token: str) -> Json:
        known = {
            "apps.connections.open": (self._connections_open, None),
            "auth.test": (self._auth_test, None),
            "bots.info": (self._bots_info, "users:read"),
            "chat.getPermalink": (self._permalink, None),
            "chat.postEphemeral": (self._post_ephemeral, "chat:write"),
            "chat.postMessage": (self._post, "chat:write"),
            "chat.update": (self._update, "chat:write"),
            "conversations.history": (self._history, None),
            "conversations.info": (self._info, None),
            "conversations.open": (self._open, "im:write"),
            "conversations.replies": (self._replies, None),
            "files.completeUploadExternal": (self._complete_upload, "files:write"),
            "files.getUploadURLExternal": (self._upload_url, "files:write"),
            "files.info": (self._files_info, "files:read"),
            "files.list": (self._files_list, "files:read"),
            "usergroups.list": (self._usergroups_list, "usergroups:read"),
            "usergroups.users.list": (self._usergroups_users, "usergroups:read"),
            "users.info": (self._users_info, "users:read"),
            "views.open": (self._views_open, None),
            "views.publish": (self._views_publish, None),
            "views.push": (self._views_push, None),
            "views.update": (self._views_update, None),
        }
        if method not in known:
            raise RefusedError("unknown_method")
        do, scope = known[method]
        wanted = APP_TOKEN if method == "apps.connections.open" else BOT_TOKEN
        if token != wanted:
            raise RefusedError("invalid_auth")
        self._require(scope)
        self.rates.take(method)
        return do(arguments)

    def _auth_test(self, _arguments: Json) -> Json:
        me = {"team_id": TEAM, "user": "lml", "user_id": BOT_USER, "bot_id": "B0BOT"}
        return {"url": self.root, "team": "Fake", **me}

    def _bots_info(self, arguments: Json) -> Json:
        if arguments.get("bot") != "B0BOT":
            raise RefusedError("bot_not_found")
        return {"bot": {"id": "B0BOT", "app_id": APP_ID, "name": "lml", "deleted": False, "user_id": BOT_USER}}

    def _connections_open(self, _arguments: Json) -> Json:
        return {"url": self.socket_url}

    def _users_info(self, arguments: Json) -> Json:
        return {"user": self.facts_of(arguments.get("user", ""))}

    def _usergroups_list(self, _arguments: Json) -> Json:
        groups = [{"id": key, "team_id": TEAM, "handle": key.lower(), "name": key} for key in self.usergroups]
        return {"usergroups": groups}

    def _usergroups_users(self, arguments: Json) -> Json:
        if arguments.get("usergroup") not in self.usergroups:
            raise RefusedError("no_such_subteam")
        return {"users": list(self.usergroups[arguments["usergroup"]])}
