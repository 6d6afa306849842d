"""The words of a search into a `Query`: `ds:churn.csv auc>0.9 by:@ann since:7d sort:-auc`, and words that stand alone.

A key is written `key:value`, `key=value` or `--key value`; a metric is compared with `>`, `>=`, `<`, `<=` or `=`, or
given as a range, `auc:0.9..`, which a shell does not take for a file. Every mistake is named in one answer.
"""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, NoReturn

from bot import values
from bot.grammar import Key, nearest_of
from shared.errors import Problem, RefusedWords
from shared.metric_names import NAMES, SHORT, metric_named
from shared.search import MOST_FOUND, Bound, Operator, Order, Query

KINDS = ("describe", "train", "evaluate", "compare", "predict")
STATES = ("preparing", "gathering", "queued", "running", "succeeded", "failed", "cancelled")
MODELS = ("linear", "mlp", "mlp-ple", "tabm", "gbdt", "blend")
TASKS = ("binary", "multiclass", "regression")
ORDERS = ("run", "started", "time")

_COMPARED: dict[str, Operator] = {">": ">", ">=": ">=", "<": "<", "<=": "<="}
_ALSO = {"ds": "dataset", "data": "dataset", "user": "by", "tags": "tag", "order": "sort", "id": "run"}
_TERM = re.compile(r"(?P<name>[A-Za-z][\w^²-]*)(?P<operator>>=|<=|>|<|=|:)(?P<value>.*)", re.DOTALL)
_MENTION = re.compile(r"<@([^|>]+)(?:\|[^>]*)?>")
_AGE = re.compile(r"(\d{1,6})\s*(m|h|d|w|min|hours?|days?|weeks?)", re.IGNORECASE)
_AGE_S = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_MINUS = str.maketrans("−–—", "---")


def _comma(read: Callable[[str], str]) -> Callable[[str], tuple[str, ...]]:
    """Several values between commas, any of which may hold."""
    return lambda value: tuple(dict.fromkeys(read(part.strip()) for part in value.split(",")))


def shown(value: str) -> str:
    """A text of 1 to 200 letters that can be shown."""
    plain = value.strip()
    if not 1 <= len(plain) <= 200 or not plain.isprintable():
        raise ValueError("needs 1 to 200 letters, digits and signs.")
    return plain


def person(value: str) -> str:
    """Who asked: a name or an id, with or without its `@`; `me` is whoever asks now."""
    mention = _MENTION.fullmatch(value.strip())
    return shown(mention[1] if mention else value.strip().removeprefix("@"))


def tag(value: str) -> str:
    """A tag: 1 to 80 characters, in lower case."""
    plain = value.strip().removeprefix("#").lower()
    if not 1 <= len(plain) <= 80 or not plain.isprintable():
        raise ValueError("needs a tag of 1 to 80 letters, digits and signs.")
    return plain


def since(value: str) -> datetime | timedelta:
    """How long ago, or a day of the calendar (UTC)."""
    plain = value.strip().lower()
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if plain in ("today", "yesterday"):
        return today - timedelta(days=plain == "yesterday")
    if age := _AGE.fullmatch(plain):
        return timedelta(seconds=min(int(age[1]) * _AGE_S[age[2][0]], 100 * 365 * 86400))
    try:
        met = datetime.fromisoformat(value.strip())
    except ValueError:
        raise ValueError("needs an age such as 7d, 12h or 2w, a day such as 2026-11-27, or today.") from None
    try:
        return (met if met.tzinfo else met.replace(tzinfo=UTC)).astimezone(UTC)
    except OverflowError:
        raise ValueError("needs a day of our calendar.") from None


def order(value: str) -> Order:
    """What runs are ordered by; a minus in front puts the highest first."""
    plain = value.strip().translate(_MINUS)
    word = plain.lstrip("-")
    by = word.lower() if word.lower() in ORDERS else metric_named(word)
    if by is None:
        nearest = nearest_of(word, (*ORDERS, *NAMES, *SHORT))
        hint = f" Did you mean `{nearest}`?" if nearest else ""
        raise ValueError(f"needs {', '.join(ORDERS)} or a metric, with - for the highest first.{hint}")
    return Order(by=by, descending=plain.startswith("-"))


