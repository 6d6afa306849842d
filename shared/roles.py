"""The access file: which role users, user groups and channels give, and which guests and shared channels may come in.

docs/access.md explains it, deploy/access.example.toml is one. It is read again when it changes on disk; one that is
wrong changes nothing: what it said before stays, and at the start nobody has a role.
"""

import logging
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from threading import Lock
from types import MappingProxyType
from typing import Any

from shared.access import CHAT, RULES, Role
from shared.errors import Problem, RefusedWords
from shared.settings import Settings

logger = logging.getLogger(__name__)

NONE = "none"
"""What the access file calls no role at all."""
_MOST_BYTES = 1024 * 1024
_ROLES = {role.word: role for role in Role}
_SECTIONS = ("default", "guests", "external_channels", "users", "groups", "channels", "verbs")
_USER = re.compile(r"[UW][A-Z0-9]{1,20}")
_GROUP = re.compile(r"S[A-Z0-9]{1,20}")
_CHANNEL = re.compile(r"[CG][A-Z0-9]{1,20}")


@dataclass(frozen=True)
class Grants:
    """What the access file says."""

    users: Mapping[str, Role | None] = field(default_factory=lambda: MappingProxyType({}))
    """A user's own line decides alone; None is nobody."""
    groups: Mapping[str, Role] = field(default_factory=lambda: MappingProxyType({}))
    channels: Mapping[str, Role] = field(default_factory=lambda: MappingProxyType({}))
    default: Role | None = None
    """The role of a full member of whom nothing else is said."""
    guests: frozenset[str] = frozenset()
    external_channels: frozenset[str] = frozenset()
    raised: Mapping[str, Role] = field(default_factory=lambda: MappingProxyType({}))
    """Verbs that need more than the table of docs/access.md says."""

    def in_words(self) -> str:
        """How many it gives roles to, and what the rest are."""
        counts = {"users": self.users, "groups": self.groups, "channels": self.channels}
        listed = ", ".join(f"{len(given)} {name}" for name, given in counts.items())
        return f"{listed}; other full members: {NONE if self.default is None else self.default.word}"

    def withheld(self, role: Role | None) -> frozenset[str]:
        """The verbs that someone of this role may not use because the file asks for more."""
        return frozenset(verb for verb, least in self.raised.items() if role is not None and role < least)


WITHOUT_FILE = Grants(default=Role.TRAINER)
"""Where there is no access file, every full member of the workspace trains."""


def read_grants(text: str) -> Grants:
    """What the text of an access file says; raises `RefusedWords` with everything that is wrong."""
    try:
        body = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise RefusedWords(_wrong(f"It is no TOML: {error}.")) from error
    reading = _Reading(body)
    grants = Grants(
        users=reading.roles("users", _USER, "a user's id, such as U012AB3CD", none=True),
        groups=reading.roles("groups", _GROUP, "a user group's id, such as S012AB3CD"),
        channels=reading.roles("channels", _CHANNEL, "a channel's id, such as C012AB3CD", most=Role.OPERATOR),
        default=reading.default(),
        guests=reading.ids("guests", _USER, "users' ids, such as U012AB3CD"),
        external_channels=reading.ids("external_channels", _CHANNEL, "channels' ids, such as C012AB3CD"),
        raised=reading.raised(),
    )
    if reading.problems:
        raise RefusedWords(*reading.problems)
    return grants


def read_file(path: Path) -> Grants:
    """What an access file says; raises `RefusedWords` with everything that is wrong."""
    return read_grants(_text_of(path))


class AccessFile:
    """What `LML_ACCESS_FILE` says now. Looking costs one `stat`; safe to be asked from several threads."""

    def __init__(self, settings: Settings) -> None:
        self._path = settings.access_path
        self._lock = Lock()
        self._seen: tuple[int, ...] | None = None
        self._grants: Grants | None = WITHOUT_FILE if self._path is None else None
        self._problems: tuple[Problem, ...] = ()

    @property
    def given(self) -> bool:
        """Whether there is to be a file."""
        return self._path is not None

    def grants(self) -> Grants:
        """What the newest file that could be read says; raises `RefusedWords` where none ever could."""
        self._look()
        if self._grants is None:
            raise RefusedWords(*self._problems)
        return self._grants

    def problems(self) -> tuple[Problem, ...]:
        """What is wrong with the file as it stands on disk now."""
        self._look()
        return self._problems

    def _look(self) -> None:
        if self._path is not None:
            with self._lock:
                self._read_if_changed(self._path)

    def _read_if_changed(self, path: Path) -> None:
        try:
            met = path.stat()
            seen: tuple[int, ...] = (met.st_ino, met.st_size, met.st_mtime_ns)
        except OSError as error:
            seen = (error.errno or -1,)
        if seen == self._seen:
            return
        self._seen = seen
        try:
            self._grants, self._problems = read_file(path), ()
            logger.info("The access file %s was read.", path)
        except RefusedWords as error:
            self._problems = error.problems
            then = "What it said before stays." if self._grants is not None else "Nobody has a role until it is mended."
            logger.error("The access file %s is wrong. %s %s", path, then, error)  # noqa: TRY400 - the trace says no more


