"""Modals and the home tab of the strict Slack: single-use triggers of three seconds, hashes, a stack of three."""

import time
import uuid

from support.fake_slack.chat import checked, refusal
from support.fake_slack.model import APP_ID, BOT_USER, TEAM, Failure, Json, RefusedError, View
from support.fake_slack.state import State
from support.slack_blocks import BrokenLimit, check_view
from support.slack_limits import LIMITS


class Views(State):
    """`views.*`, triggers and response_urls."""

    def trigger(self, user: str = "U0ADA", *, age_s: float = 0.0) -> str:
        """A trigger_id of somebody's click or command, as old as the test wants it."""
        key = f"{self._number()}.{time.monotonic_ns()}.{uuid.uuid4().hex}"
        self.triggers[key] = (time.monotonic() - age_s, user, False)
        return key

    def response_url(self, user: str = "U0ADA", channel: str = "C0GENERAL", *, age_s: float = 0.0) -> str:
        """The response_url of somebody's interaction in a channel."""
        key = uuid.uuid4().hex
        self.response_urls[key] = {"user": user, "channel": channel, "uses": 0, "at": time.monotonic() - age_s}
        return f"{self.root}/response/{key}"

    def modal(self, user: str = "U0ADA") -> View:
        """The modal that somebody sees."""
        return self.views[self.stacks[user][-1]]

    def _views_open(self, arguments: Json) -> Json:
        user = self._exchange(arguments.get("trigger_id", ""))
        self._check_view(arguments["view"], "modal")
        view = self._new_view(user, arguments["view"])
        self.stacks[user] = [view.id]
        return {"view": self._shown(view)}

    def _views_push(self, arguments: Json) -> Json:
        user = self._exchange(arguments.get("trigger_id", ""))
        self._check_view(arguments["view"], "modal")
        stack = self.stacks[user]
        if not stack:
            raise RefusedError("not_found")
        if len(stack) >= LIMITS["view.stack"].most:
            raise RefusedError("push_limit_reached")
        view = self._new_view(user, arguments["view"], root=stack[0], previous=stack[-1])
        stack.append(view.id)
        return {"view": self._shown(view)}

    def _views_update(self, arguments: Json) -> Json:
        view = self.views.get(arguments.get("view_id", ""))
        if view is None and arguments.get("external_id"):
            named = (one for one in self.views.values() if one.body.get("external_id") == arguments["external_id"])
            view = next(named, None)
        if view is None or view.id not in self.stacks[view.user]:
            raise RefusedError("not_found")
        if arguments.get("hash") and arguments["hash"] != view.hash:
            raise RefusedError("hash_conflict")
        self._check_view(arguments["view"], "modal")
        view.body, view.hash = arguments["view"], self._hash()
        return {"view": self._shown(view)}

    def _views_publish(self, arguments: Json) -> Json:
        user = arguments.get("user_id", "")
        self.facts_of(user)
        if not self.home_enabled:
            raise RefusedError("not_enabled")
        home = self.homes.get(user)
        if arguments.get("hash") and home is not None and arguments["hash"] != home.hash:
            raise RefusedError("hash_conflict")
        self._check_view(arguments["view"], "home")
        if home is None:
            home = self.homes[user] = self._new_view(user, arguments["view"])
        home.body, home.hash = arguments["view"], self._hash()
        return {"view": self._shown(home)}

    def respond(self, key: str, body: Json) -> tuple[int, str, Failure | None]:
        """What a response_url answers: its status, its words, and how it goes wrong when it was told to."""
        with self._lock:
            self.calls.append(("response_url", body))
            failure = self._failures["response_url"].popleft() if self._failures["response_url"] else None
            if failure is not None and not failure.lost:
                return failure.status if failure.status != 200 else 500, failure.error, failure
            known = self.response_urls.get(key)
            if known is None or time.monotonic() - known["at"] > LIMITS["response_url.minutes"].most * 60:
                return 404, "expired_url", failure
            if known["uses"] >= LIMITS["response_url.uses"].most:
                return 404, "used_url", failure
            if not body.get("delete_original"):
                try:
                    checked(body)
                except RefusedError as refused:
                    return 400, refused.code, failure
            known["uses"] += 1
            said = {**body, "user": known["user"], "channel": known["channel"], "url": key}
            self.responses.append(said)
            if body.get("response_type") == "in_channel" and not body.get("replace_original"):
                message = {"type": "message", "ts": self._ts(), "edits": 0, "user": BOT_USER, "bot_id": "B0BOT"}
                message |= {name: body[name] for name in ("text", "blocks") if body.get(name)}
                self._channel(known["channel"]).messages.append(message)
            return 200, "ok", failure

    def _exchange(self, key: str) -> str:
        if key not in self.triggers:
            raise RefusedError("invalid_trigger_id")
        at, user, used = self.triggers[key]
        if used:
            raise RefusedError("exchanged_trigger_id")
        if time.monotonic() - at > LIMITS["trigger.seconds"].most:
            raise RefusedError("expired_trigger_id")
        self.triggers[key] = (at, user, True)
        return user

    def _check_view(self, view: Json, kind: str) -> None:
        try:
            check_view(view)
        except BrokenLimit as broken:
            answer = refusal(broken)
            if answer.code == "invalid_blocks":
                answer.code = "invalid_arguments"
            raise answer from broken
        if view["type"] != kind:
            raise RefusedError("invalid_arguments", errors=[f"a {kind} is wanted"])

    def _new_view(self, user: str, body: Json, *, root: str = "", previous: str | None = None) -> View:
        key = f"V{self._number():04}"
        view = View(key, user, body, self._hash(), root or key, previous)
        self.views[key] = view
        return view

    def _shown(self, view: View) -> Json:
        facts = {"id": view.id, "team_id": TEAM, "app_id": APP_ID, "bot_id": "B0BOT", "hash": view.hash}
        places = {"root_view_id": view.root, "previous_view_id": view.previous}
        return {**view.body, **facts, **places, "state": {"values": {}}}

    def _hash(self) -> str:
        return f"{self._ts()}.{uuid.uuid4().hex[:8]}"
