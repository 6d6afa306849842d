"""The manifest asks for what the code uses, no more and no less."""

import ast
import json
import os
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from bot.grammar import VERB_NAMES
from bot.slack.command import PREFIX
from bot.slack.scopes import METHOD_SCOPES, OPTIONAL, REQUIRED

ROOT = Path(__file__).parents[3]
SHARED_DATA = Path(os.environ.get("LML_SHARED_DATA", ROOT.parent / "shared" / "data"))

CALLS = {
    "auth_test": ("auth.test",),
    "apps_connections_open": ("apps.connections.open",),
    "chat_postMessage": ("chat.postMessage",),
    "chat_update": ("chat.update",),
    "chat_postEphemeral": ("chat.postEphemeral",),
    "conversations_history": ("conversations.history",),
    "files_list": ("files.list",),
    "files_upload_v2": ("files.getUploadURLExternal", "files.completeUploadExternal"),
}
"""What each call of the client is in the Web API."""


@pytest.fixture
def manifest() -> dict[str, Any]:
    met: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / "slack-manifest.yaml").read_text())
    return met


def called_methods() -> set[str]:
    """The methods of Slack's client that the bot's code names anywhere."""
    from slack_sdk import WebClient

    known = {name for name in vars(WebClient) if not name.startswith("_")} - {"api_call", "base_url", "token"}
    names = {
        node.attr
        for file in (ROOT / "bot").rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Attribute)
    }
    return names & known


def test_every_call_is_known_and_has_its_scope() -> None:
    """Each Web API method that the code calls stands in the table of scopes, and the table holds no other."""
    called = called_methods()
    assert called == set(CALLS)
    methods = {method for name in called for method in CALLS[name]} - {"apps.connections.open"}
    assert methods == set(METHOD_SCOPES)


def test_the_manifest_asks_for_exactly_these_scopes(manifest: dict[str, Any]) -> None:
    """The manifest's scopes are those of the code: of its methods, of the command, and the optional ones."""
    assert manifest["oauth_config"]["scopes"]["bot"] == [*REQUIRED, *OPTIONAL]
    needed = {scope for scope in METHOD_SCOPES.values() if scope is not None} | {"commands"}
    assert set(REQUIRED) | {"channels:history"} == needed


def test_the_manifest_offers_the_command(manifest: dict[str, Any]) -> None:
    """The manifest's one command is the one that is listened to, escaped, and nothing is subscribed to."""
    (command,) = manifest["features"]["slash_commands"]
    assert command["command"] == PREFIX
    assert command["should_escape"] is True
    assert command["usage_hint"].split()[0] in VERB_NAMES
    assert "event_subscriptions" not in manifest["settings"]


def test_the_manifest_fits_slacks_schema(manifest: dict[str, Any]) -> None:
    """Slack's own schema of manifests takes it."""
    schema = SHARED_DATA / "slack-manifest.schema.json"
    if not schema.is_file():
        pytest.skip(f"Slack's manifest schema is not at {schema}; set LML_SHARED_DATA.")
    jsonschema.validate(manifest, json.loads(schema.read_text()))
