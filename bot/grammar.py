"""Words into a request, or one error that names everything that is wrong. The same for a shell and for Slack.

A verb is described by data (`Verb`, `Key`), so that parsing, `help` and the tests read the same source.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn

from bot.words import QUOTES_AND_ESCAPES
from shared.errors import Problem, RefusedWords

if TYPE_CHECKING:
    from bot.desk import Answer, Desk

_ALIAS = re.compile(r"(?P<alias>[A-Za-z][A-Za-z0-9_-]{0,39}):(?P<dataset>\S.{0,199})")

VERB_NAMES = (
    "describe",
    "train",
    "evaluate",
    "compare",
    "predict",
    "submit",
    "status",
    "show",
    "log",
    "diff",
    "history",
    "leaderboard",
    "data",
    "note",
    "tag",
    "promote",
    "export",
    "forget",
    "audit",
    "cancel",
    "priority",
    "retry",
    "resume",
    "replay",
    "help",
    "up",
    "down",
    "doctor",
    "token",
)
"""Every verb, in the order in which help lists them; each is one file of `bot.verbs`."""


@dataclass(frozen=True)
class Key:
    """A `key=value` of a verb: its name, what its value looks like, what it is for, and how a value is read.

    `read` raises `ValueError` with the rule when a value does not fit. `heading` is what help puts above the first of
    the keys that share it.
    """

    name: str
    looks: str
    help: str
    read: Callable[[str], Any]
    heading: str = ""


@dataclass(frozen=True)
class Words:
    """A verb's words, read: the plain ones in their order, and the values by key."""

    plain: tuple[str, ...]
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Verb:
    """One verb of the product."""

    name: str
    summary: str
    plain: str
    """The plain words it takes, as help shows them; in brackets where they may be left out; `...` for more of them."""
    examples: tuple[str, ...]
    build: Callable[[Words], Any]
    """The request of its words; raises `RefusedWords`."""
    keys: tuple[Key, ...] = ()
    answer: "Callable[[Desk, Any], Answer] | None" = None
    """Answers at once, from the log; None for verbs whose request is the spec of a run."""
    shell_only: bool = False
    own_words: bool = False
    """Whether `build` gets every word as it stands, keys and all, as a text and a search need it."""
    notes: tuple[str, ...] = ()
    """What help says below the keys."""

    @property
    def how_to(self) -> str:
        """What to type instead, as a sentence."""
        return f"Write `{f'{self.name} {self.plain}'.rstrip()}`; `help {self.name}` shows all of it."

    @property
    def least(self) -> int:
        """How many plain words it needs."""
        return sum(not word.startswith("[") and word != "..." for word in self.plain.replace("...", " ...").split())

    @property
    def most(self) -> int | None:
        """How many plain words it takes; None when there is no bound."""
        return None if "..." in self.plain else len(self.plain.split())

    def asks_for_run(self, place: int) -> bool:
        """Whether the plain word at a place, counted from 0, is a run."""
        looks = self.plain.replace("...", "").split()
        return bool(looks) and looks[min(place, len(looks) - 1)].strip("[]") == "RUN"


@dataclass(frozen=True)
class Named:
    """A request in which a run stands by an alias, such as `champion:churn`; the log knows which one that is."""

    words: Words
    places: tuple[int, ...]
    """Where among the plain words."""


@dataclass(frozen=True)
class Command:
    """A command that was understood."""

    verb: Verb
    request: Any
    words: str
    """What was typed, in plain quotes and dashes."""


def load_verb(name: str) -> Verb:
    """A verb by its name."""
    verb: Verb = import_module(f"bot.verbs.{name}").VERB
    return verb


def parse(words: Sequence[str]) -> Command:
    """Understand a command; raises `RefusedWords` with every problem that it has."""
    name, *rest = words or ("help",)
    name = name.lower()  # telephones begin with a capital
    if name in ("-h", "--help"):
        name = "help"
    if "--help" in rest or "-h" in rest:
        name, rest = "help", [name]
    if name not in VERB_NAMES:
        _refuse_verb(name)
    verb = load_verb(name)
    read, problems = _read(verb, rest)
    if problems:
        raise RefusedWords(*problems)
    places = tuple(at for at, word in enumerate(read.plain) if verb.asks_for_run(at) and alias_in(word))
    request = Named(words=read, places=places) if places else built(verb, read)
    return Command(verb=verb, request=request, words=" ".join([name, *(quoted(word) for word in rest)]))


