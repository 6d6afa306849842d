"""How values of the grammar are read. Each raises `ValueError` with the rule when a value does not fit."""

import csv
import re
from collections.abc import Callable, Sequence

from bot.grammar import nearest_of

_UNITS_S = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?[smhd])+")
_LIKE_DURATION = re.compile(rf"[+-]?(?:\d+(?:\.\d+)?|{_DURATION.pattern})")
_SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t", "\\t": "\t", "pipe": "|", "space": " ", "colon": ":"}


def whole(*, least: int, most: int) -> Callable[[str], int]:
    """A whole number in a range."""

    def read(value: str) -> int:
        if not re.fullmatch(r"[+-]?\d{1,18}", value) or not least <= int(value) <= most:
            raise ValueError(f"needs a whole number from {least:,} to {most:,}.")
        return int(value)

    return read


def number(
    *, above: float | None = None, least: float | None = None, most: float | None = None, below: float | None = None
) -> Callable[[str], float]:
    """A finite number in a range; `above` and `below` leave their own values out."""
    lower = f"above {above:g}" if above is not None else f"from {least:g}"
    upper = f"to {most:,.10g}, such as 0.001 or 1e-3" if most is not None else f"to less than {below:g}, such as 0.1"

    def read(value: str) -> float:
        problem = ValueError(f"needs a number {lower} {upper}.")
        try:
            met = float(value)
        except ValueError:
            raise problem from None
        large_enough = met > above if above is not None else least is not None and met >= least
        small_enough = met <= most if most is not None else below is not None and met < below
        if not (large_enough and small_enough):
            raise problem
        return met

    return read


def one_of(values: Sequence[str]) -> Callable[[str], str]:
    """One of some words, in any case, with a dash or an underscore."""
    by_plain = {_plain(known): known for known in values}

    def read(value: str) -> str:
        if _plain(value) in by_plain:
            return by_plain[_plain(value)]
        nearest = nearest_of(value, values)
        hint = f" Did you mean `{nearest}`?" if nearest else ""
        raise ValueError(f"needs one of {', '.join(values)}.{hint}")

    return read


def _plain(word: str) -> str:
    return word.lower().replace("_", "-")


def yes_or_no(value: str) -> bool:
    """A yes or a no."""
    if value.lower() in ("yes", "true", "y", "1", "on"):
        return True
    if value.lower() in ("no", "false", "n", "0", "off"):
        return False
    raise ValueError("needs yes or no.")


def duration_s(value: str) -> float:
    """A duration such as 90, 60s, 5m or 1h30m, in seconds."""
    text = value.lower().strip()
    rule = "needs a duration above 0 and up to 7d, such as 60s, 5m or 1h30m."
    if re.fullmatch(r"\d{1,9}(\.\d+)?", text):
        seconds = float(text)
    elif _DURATION.fullmatch(text):
        seconds = sum(float(amount) * _UNITS_S[unit] for amount, unit in re.findall(r"(\d+(?:\.\d+)?)([smhd])", text))
    else:
        raise ValueError(rule)
    if not 0 < seconds <= 7 * 86400:
        raise ValueError(rule)
    return seconds


def duration_s_or_column(value: str) -> float | str:
    """A duration in seconds where the value is written like one, else the name of a column."""
    return duration_s(value) if _LIKE_DURATION.fullmatch(value.lower().strip()) else text(value)


def columns(value: str) -> tuple[str, ...]:
    """Column names between commas; one with a comma in it stands in double quotes."""
    try:
        cells = next(csv.reader([value], skipinitialspace=True), [])
    except csv.Error:
        cells = []
    names = tuple(name.strip() for name in cells if name.strip())
    if not names:
        raise ValueError("needs column names between commas, such as id,name.")
    return names


def separator(value: str) -> str:
    """The character between cells, or its name."""
    met = _SEPARATORS.get(value.lower(), value)
    if len(met) != 1 or met in "\"'\r\n":
        raise ValueError(f"needs one character, or one of {', '.join(name for name in _SEPARATORS if name.isalpha())}.")
    return met


def separator_word(character: str) -> str:
    """The character between cells as `separator` reads it, by its name where it has one."""
    return next((word for word, known in _SEPARATORS.items() if known == character), character)


def encoding(value: str) -> str:
    """The name of a text encoding that Python knows."""
    import codecs

    problem = ValueError("needs the name of a text encoding, such as utf-8, cp1252 or utf-16.")
    try:
        found = codecs.lookup(value)
    except LookupError:
        raise problem from None
    if not getattr(found, "_is_text_encoding", True):  # base64 and the like
        raise problem
    return found.name


def text(value: str) -> str:
    """Any text that is not empty, up to 200 characters."""
    if not value.strip() or len(value) > 200:
        raise ValueError("needs 1 to 200 characters.")
    return value.strip()


def csv_path(value: str) -> str:
    """The path of a CSV file to write."""
    name = re.split(r"[/\\]", value.strip())[-1]
    if not name.lower().endswith(".csv") or len(name) <= len(".csv") or len(value) > 200 or not name.isprintable():
        raise ValueError("needs the name of a CSV file to write, such as clean.csv.")
    return value.strip()


def title(value: str) -> str:
    """A short name for people, up to 80 characters."""
    if not value.strip() or len(value.strip()) > 80:
        raise ValueError("needs 1 to 80 characters.")
    return value.strip()


def run_number(word: str) -> int:
    """A run as people type it: 42 or #42."""
    if not re.fullmatch(r"#?\d{1,9}", word) or int(word.removeprefix("#")) < 1:
        raise ValueError(f"`{word}` is no run: a run is named by its number, such as 42.")
    return int(word.removeprefix("#"))
