"""`doctor` names what is missing, with the fix, and never breaks on it."""

import json
import os
from pathlib import Path

import pytest
from pydantic import SecretStr
from support.fake_slack import APP_TOKEN, BOT_TOKEN, FakeSlack

from bot.doctor import Check, answer, checks
from bot.slack.scopes import REQUIRED
from shared.log.engine import SCHEMA_REVISION, open_log
from shared.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path)


def by_name(settings: Settings, **changes: object) -> dict[str, Check]:
    return {check.name: check for check in checks(settings.model_copy(update=changes))}


def test_a_bare_machine_is_well(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Slack, a GPU or a log there is nothing to fix; what is not set says how to set it."""
    monkeypatch.setattr("shutil.which", lambda _name: None)
    met = by_name(settings)
    assert met["Python"].ok
    assert met["Disk"].ok
    assert met["Database"].ok is None
    assert met["GPU"] == Check("GPU", None, "none was found (no nvidia-smi on the path); runs train on the CPU")
    assert met["Slack"].fix == "Set LML_SLACK_BOT_TOKEN to answer in Slack (docs/slack.md)."


def test_an_old_python_is_named(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Python below 3.11 is refused with the version to install."""
    monkeypatch.setattr("sys.version_info", (3, 10, 0))
    assert by_name(settings)["Python"].fix == "Install Python 3.11 or newer."


def test_missing_packages_are_named(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without the worker's packages is told which, without importing any."""
    monkeypatch.setattr("bot.doctor.WORKER_PACKAGES", ("json", "no_such_package"))
    check = by_name(settings)["Worker packages"]
    assert check.ok is False
    assert check.detail.endswith("not installed here: no_such_package.")
    assert check.fix == "Run `pip install 'lml[worker]'` where the worker runs."


def test_a_redis_that_is_away_is_named_without_its_password(settings: Settings) -> None:
    """The answer names the address and the variable, never the password."""
    check = by_name(settings, redis_url=SecretStr("redis://:secret@127.0.0.1:1/0"))["Redis"]
    assert check.ok is False
    assert check.detail.startswith("Redis at 127.0.0.1:1/0 does not answer")
    assert "LML_REDIS_URL" in check.fix
    assert "secret" not in check.detail


def test_the_log_is_opened(settings: Settings) -> None:
    """A log that is there is opened and its revision named; one that cannot be is named with the variable."""
    open_log(settings.log_url)
    assert by_name(settings)["Database"].detail.endswith(f"its tables are at revision {SCHEMA_REVISION}")
    away = by_name(settings, database_url=SecretStr("postgresql://127.0.0.1:1/lml"))["Database"]
    assert away.ok is False
    assert "LML_DATABASE_URL" in away.fix


def test_a_newer_log_is_named(settings: Settings) -> None:
    """Tables of a newer version are left alone, with the advice to use that version."""
    from sqlalchemy import text

    with open_log(settings.log_url).write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    check = by_name(settings)["Database"]
    assert check.ok is False
    assert check.fix == "Use the version of LML that made them, or a newer one."


def test_a_full_disk_is_named(settings: Settings) -> None:
    """Less room than a run needs is a failure, with what is there and what is needed."""
    check = by_name(settings, min_free_bytes=10**18)["Disk"]
    assert check.ok is False
    assert "a run needs 1,000,000,000,000,000,000" in check.detail
    assert "LML_HOME" in check.fix


def test_a_broken_driver_is_named(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An nvidia-smi that fails is a failure with its own words; one that answers names the GPU."""
    tool = tmp_path / "nvidia-smi"
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    tool.write_text("#!/bin/sh\necho 'driver mismatch' >&2\nexit 9\n")
    tool.chmod(0o755)
    check = by_name(settings)["GPU"]
    assert (check.ok, check.detail) == (False, "nvidia-smi is there and fails: driver mismatch.")
    tool.write_text("#!/bin/sh\necho 'NVIDIA H100, 81559 MiB'\n")
    assert by_name(settings)["GPU"].detail == "NVIDIA H100, 81559 MiB"


def test_slack_is_asked(settings: Settings) -> None:
    """With good tokens every check of Slack is well; what is wrong with one has its own answer."""
    with FakeSlack() as slack:
        tokens = {
            "slack_bot_token": SecretStr(BOT_TOKEN),
            "slack_app_token": SecretStr(APP_TOKEN),
            "slack_api_url": slack.url,
        }
        met = by_name(settings, **tokens)
        assert met["Slack bot token"].detail == "lml in Fake (T0TEAM)"
        assert met["Slack scopes"].detail == "all that are needed"
        assert met["Slack app token"].ok
        slack.scopes = {*REQUIRED} - {"files:write"}
        check = by_name(settings, **tokens)["Slack scopes"]
        assert (check.ok, check.detail) == (False, "The token lacks files:write.")
        slack.scopes = {*REQUIRED}
        assert "optional and not granted: channels:history" in by_name(settings, **tokens)["Slack scopes"].detail
        slack.scopes = None
        assert by_name(settings, **tokens)["Slack scopes"].ok is None
        wrong = tokens | {"slack_bot_token": SecretStr("xoxb-wrong"), "slack_app_token": SecretStr("xapp-wrong")}
        met = by_name(settings, **wrong)
        assert met["Slack bot token"].detail == "Slack does not take it: invalid_auth."
        assert met["Slack app token"].fix.startswith("Make an app-level token with the scope connections:write")
        http = tokens | {"slack_app_token": None, "slack_signing_secret": SecretStr("s")}
        assert by_name(settings, **http)["Slack transport"].ok
        neither = by_name(settings, **(tokens | {"slack_app_token": None}))["Slack transport"]
        assert neither.detail == "Neither LML_SLACK_APP_TOKEN (Socket Mode) nor LML_SLACK_SIGNING_SECRET (HTTP) is set."


def test_slack_away_is_named(settings: Settings) -> None:
    """A Slack that does not answer is named with its address."""
    tokens = {"slack_bot_token": SecretStr(BOT_TOKEN), "slack_api_url": "http://127.0.0.1:1/api"}
    check = by_name(settings, **tokens)["Slack bot token"]
    assert check.detail.startswith("Slack at http://127.0.0.1:1/api/ does not answer")


def test_the_answer_fails_when_a_check_does(settings: Settings) -> None:
    """The envelope holds every check, fails when one does, and carries no token."""
    full = settings.model_copy(update={"min_free_bytes": 10**18, "slack_signing_secret": SecretStr("hush-hush")})
    met = answer(full)
    assert met.envelope["state"] == met.card.state == "failed"
    assert met.envelope["error"]["code"] == "doctor_failed"
    assert [item["name"] for item in met.envelope["items"]][:2] == ["Python", "Worker packages"]
    assert "hush" not in json.dumps(met.envelope)
    assert any(note.startswith("Disk: Free some space") for note in met.card.notes)


def test_the_access_file_is_read(settings: Settings, tmp_path: Path) -> None:
    """A good access file is summed up; everything that is wrong with another one is named; none is well too."""
    assert "Access" not in by_name(settings)
    path = tmp_path / "access.toml"
    path.write_text('default = "viewer"\n[users]\nU0ADA = "admin"\n[groups]\nS0OPS = "operator"')
    good = by_name(settings, access_file=path)["Access"]
    assert good.ok
    assert good.detail == f"{path} gives roles to 1 users, 1 groups, 0 channels; other full members: viewer"
    path.write_text('[users]\nada = "admin"\nU0BEN = "boss"')
    bad = by_name(settings, access_file=path)["Access"]
    assert bad.ok is False
    assert "`ada` is not a user's id" in bad.detail
    assert "`U0BEN` is one of" in bad.detail
    assert "docs/access.md" in bad.fix
