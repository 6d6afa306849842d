"""The OpenAPI 3.1 document of the door, from the same pydantic models that read its requests."""

from functools import cache
from http import HTTPStatus
from typing import Any

from pydantic.json_schema import models_json_schema
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from bot.http.batches import MEDIA_TYPES
from bot.http.problems import MEDIA_TYPE
from shared.asked import AskedRun
from shared.log.states import RunState

_SCHEMAS = "#/components/schemas/"
_NUMBER = {"name": "run", "in": "path", "required": True, "schema": {"type": "integer", "minimum": 1}}
_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "What is sent again with the same key is the same run.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}
_TEXT, _WHOLE, _MOMENT = {"type": "string"}, {"type": "integer"}, {"type": ["string", "null"], "format": "date-time"}
_RANGE = {"type": ["array", "null"], "items": {"type": "number"}, "minItems": 2, "maxItems": 2}
_ARTIFACT = {"type": "object", "properties": {"name": _TEXT, "sha256": _TEXT, "size_bytes": _WHOLE, "href": _TEXT}}
_PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "code", "problems"],
    "properties": {
        **dict.fromkeys(("type", "title", "detail", "code"), _TEXT),
        "status": _WHOLE,
        "problems": {
            "type": "array",
            "minItems": 1,
            "items": {"type": "object", "properties": {"code": _TEXT, "message": _TEXT, "hint": _TEXT}},
        },
    },
}
_RUN = {
    "type": "object",
    "description": "What a kind of run found out stands beside these under names of its own.",
    "required": ["run", "kind", "state", "links"],
    "properties": {
        "run": _WHOLE,
        "kind": _TEXT,
        "state": {"enum": [state.value for state in RunState]},
        "artifacts": {"type": "array", "items": _ARTIFACT},
        "error": {"type": ["object", "null"], "properties": {"code": _TEXT, "message": _TEXT, "hint": _TEXT}},
        "position": {"type": ["integer", "null"], "description": "1 for the run that is next."},
        "starts_in_s": _RANGE,
        "ends_in_s": _RANGE,
        "seed_of": {"type": ["integer", "null"], "description": "The run of which this one is a seed."},
        "seeds": {
            "type": "array",
            "description": "Of a run with seeds: the run of each, and what it reached.",
            "items": {
                "type": "object",
                "properties": {
                    **dict.fromkeys(("seed", "run"), _WHOLE),
                    "state": {"enum": [state.value for state in RunState]},
                    "score": {"type": ["number", "null"]},
                    "problem": {"type": ["string", "null"]},
                },
            },
        },
        "last_event": _WHOLE,
        "priority": _TEXT,
        "batch": {"type": ["string", "null"]},
        "tags": {"type": "array", "items": _TEXT},
        **{f"{name}_at": _MOMENT for name in ("created", "queued", "started", "ended")},
        "deadline": _MOMENT,
        "links": {"type": "object", "properties": {"self": _TEXT, "cancel": _TEXT}},
    },
}


async def document(_request: Request) -> Response:
    """The document, for everyone: it says nothing that the source does not."""
    return JSONResponse(openapi())


@cache
def openapi() -> dict[str, Any]:
    """The whole document."""
    _, defined = models_json_schema([(AskedRun, "validation")], ref_template=_SCHEMAS + "{model}")
    return {
        "openapi": "3.1.0",
        "info": {"title": "LML", "version": "1", "description": "The door for other services; docs/services.md."},
        "security": [{"token": []}],
        "paths": _paths(),
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {**defined["$defs"], "Run": _RUN, "Problem": _PROBLEM},
        },
    }


def _paths() -> dict[str, Any]:
    run = {"application/json": {"schema": {"$ref": f"{_SCHEMAS}Run"}}}
    asked = {"application/json": {"schema": {"$ref": f"{_SCHEMAS}AskedRun"}}}
    lines = {MEDIA_TYPES[0]: {"schema": {"type": "string", "description": "One AskedRun in each line."}}}
    answers = {MEDIA_TYPES[0]: {"schema": {"type": "string", "description": "A run, or a problem, for each line."}}}
    file = {"*/*": {"schema": {"type": "string", "contentMediaType": "application/octet-stream"}}}
    name = {"name": "name", "in": "path", "required": True, "schema": _TEXT}
    return {
        "/v1/runs": {
            "post": _does(
                "Ask for a run.",
                {202: run, 200: run},
                refused=(401, 403, 413, 415, 422, 429, 503),
                parameters=[_KEY],
                body=asked,
            )
        },
        "/v1/runs/{run}": {"get": _does("A run as it stands.", {200: run}, parameters=[_NUMBER])},
        "/v1/runs/{run}/cancel": {
            "post": _does("Stop a run.", {200: run, 202: run}, refused=(401, 403, 404, 409, 503), parameters=[_NUMBER])
        },
        "/v1/runs/{run}/artifacts/{name}": {
            "get": _does("A file that a run made.", {200: file, 206: file, 304: None}, parameters=[_NUMBER, name])
        },
        "/v1/batches": {
            "post": _does(
                "Ask for many runs: a line for each, an answer for each line.",
                {200: answers},
                refused=(401, 403, 413, 415, 422, 503),
                parameters=[_KEY],
                body=lines,
            )
        },
        "/v1/openapi.json": {
            "get": {"summary": "This document.", "security": [], "responses": {"200": {"description": "OK"}}}
        },
    }


def _does(
    summary: str,
    answers: dict[int, Any],
    *,
    refused: tuple[int, ...] = (401, 403, 404, 503),
    parameters: list[Any],
    body: dict[str, Any] | None = None,
) -> dict[str, Any]:
    problem = {MEDIA_TYPE: {"schema": {"$ref": f"{_SCHEMAS}Problem"}}}
    responses = {**answers, **dict.fromkeys(refused, problem)}
    operation: dict[str, Any] = {
        "summary": summary,
        "parameters": parameters,
        "responses": {
            str(status): {"description": HTTPStatus(status).phrase, **({"content": content} if content else {})}
            for status, content in responses.items()
        },
    }
    return operation if body is None else {**operation, "requestBody": {"required": True, "content": body}}