def run_range(value: str) -> tuple[int | None, int | None]:
    """A run, or the first and the last of several."""
    low, high = _range(value.replace("#", ""), separators=("..", "…", "-", "–"))
    problem = ValueError("needs a run or a range of them, such as 42, 40..60 or 40..")
    if not low + high or any(end and not re.fullmatch(r"\d{1,9}", end) for end in (low, high)):
        raise problem
    return int(low) if low else None, int(high) if high else None


KEYS = (
    Key("dataset", "NAME", "or ds: the dataset's name contains this", shown),
    Key("kind", "|".join(KINDS), "runs of this kind", _comma(values.one_of(KINDS))),
    Key("state", "|".join(STATES), "runs in this state", _comma(values.one_of(STATES))),
    Key("by", "@USER|me", "runs that this user asked for", _comma(person)),
    Key("tag", "TAG", "runs with this tag; may be given again", tag),
    Key("model", "|".join(MODELS), "what the run kept", _comma(values.one_of(MODELS))),
    Key("task", "|".join(TASKS), "what is predicted", _comma(values.one_of(TASKS))),
    Key("target", "COLUMN", "runs with this target", shown),
    Key("name", "...", "runs of this name", values.title),
    Key("run", "40..60", "runs with these numbers", run_range),
    Key("parent", "RUN", "the seeds of this run, which stand in no list else", values.run_number),
    Key("since", "7d|2026-11-27|today", "runs that were asked for since then (UTC)", since),
    Key("sort", "-auc|run|started|time", "by a metric, or these; - puts the highest first", order),
    Key("limit", "N", "how many; 20 unless given", values.whole(least=1, most=MOST_FOUND)),
)
NOTES = (
    "Keys are written key:value too. Values of kind, state, by, model and task may be several, between commas.",
    "Metrics on the test rows: 'auc>0.9', 'loss<=0.3', acc=0.85, or as a range: auc:0.9.. and acc:0.8..0.9.",
    "Other words are looked for in names, notes and datasets' names. In a shell, quote what has < or > in it.",
)
_FIELDS = {key.name: key for key in KEYS}
_SEVERAL = ("kind", "state", "by", "model", "task", "tag")


def query_of(words: Sequence[str]) -> Query:
    """The query that words ask; raises `RefusedWords` with everything that is wrong."""
    reading = _Reading()
    waiting = _joined([word.replace("≥", ">=").replace("≤", "<=") for word in words])
    while waiting:
        word = waiting.pop(0)
        name, equals, _ = word.removeprefix("--").partition("=")
        if word.startswith("--") and len(word) > 2 and not equals:
            if not waiting or waiting[0].startswith("--"):
                missing = Problem("missing_value", f"`{word}` has no value.", f"Write `{name}:VALUE`.")
                reading.problems.append(missing if _field(name) else _unknown(name, "="))
                continue
            word = f"{name}={waiting.pop(0)}"
        reading.take(word.removeprefix("--"))
    return reading.query()