class _Reading:
    """The sections of the file as they are read, with every problem that is met."""

    def __init__(self, body: Mapping[str, Any]) -> None:
        self._body = body
        self.problems = [
            _wrong(f"`{name}` is none of its parts, which are {', '.join(_SECTIONS)}.{_nearest(name, _SECTIONS)}")
            for name in body
            if name not in _SECTIONS
        ]

    def roles(
        self, section: str, pattern: re.Pattern[str], looks: str, *, none: bool = False, most: Role = Role.ADMIN
    ) -> Mapping[str, Any]:
        """The roles of a section by their ids; None for nobody."""
        words = [*([NONE] if none else []), *(word for word, role in _ROLES.items() if role <= most)]
        return self._table(section, looks, lambda name: bool(pattern.fullmatch(name)), words)

    def raised(self) -> Mapping[str, Role]:
        """The verbs that need more; one that would need less than the table says is refused."""
        verbs = {verb: rule.own for verb, rule in RULES.items() if rule.entries & CHAT}
        found = self._table("verbs", "a verb that can be used in Slack", lambda name: name in verbs, [*_ROLES])
        for verb, role in found.items():
            if role < verbs[verb]:
                message = f"[verbs] `{verb}` needs at least {verbs[verb].word}, which no file lowers; met {role.word}."
                self.problems.append(_wrong(message))
        return found

    def default(self) -> Role | None:
        """The role of a full member who is not named."""
        words = [NONE, Role.VIEWER.word, Role.TRAINER.word]
        word = self._body.get("default", NONE)
        if word not in words:
            self.problems.append(_wrong(f"`default` is one of {', '.join(words)}; met {word!r}."))
        return _ROLES.get(word) if isinstance(word, str) else None

    def ids(self, section: str, pattern: re.Pattern[str], looks: str) -> frozenset[str]:
        """The ids of a list."""
        listed = self._body.get(section, [])
        if not isinstance(listed, list):
            self.problems.append(_wrong(f"`{section}` is a list of {looks}; met {listed!r}."))
            return frozenset()
        bad = [word for word in listed if not (isinstance(word, str) and pattern.fullmatch(word))]
        self.problems += [_wrong(f"`{section}` holds {looks}; met {word!r}.") for word in bad]
        return frozenset(str(word) for word in listed)

    def _table(self, section: str, looks: str, fits: Callable[[str], bool], words: list[str]) -> Mapping[str, Any]:
        table = self._body.get(section, {})
        if not isinstance(table, dict):
            self.problems.append(_wrong(f"[{section}] is a table, one line for each; met {table!r}."))
            return MappingProxyType({})
        found: dict[str, Role | None] = {}
        for name, word in table.items():
            if not fits(name):
                self.problems.append(_wrong(f"[{section}] `{name}` is not {looks}."))
            elif not isinstance(word, str) or word not in words:
                self.problems.append(_wrong(f"[{section}] `{name}` is one of {', '.join(words)}; met {word!r}."))
            else:
                found[name] = _ROLES.get(word)
        return MappingProxyType(found)


def _text_of(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            raw = stream.read(_MOST_BYTES + 1)
            writable = os.fstat(stream.fileno()).st_mode & 0o002
    except OSError as error:
        raise RefusedWords(_wrong(f"{path} cannot be read: {error.strerror}.")) from error
    if len(raw) > _MOST_BYTES:
        raise RefusedWords(_wrong(f"It has at most {_MOST_BYTES:,} bytes; {path} has more."))
    if writable:
        raise RefusedWords(_wrong(f"Everybody on this machine may write {path}: `chmod o-w` it."))
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RefusedWords(_wrong(f"It is UTF-8; byte {error.start} of {path} is not.")) from error


def _wrong(message: str) -> Problem:
    hint = "Mend it: docs/access.md explains every line, deploy/access.example.toml is an example."
    return Problem("access_file_wrong", f"The access file (LML_ACCESS_FILE): {message}", hint)


def _nearest(word: str, known: tuple[str, ...]) -> str:
    near = get_close_matches(word, known, n=1)
    return f" Did you mean `{near[0]}`?" if near else ""
