"""The OpenAPI document says what is served."""

from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from support.http_client import Client

from bot.http.app import DOOR_ROUTES
from bot.http.openapi import openapi


def references(part: Any) -> Iterator[str]:
    """Every $ref in a document."""
    if isinstance(part, dict):
        yield from (value for key, value in part.items() if key == "$ref")
        for value in part.values():
            yield from references(value)
    elif isinstance(part, list):
        for value in part:
            yield from references(value)


def validator(name: str) -> Draft202012Validator:
    return Draft202012Validator({"$ref": f"#/components/schemas/{name}", "components": openapi()["components"]})


def test_every_path_is_documented_and_no_other() -> None:
    """Each route of the door stands in the document with its method."""
    served = {
        (route.path, method.lower()) for route in DOOR_ROUTES for method in route.methods or () if method != "HEAD"
    }
    documented = {(path, method) for path, methods in openapi()["paths"].items() for method in methods}
    assert documented == served


def test_references_lead_somewhere() -> None:
    """Every reference of the document is in it, and its schemas are JSON Schema 2020-12."""
    schemas = openapi()["components"]["schemas"]
    assert {name.removeprefix("#/components/schemas/") for name in references(openapi())} <= set(schemas)
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)


def test_everyone_may_read_it(address: str) -> None:
    """It is served without a token."""
    reply = Client(address, None).get("/v1/openapi.json")
    assert (reply.status, reply.json["openapi"]) == (200, "3.1.0")


@pytest.mark.parametrize(
    ("body", "fits"),
    [
        ({"spec": {"kind": "probe"}, "priority": "low", "tags": ["a"]}, True),
        ({"spec": {"kind": "train", "dataset": "a.csv", "epochs": 0}}, False),
        ({"spec": {"kind": "probe"}, "x": 1}, False),
    ],
)
def test_it_knows_what_the_door_takes(client: Client, body: dict[str, Any], fits: bool) -> None:
    """A request fits the document's schema if, and only if, the door understands it."""
    assert validator("AskedRun").is_valid(body) is fits
    assert (client.post("/v1/runs", body).status == 202) is fits


def test_answers_are_as_it_says(client: Client) -> None:
    """A run and a problem are what their schemas say."""
    validator("Run").validate(client.post("/v1/runs", {"spec": {"kind": "probe"}}).json)
    validator("Problem").validate(client.post("/v1/runs", {}).json)