def built(verb: Verb, words: Words) -> Any:
    """The request; what its spec refuses (an empty name, a name that is no text) is refused like any mistake."""
    try:
        return verb.build(words)
    except ValueError as error:
        listed = getattr(error, "errors", None)  # pydantic's, which this module need not import
        reasons = [f"`{wrong['loc'][0]}`: {wrong['msg']}." for wrong in listed()] if listed else [f"{error}."]
        raise RefusedWords(*(Problem("bad_value", reason, verb.how_to) for reason in reasons)) from error


def quoted(word: str) -> str:
    """A word as it can be typed again."""
    if word and not any(letter.isspace() or letter in QUOTES_AND_ESCAPES for letter in word):
        return word
    name, equals, value = word.partition("=")
    if equals and name.isidentifier():
        return f"{name}={quoted(value)}"
    escaped = "".join(f"\\{letter}" if letter in '"“”„\\' else letter for letter in word)
    return f'"{escaped}"'


def alias_in(word: str) -> tuple[str, str] | None:
    """The alias and the dataset of a word such as `champion:churn`; None when it is no such word."""
    met = _ALIAS.fullmatch(word)
    return (met["alias"].lower(), met["dataset"]) if met else None


def _refuse_verb(name: str) -> NoReturn:
    nearest = nearest_of(name.lower(), VERB_NAMES)
    hint = f"Did you mean `{nearest}`?" if nearest else "`help` lists the verbs: " + ", ".join(VERB_NAMES) + "."
    raise RefusedWords(Problem(code="unknown_verb", message=f"There is no verb `{name}`.", hint=hint))


def nearest_of(word: str, known: Sequence[str]) -> str | None:
    """The known word that was probably meant."""
    by_lower = {name.lower(): name for name in known}
    near = get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[near[0]] if near else None


def _read(verb: Verb, words: Sequence[str]) -> tuple[Words, list[Problem]]:
    if verb.own_words:
        return Words(plain=tuple(words), values={}), _count_problems(verb, words)
    plain, pairs, problems = _sorted_out(verb, words)
    keys = {key.name: key for key in verb.keys}
    values: dict[str, Any] = {}
    for name, value in pairs:
        if name in values:
            problems.append(Problem("repeated_key", f"`{name}` is given more than once.", "Give it once."))
            continue
        try:
            values[name] = keys[name].read(value)
        except ValueError as error:
            problems.append(Problem("bad_value", f"`{name}={value}`: {error}"))
            values[name] = None
    problems += _count_problems(verb, plain)
    return Words(plain=tuple(plain), values=values), problems


def _sorted_out(verb: Verb, words: Sequence[str]) -> tuple[list[str], list[tuple[str, str]], list[Problem]]:
    """Plain words, and pairs from `key=value`, `--key=value` and `--key value`; what is neither is a problem."""
    known = [key.name for key in verb.keys]
    plain: list[str] = []
    pairs: list[tuple[str, str]] = []
    problems: list[Problem] = []
    waiting = list(words)
    while waiting:
        word = waiting.pop(0)
        dashed = word.startswith("--") and len(word) > 2
        name, equals, value = word.removeprefix("--").partition("=")
        key = name.lower().replace("-", "_")
        if key in known and equals:
            pairs.append((key, value))
        elif key in known and dashed and waiting:
            pairs.append((key, waiting.pop(0)))
        elif key in known and dashed:
            problems.append(Problem("missing_value", f"`{word}` has no value.", f"Write `{key}=VALUE`."))
        elif dashed or (equals and name.isidentifier()):
            problems.append(_unknown_key(verb, name))
            if dashed and not equals and waiting and not waiting[0].startswith("--") and "=" not in waiting[0]:
                waiting.pop(0)
        else:
            plain.append(word)
    return plain, pairs, problems


def _unknown_key(verb: Verb, name: str) -> Problem:
    known = [key.name for key in verb.keys]
    nearest = nearest_of(name, known)
    if nearest:
        hint = f"Did you mean `{nearest}`?"
    elif known:
        hint = f"It knows: {', '.join(known)}."
    else:
        hint = "It takes no keys."
    return Problem("unknown_key", f"`{verb.name}` knows no key `{name}`.", hint)


def _count_problems(verb: Verb, plain: Sequence[str]) -> list[Problem]:
    if len(plain) < verb.least:
        return [
            Problem(
                "missing_word",
                f"`{verb.name}` needs {verb.plain}; met {' '.join(plain) or 'nothing'}.",
                verb.how_to,
            )
        ]
    if verb.most is not None and len(plain) > verb.most:
        extra = " ".join(plain[verb.most :])
        takes = verb.plain or "nothing more"
        return [
            Problem(
                "extra_word",
                f"`{verb.name}` takes {takes}; not understood: {extra}.",
                f"{verb.how_to} Quote words with spaces.",
            )
        ]
    return []
