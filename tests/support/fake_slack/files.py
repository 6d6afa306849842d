"""Files of the strict Slack: shared by people, uploaded in three steps by the bot, listed, looked at."""

from typing import Any

from support.fake_slack.chat import checked
from support.fake_slack.model import BOT_USER, Json, RefusedError
from support.fake_slack.state import State
from support.slack_limits import LIMITS, fits

_TYPES = {"all", "spaces", "snippets", "images", "gdocs", "zips", "pdfs"}
_KINDS = {"csv": "text/csv", "json": "application/json", "png": "image/png", "parquet": "application/octet-stream"}
_REFUSED_AT_FIRST = {"file_uploads_disabled", "storage_limit_reached", "file_upload_size_restricted"}
"""What Slack says when an upload is asked for; it says the rest when the upload is completed."""


class Files(State):
    """`files.*`."""

    def _files_list(self, arguments: Json) -> Json:
        key = arguments.get("channel", "")
        channel = self.channels.get(key)
        if key and (channel is None or not channel.has_bot):
            raise RefusedError("channel_not_found")
        wanted = set(str(arguments.get("types") or "all").split(","))
        if wanted - _TYPES:
            raise RefusedError("unknown_type")
        ts_from, ts_to = float(arguments.get("ts_from") or 0), float(arguments.get("ts_to") or "inf")
        found = [
            file
            for file in reversed(self.files.values())
            if file["completed"]
            and not file.get("deleted")
            and (not key or key in file["channels"])
            and ts_from <= float(file["created"]) <= ts_to
            and (wanted == {"all"} or _type_of(file) in wanted)
            and arguments.get("user") in (None, "", file["user"])
        ]
        count, page = min(int(arguments.get("count") or 100), 1_000), int(arguments.get("page") or 1)
        pages = max(1, -(-len(found) // count))
        shown = [self._seen(file) for file in found[(page - 1) * count : page * count]]
        return {"files": shown, "paging": {"count": count, "total": len(found), "page": page, "pages": pages}}

    def _files_info(self, arguments: Json) -> Json:
        file = self.files.get(arguments.get("file", ""))
        if file is None or not file["completed"]:
            raise RefusedError("file_not_found")
        if file.get("deleted"):
            raise RefusedError("file_deleted")
        seen = [key for key in file["channels"] if key in self.channels and self.channels[key].has_bot]
        if file["user"] != BOT_USER and not seen and not file.get("from_modal"):
            raise RefusedError("file_not_found")
        return {"file": self._seen(file), "comments": []}

    def _upload_url(self, arguments: Json) -> Json:
        if not arguments.get("filename") or int(arguments.get("length") or 0) <= 0:
            raise RefusedError("missing_argument")
        if not fits("file.alt_txt", len(arguments.get("alt_txt") or "")):
            raise RefusedError("alt_txt_too_large")
        code = self.refused_files.get(arguments["filename"], "")
        if code in _REFUSED_AT_FIRST:
            raise RefusedError(code)
        file = self._new_file(arguments["filename"], b"")
        file |= {"completed": False, "announced": int(arguments["length"]), "user": BOT_USER}
        return {"file_id": file["id"], "upload_url": f"{self.root}/upload/{file['id']}"}

    def _complete_upload(self, arguments: Json) -> Json:
        wanted: list[Json] = arguments["files"]
        keys = [key for key in [arguments.get("channel_id"), *str(arguments.get("channels") or "").split(",")] if key]
        if not fits("file.channels", len(keys)):
            raise RefusedError("channels_limit_exceeded")
        for key in keys:
            self._channel(key)
        if arguments.get("blocks"):
            checked({"blocks": arguments["blocks"]})
        for item in wanted:
            file = self.files.get(item["id"])
            # An upload is completed once, and has its bytes then: both are the upload ticket's, which is gone after it.
            if file is None or file["completed"] or file["size"] == 0:
                raise RefusedError("file_not_found")
            if file["name"] in self.refused_files:
                raise RefusedError(self.refused_files[file["name"]])
        for key in keys:
            self._show(key, wanted, arguments)
        for item in wanted:
            file = self.files[item["id"]]
            title = item.get("title") or file["name"]
            file |= {"title": title, "completed": True, "shares_in": self.late_shares}
            file["created"] = file["timestamp"] = int(float(self._ts()))
        return {"files": [{"id": item["id"], "title": self.files[item["id"]]["title"]} for item in wanted]}

    def _show(self, key: str, wanted: list[Json], arguments: Json) -> None:
        """The message with which Slack shows completed files."""
        ts, thread_ts = self._ts(), arguments.get("thread_ts")
        ids = [item["id"] for item in wanted]
        message: Json = {"type": "message", "ts": ts, "user": BOT_USER, "bot_id": "B0BOT", "edits": 0}
        message |= {"text": arguments.get("initial_comment") or "", "file_ids": ids}
        message |= {"thread_ts": thread_ts} if thread_ts else {}
        self.channels[key].messages.append(message)
        for file_id in ids:
            self._share_of(self.files[file_id], key, ts, thread_ts)

    def _share_of(self, file: Json, key: str, ts: str, thread_ts: str | None) -> None:
        private = key[0] in "DG" or self.channels[key].private
        places = file["shares"].setdefault("private" if private else "public", {}).setdefault(key, [])
        places.append({"ts": ts, **({"thread_ts": thread_ts} if thread_ts else {})})
        file["channels"] = list(dict.fromkeys([*file["channels"], key]))
        if thread_ts:
            file["thread_ts"] = thread_ts

    def _new_file(self, name: str, body: bytes, *, channel: str = "", **more: Any) -> Json:
        with self._lock:
            key = f"F{self._number():04}"
            address = f"{self.root}/files-pri/{key}/{name}"
            created = max([int(float(self._ts())), *(file["created"] + 1 for file in self.files.values())])
            kind = name.rpartition(".")[2].lower() if "." in name else ""
            file: Json = {
                "id": key,
                "name": name,
                "title": name,
                "mode": "hosted",
                "filetype": kind,
                "mimetype": _KINDS.get(kind, "application/octet-stream"),
                "is_external": False,
                "user": BOT_USER,
                "size": len(body),
                "created": created,
                "timestamp": created,
                "channels": [channel] if channel else [],
                "shares": {},
                "url_private": address,
                "url_private_download": address,
                "completed": True,
                "kind_in": self.late_mimetype,
                "shares_in": 0,
                **more,
            }
            self.files[key], self.bodies[key] = file, body
            return file

    def _seen(self, file: Json) -> Json:
        """A file as Slack shows it now: its kind comes late, and so does where it is shared."""
        shown = {name: value for name, value in file.items() if name not in _OWN}
        channels = {"channels": [], "groups": [], "ims": []}
        for key in file["channels"]:
            private = key in self.channels and self.channels[key].private
            channels["ims" if key[0] == "D" else "groups" if private else "channels"].append(key)
        shown |= channels
        if file["kind_in"] > 0:
            file["kind_in"] -= 1
            shown |= {"mimetype": "", "filetype": ""}
        if file["shares_in"] > 0:
            file["shares_in"] -= 1
            shown |= {"shares": {}, "channels": [], "groups": [], "ims": []}
        return shown


_OWN = ("completed", "announced", "kind_in", "shares_in", "thread_ts", "deleted", "from_modal")
"""What only this Slack knows of a file."""


def _type_of(file: Json) -> str:
    if str(file["mimetype"]).startswith("image/"):
        return "images"
    return {"zip": "zips", "pdf": "pdfs"}.get(file["filetype"], "all")


assert LIMITS["file.completions"].most == 1
