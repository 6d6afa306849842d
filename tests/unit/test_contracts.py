"""What others send and read only ever grows, and docs/contracts says what the code does."""

import copy
import json
import os
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from support.contracts import TOLD, broken, schemas

CONTRACTS = Path(__file__).parents[2] / "docs" / "contracts"
WRITE_GOLDEN = bool(os.environ.get("LML_WRITE_GOLDEN"))  # read here: a fixture takes every LML_ variable away
NOW = schemas()


def text_of(schema: dict[str, Any]) -> str:
    """A schema as its file has it."""
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


@pytest.mark.parametrize("name", NOW)
def test_contracts_only_grow_and_are_up_to_date(name: str) -> None:
    """The file says what the models say, and nobody who relied on the file misses something.

    LML_WRITE_GOLDEN=1 writes what has grown; what has shrunk is refused then too.
    """
    file = CONTRACTS / f"{name}.json"
    if file.exists():
        assert broken(json.loads(file.read_text(encoding="utf-8")), NOW[name], asked=name not in TOLD) == []
    if WRITE_GOLDEN:
        file.write_text(text_of(NOW[name]), encoding="utf-8")
    assert file.read_text(encoding="utf-8") == text_of(NOW[name]), "write it with LML_WRITE_GOLDEN=1"


def test_no_contract_is_left_over() -> None:
    """Every file is the contract of something."""
    assert {file.stem for file in CONTRACTS.glob("*.json")} == set(NOW)


@pytest.mark.parametrize("name", NOW)
def test_contracts_are_schemas(name: str) -> None:
    """Each is a valid JSON Schema 2020-12."""
    Draft202012Validator.check_schema(NOW[name])


OLD: dict[str, Any] = {
    "type": "object",
    "properties": {
        "model": {"enum": ["linear", "mlp"], "type": "string"},
        "epochs": {"anyOf": [{"type": "integer", "minimum": 1, "maximum": 10}, {"type": "null"}]},
        "name": {"type": "string", "maxLength": 80},
        "tags": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["model"],
}


def changed(path: str, value: Any = None) -> dict[str, Any]:
    """OLD with one place changed, or taken away where no value is given."""
    new = copy.deepcopy(OLD)
    *steps, last = path.split("/")
    place: Any = new
    for step in steps:
        place = place[int(step)] if isinstance(place, list) else place[step]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return new


@pytest.mark.parametrize(
    ("new", "asked", "said"),
    [
        (changed("properties/name"), True, "/properties/name is gone"),
        (changed("properties/name"), False, "/properties/name is gone"),
        (changed("properties/name/type", "integer"), False, "/properties/name/type: string became integer"),
        (changed("properties/name/maxLength", 40), True, "/properties/name/maxLength fell to 40"),
        (changed("properties/name/minLength", 1), True, "/properties/name/minLength rose to 1"),
        (changed("properties/name/pattern", "^a"), True, "/properties/name/pattern became ^a"),
        (changed("properties/model/enum", ["linear"]), True, "/properties/model/enum: mlp is gone"),
        (changed("properties/epochs/anyOf", [{"type": "integer"}]), True, "/properties/epochs/anyOf: null is gone"),
        (changed("properties/epochs/anyOf/0/maximum", 9), True, "/properties/epochs/maximum fell to 9"),
        (changed("properties/tags/items/type", "integer"), True, "/properties/tags/items/type: string became integer"),
        (changed("required", ["model", "name"]), True, ": name is needed now"),
        (changed("required", []), False, ": model is not always there now"),
    ],
)
def test_what_shrinks_is_named(new: dict[str, Any], asked: bool, said: str) -> None:
    """Whatever would break someone is named with its place."""
    assert broken(OLD, new, asked=asked) == [said]


@pytest.mark.parametrize(
    ("new", "asked"),
    [
        (changed("properties/more", {"type": "string"}), True),
        (changed("properties/model/enum", ["linear", "mlp", "tabm"]), True),
        (changed("properties/epochs/anyOf/0/maximum", 20), True),
        (changed("properties/name/maxLength"), True),
        (changed("required", []), True),
        (changed("required", ["model", "name"]), False),
    ],
)
def test_what_grows_is_welcome(new: dict[str, Any], asked: bool) -> None:
    """More keys, more words, wider bounds: nobody has to change for them."""
    assert broken(OLD, new, asked=asked) == []
