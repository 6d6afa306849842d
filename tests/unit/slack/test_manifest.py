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
from bot.slack.scopes import EVENT_SCOPES, METHOD_SCOPES, OPTIONAL, REQUIRED
from bot.slack.shortcuts import TRAIN_ON_FILE
from bot.slack.typed import PREFIX

ROOT = Path(__file__).parents[3]
SHARED_DATA = Path(os.environ.get("LML_SHARED_DATA", ROOT.parent / "shared" / "data"))

CALLS = {
    "auth_test": ("auth.test",),
    "apps_connections_open": ("apps.connections.open",),
    "chat_postMessage": ("chat.postMessage",),
    "chat_update": ("chat.update",),
    "chat_postEphemeral": ("chat.postEphemeral",),
    "conversations_history": ("conversations.history",),
    "conversations_replies": ("conversations.replies",),
    "conversations_info": ("conversations.info",),
    "users_info": ("users.info",),
    "usergroups_users_list": ("usergroups.users.list",),
    "files_list": ("files.list",),
    "files_info": ("files.info",),
    "files_getUploadURLExternal": ("files.getUploadURLExternal",),
    "files_completeUploadExternal": ("files.completeUploadExternal",),
    "bots_info": ("bots.info",),
    "views_open": ("views.open",),
    "views_update": ("views.update",),
    "views_publish": ("views.publish",),
}
"""What each call of the client is in the Web API."""


FILES = ("slack-manifest.yaml", "slack-manifest-http.yaml")


@pytest.fixture(params=FILES)
def manifest(request: pytest.FixtureRequest) -> dict[str, Any]:
    return read(request.param)


def read(name: str) -> dict[str, Any]:
    met: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / name).read_text())
    return met


def listened_to(kind: str) -> set[str]:
    """The names that the bot's Slack side hands to `app.<kind>(...)`, as far as they stand there as text."""
    calls = [
        node
        for file in (ROOT / "bot" / "slack").glob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == kind
    ]
    named = [call.args[0] for call in calls if call.args]
    return {str(name.value) for name in named if isinstance(name, ast.Constant)}


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
    called = {scope for scopes in METHOD_SCOPES.values() for scope in scopes}
    heard = {scope for scopes in EVENT_SCOPES.values() for scope in scopes}
    assert {*REQUIRED, *OPTIONAL} == called | heard | {"commands"}


def test_the_manifest_subscribes_to_what_is_listened_to(manifest: dict[str, Any]) -> None:
    """The manifest's events are those that listeners name, of messages the direct ones; each has its scopes."""
    events = manifest["settings"]["event_subscriptions"]["bot_events"]
    assert sorted(events) == sorted(EVENT_SCOPES)
    assert {name.partition(".")[0] for name in events} == listened_to("event")


def test_the_manifest_offers_the_shortcut_and_the_tab(manifest: dict[str, Any]) -> None:
    """The manifest's shortcut is the one that is listened to; the home tab is on, and people may write to the bot."""
    (shortcut,) = manifest["features"]["shortcuts"]
    assert (shortcut["type"], shortcut["callback_id"]) == ("message", TRAIN_ON_FILE)
    home = manifest["features"]["app_home"]
    assert home["home_tab_enabled"]
    assert home["messages_tab_enabled"]
    assert not home["messages_tab_read_only_enabled"]
    assert manifest["settings"]["interactivity"]["is_enabled"]


def test_the_manifests_differ_in_how_requests_travel_only() -> None:
    """Over HTTP there are addresses, all of them the same; over Socket Mode there is none."""
    socket, http = (read(name) for name in FILES)
    address = http["features"]["slash_commands"][0].pop("url")
    asked = http["settings"]["interactivity"]
    assert {asked.pop("request_url"), asked.pop("message_menu_options_url")} == {address}
    assert http["settings"]["event_subscriptions"].pop("request_url") == address
    assert address.endswith("/slack/events")
    assert (socket["settings"].pop("socket_mode_enabled"), http["settings"].pop("socket_mode_enabled")) == (True, False)
    assert socket == http


def test_the_manifest_offers_the_command(manifest: dict[str, Any]) -> None:
    """The manifest's one command is the one that is listened to, and people in it come as ids."""
    (command,) = manifest["features"]["slash_commands"]
    assert command["command"] == PREFIX
    assert command["should_escape"] is True
    assert command["usage_hint"].split()[0] in VERB_NAMES


def test_the_manifest_fits_slacks_schema(manifest: dict[str, Any]) -> None:
    """Slack's own schema of manifests takes it."""
    schema = SHARED_DATA / "slack-manifest.schema.json"
    if not schema.is_file():
        pytest.skip(f"Slack's manifest schema is not at {schema}; set LML_SHARED_DATA.")
    jsonschema.validate(manifest, json.loads(schema.read_text()))
