"""JSON Schemas of what crosses between LML and others, and what would break those who rely on them."""

from collections.abc import Iterator
from typing import Any

from pydantic import TypeAdapter

from shared.asked import AskedRun, AskedRuns
from shared.events import EVENT
from shared.specs import SPEC

ASKED: dict[str, TypeAdapter[Any]] = {
    "spec": SPEC,
    "asked-run": TypeAdapter(AskedRun),
    "asked-runs": TypeAdapter(AskedRuns),
}
"""What others send: each of these takes at least what it took before."""
TOLD: dict[str, TypeAdapter[Any]] = {"event": EVENT}
"""What others read: each of these says at least what it said before."""
_LOWER = ("minimum", "exclusiveMinimum", "minLength", "minItems")
_UPPER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")


def schemas() -> dict[str, dict[str, Any]]:
    """Every contract by its name, as JSON Schema 2020-12."""
    dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    asked = {name: dialect | adapter.json_schema(mode="validation") for name, adapter in ASKED.items()}
    return asked | {name: dialect | adapter.json_schema(mode="serialization") for name, adapter in TOLD.items()}


def broken(old: dict[str, Any], new: dict[str, Any], *, asked: bool) -> list[str]:
    """What someone who relies on the old schema would miss in the new one; `asked` for what others send."""
    return list(_broken(old, new, "", asked=asked))


def _broken(old: Any, new: Any, at: str, *, asked: bool) -> Iterator[str]:
    if not isinstance(old, dict) or not isinstance(new, dict):
        if old != new:
            yield f"{at}: {old} became {new}"
        return
    yield from _kinds(old, new, at)
    for name in ("properties", "$defs"):
        for key, value in old.get(name, {}).items():
            if key not in new.get(name, {}):
                yield f"{at}/{name}/{key} is gone"
            else:
                yield from _broken(value, new[name][key], f"{at}/{name}/{key}", asked=asked)
    if "items" in old:
        yield from _broken(old["items"], new.get("items", {}), f"{at}/items", asked=asked)
    before, after = set(old.get("required", ())), set(new.get("required", ()))
    missed = after - before if asked else before - after
    yield from (f"{at}: {name} is {'needed' if asked else 'not always there'} now" for name in sorted(missed))
    if asked:
        yield from _bounds(old, new, at)


def _kinds(old: dict[str, Any], new: dict[str, Any], at: str) -> Iterator[str]:
    for name in ("type", "$ref", "const"):
        if old.get(name) != new.get(name) and not (name == "const" and old.get("const") in new.get("enum", ())):
            yield f"{at}/{name}: {old.get(name)} became {new.get(name)}"
    yield from (f"{at}/enum: {word} is gone" for word in old.get("enum", ()) if word not in new.get("enum", ()))
    for name in ("anyOf", "oneOf"):
        kept = [_plain(choice) for choice in new.get(name, ())]
        yield from (f"{at}/{name}: {choice} is gone" for choice in map(_plain, old.get(name, ())) if choice not in kept)


def _plain(choice: dict[str, Any]) -> str:
    """What a choice is, without its bounds."""
    return str(choice.get("$ref") or choice.get("type"))


def _bounds(old: dict[str, Any], new: dict[str, Any], at: str) -> Iterator[str]:
    for name in _LOWER:
        if name in new and new[name] > old.get(name, float("-inf")):
            yield f"{at}/{name} rose to {new[name]}"
    for name in _UPPER:
        if name in new and new[name] < old.get(name, float("inf")):
            yield f"{at}/{name} fell to {new[name]}"
    if "pattern" in new and new["pattern"] != old.get("pattern"):
        yield f"{at}/pattern became {new['pattern']}"
    choices = (zip(old.get(name, ()), new.get(name, ()), strict=False) for name in ("anyOf", "oneOf"))
    for before, after in (pair for pairs in choices for pair in pairs):
        yield from _bounds(before, after, at) if _plain(before) == _plain(after) else ()