class _Reading:
    """The terms of a search as they are read."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self._values: dict[str, Any] = {}
        self._bounds: list[Bound] = []
        self._words: list[str] = []

    def take(self, word: str) -> None:
        """A term, or a word that stands alone."""
        term = _TERM.fullmatch(word)
        try:
            if term is None:
                self._words.append(shown(word))
            elif term["operator"] in "=:" and (name := _field(term["name"])):
                self._take_value(name, _FIELDS[name].read(term["value"]))
            elif metric := metric_named(term["name"]):
                self._bounds += _bounds(metric, term["operator"], term["value"])
            else:
                self.problems.append(_unknown(term["name"], term["operator"]))
        except ValueError as error:
            self.problems.append(Problem("bad_value", f"`{word[:100]}`: {error}"))

    def _take_value(self, name: str, value: Any) -> None:
        if name in _SEVERAL:
            more = (value,) if isinstance(value, str) else value
            self._values[name] = tuple(dict.fromkeys([*self._values.get(name, ()), *more]))
        elif name in self._values:
            self.problems.append(Problem("repeated_key", f"`{name}` is given more than once.", "Give it once."))
        else:
            self._values[name] = value

    def query(self) -> Query:
        """The whole; raises `RefusedWords`."""
        if self.problems:
            raise RefusedWords(*self.problems)
        met = self._values
        first, last = met.get("run", (None, None))
        return Query(
            kinds=met.get("kind", ()),
            states=met.get("state", ()),
            by=met.get("by", ()),
            models=met.get("model", ()),
            tasks=met.get("task", ()),
            dataset=met.get("dataset"),
            target=met.get("target"),
            name=met.get("name"),
            tags=met.get("tag", ()),
            words=tuple(dict.fromkeys(self._words)),
            since=met.get("since"),
            parent=met.get("parent"),
            first=first,
            last=last,
            bounds=tuple(self._bounds),
            order=met.get("sort", Order()),
            limit=met.get("limit", Query.limit),
        )


def _joined(words: Sequence[str]) -> list[str]:
    """`auc > 0.9` as one word, wherever its blanks are."""
    joined: list[str] = []
    for word in words:
        last = _TERM.fullmatch(joined[-1]) if joined else None
        if joined and ((last and not last["value"]) or word.startswith((">", "<", "="))):
            joined[-1] += word
        else:
            joined.append(word)
    return joined


def _field(name: str) -> str | None:
    plain = name.lower()
    found = _ALSO.get(plain, plain)
    return found if found in _FIELDS else None


def _unknown(name: str, operator: str) -> Problem:
    if operator in "=:":
        nearest = nearest_of(name, (*_FIELDS, *_ALSO, *NAMES, *SHORT))
        hint = f"Did you mean `{nearest}`?" if nearest else f"It knows: {', '.join(_FIELDS)}; and metrics."
        return Problem("unknown_key", f"`log` knows no key `{name}`.", hint)
    nearest = nearest_of(name, (*NAMES, *SHORT))
    hint = f"Did you mean `{nearest}`?" if nearest else f"The metrics are {', '.join(NAMES)}."
    return Problem("unknown_key", f"`log` knows no metric `{name}`.", hint)


def _range(value: str, *, separators: Sequence[str]) -> tuple[str, str]:
    """The two ends of a range, empty where it is open; the same twice where there is no range."""
    for separator in separators:
        low, met, high = value.strip().partition(separator)
        if met:
            return low.strip(), high.strip()
    return value.strip(), value.strip()


def _bounds(metric: str, operator: str, value: str) -> list[Bound]:
    plain = value.strip().translate(_MINUS)
    if operator in _COMPARED:
        return [Bound(metric, _COMPARED[operator], float(_number(metric, plain)[0]))]
    low, high = _range(plain, separators=("..", "…"))
    if not low + high:
        _refuse_number(metric)
    if low == high:  # equal as far as the number was typed
        exact, half = _number(metric, low)
        return [Bound(metric, ">=", float(exact - half)), Bound(metric, "<", float(exact + half))]
    ends = [Bound(metric, ">=", float(_number(metric, low)[0]))] if low else []
    return ends + ([Bound(metric, "<=", float(_number(metric, high)[0]))] if high else [])


def _number(metric: str, text: str) -> tuple[Decimal, Decimal]:
    """A number, and half a unit of the last digit that was typed."""
    met = re.fullmatch(r"([+-]?)(\d{0,12})(?:\.(\d{0,12}))?(?:[eE]([+-]?\d{1,2}))?(%?)", text)
    if met is None or not (met[2] or met[3]):
        _refuse_number(metric)
    unit = Decimal(10) ** (int(met[4] or 0) - (2 if met[5] else 0))
    exact = Decimal(f"{met[1]}{met[2] or 0}.{met[3] or 0}") * unit
    return exact, Decimal("0.5") * Decimal(10) ** -len(met[3] or "") * unit


def _refuse_number(metric: str) -> NoReturn:
    short = next((word for word, name in SHORT.items() if name == metric), metric)
    raise ValueError(f"needs a number, such as {short}>0.9, or a range, such as {short}:0.8..0.9")
