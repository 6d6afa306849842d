"""What every check of blocks is made of: texts, lists, sizes, and the refusal."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

from support.slack_limits import fits

Json = dict[str, Any]


class BrokenLimit(Exception):
    """What Slack refuses: its code, the place in the blocks, and the rule."""

    def __init__(self, code: str, where: str, rule: str) -> None:
        super().__init__(f"{code} at {where or '/'}: {rule}")
        self.code, self.where, self.rule = code, where, rule


def text_object(text: Any, rule: str, where: str, *, plain: bool = False) -> None:
    """Refuse what is no text of the right kind and size."""
    if not isinstance(text, dict) or text.get("type") not in ("plain_text", "mrkdwn"):
        raise invalid(where, "a text object")
    if plain and text["type"] != "plain_text":
        raise invalid(f"{where}/type", "plain_text")
    # `emoji` belongs to plain_text and `verbatim` to mrkdwn; each is refused in the other.
    only(text, {"type", "text", "emoji" if text["type"] == "plain_text" else "verbatim"}, where)
    if not isinstance(text.get("text"), str) or not fits(rule, len(text["text"])) or not text["text"].strip():
        raise invalid(f"{where}/text", rule)


def listed(holder: Json, name: str, rule: str, where: str) -> list[Any]:
    """The list of a field, of the size that a rule wants."""
    items = holder.get(name)
    if not isinstance(items, list) or not fits(rule, len(items)):
        raise invalid(f"{where}/{name}", rule)
    return items


def named(holder: Json, name: str, where: str) -> None:
    """Refuse a name or label of a chart that is missing or too long."""
    sized(holder, name, "data_visualization.label", where, needed=True)


def sized(holder: Json, name: str, rule: str, where: str, *, needed: bool = False) -> None:
    """Refuse a string of the wrong size."""
    value = holder.get(name)
    if value is None and not needed:
        return
    if not isinstance(value, str) or not fits(rule, len(value)):
        raise invalid(f"{where}/{name}", rule)


def only(holder: Json, allowed: Iterable[str], where: str) -> None:
    """Refuse fields that Slack does not know."""
    unknown = set(holder) - set(allowed)
    if unknown:
        raise invalid(where, f"no field {', '.join(sorted(unknown))}")


def unique(values: Iterable[Any], where: str, rule: str) -> None:
    """Refuse what is there twice."""
    met = [value for value in values if value is not None]
    if len(set(met)) != len(met):
        raise invalid(where, rule)


def finite(value: Any) -> bool:
    """Whether it is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def characters(rows: Sequence[Sequence[Json]]) -> int:
    """The characters of all cells."""
    return sum(len(str(cell.get("text", ""))) for row in rows for cell in row)


def invalid(where: str, rule: str) -> BrokenLimit:
    """Slack's answer to blocks that it does not take."""
    return BrokenLimit("invalid_blocks", where, rule)
