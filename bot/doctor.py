"""`doctor`: checks what LML needs, one by one, and says the fix of what is missing. Needs nothing of it to run."""

import importlib.util
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bot.answers import envelope
from bot.cards import Card, Table
from bot.desk import Answer
from shared.errors import LmlError, Problem
from shared.settings import Settings

LEAST_PYTHON = (3, 11)
LEAST_REDIS = (6, 2)
WORKER_PACKAGES = ("celery", "matplotlib", "numpy", "onnx", "onnxruntime", "polars", "safetensors", "sklearn", "torch")
_TIMEOUT_S = 10


@dataclass(frozen=True)
class Check:
    """One thing that was looked at: `ok` is None when it is not set up and need not be."""

    name: str
    ok: bool | None
    detail: str
    fix: str = ""


def checks(settings: Settings) -> list[Check]:
    """Every check, each whatever became of the others."""
    looks: Sequence[tuple[str, Callable[[Settings], list[Check]]]] = (
        ("Python", _python),
        ("Worker packages", _worker_packages),
        ("Redis", _redis),
        ("Database", _database),
        ("Disk", _disk),
        ("Disk use", _disk_use),
        ("GPU", _gpu),
        ("Slack", _slack),
        ("Access", _access),
    )
    return [check for name, look in looks for check in _looked(name, look, settings)]


def answer(settings: Settings) -> Answer:
    """The checks as an answer; its state is failed when one of them is."""
    met = checks(settings)
    wrong = [check for check in met if check.ok is False]
    table = Table(
        caption="What LML needs",
        header=("check", "state", "what was found"),
        rows=tuple((check.name, _STATES[check.ok], check.detail) for check in met),
    )
    card = Card(
        title="Doctor",
        state="failed" if wrong else "succeeded",
        headline=_headline(len(wrong)),
        tables=(table,),
        notes=tuple(f"{check.name}: {check.fix}" for check in met if check.fix),
    )
    problems = [Problem("doctor_failed", f"{check.name}: {check.detail}", check.fix) for check in wrong]
    body = envelope("doctor", card.state, problems=problems, items=[asdict(check) for check in met])
    return Answer(card=card, envelope=body)


_STATES = {True: "ok", False: "FAILED", None: "not set"}


def _headline(wrong: int) -> str:
    if not wrong:
        return "everything that is set up works"
    return f"{wrong} check{'s' if wrong > 1 else ''} failed; the fixes are below"


def _looked(name: str, look: Callable[[Settings], list[Check]], settings: Settings) -> list[Check]:
    try:
        return look(settings)
    except LmlError as error:
        problem = error.problems[0]
        return [Check(name, False, problem.message, problem.hint)]
    except Exception as error:  # noqa: BLE001 - the border: one check that breaks hides no other
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        return [Check(name, False, f"The check itself broke: {reason}.", "Report this with `lml doctor --json`.")]


def _python(_settings: Settings) -> list[Check]:
    version = platform.python_version()
    if sys.version_info >= LEAST_PYTHON:
        return [Check("Python", True, f"{version} at {sys.executable}")]
    least = ".".join(map(str, LEAST_PYTHON))
    return [Check("Python", False, f"{version}; LML needs {least} or newer.", f"Install Python {least} or newer.")]


def _worker_packages(_settings: Settings) -> list[Check]:
    missing = [name for name in WORKER_PACKAGES if importlib.util.find_spec(name) is None]
    if not missing:
        return [Check("Worker packages", True, "all of them are installed")]
    return [
        Check(
            "Worker packages",
            False,
            f"A worker needs packages that are not installed here: {', '.join(missing)}.",
            "Run `pip install 'lml[worker]'` where the worker runs.",
        )
    ]


def _redis(settings: Settings) -> list[Check]:
    if settings.redis_url is None:
        from bot.terminal.redis_server import find_redis_server

        return [Check("Redis", True, f"embedded, from {find_redis_server()}; LML_REDIS_URL is not set")]
    from bot.delivery.doorbell import redis_away
    from shared import bell

    url = settings.redis_url.get_secret_value()
    try:
        client = bell.connect(url)
        found = str(client.info("server")["redis_version"])
        client.close()
    except Exception as error:
        # Whatever redis-py raises (it does not connect, is refused, the address is none) means the same to people.
        raise redis_away(url, error) from error
    if tuple(int(part) for part in found.split(".")[:2]) < LEAST_REDIS:
        least = ".".join(map(str, LEAST_REDIS))
        return [Check("Redis", False, f"It is {found}; LML needs {least} or newer.", f"Upgrade Redis to {least}.")]
    return [Check("Redis", True, f"{found} answers")]


def _database(settings: Settings) -> list[Check]:
    from shared.log.engine import SCHEMA_REVISION, Log

    log = Log(settings.log_url)
    if log.url.get_backend_name() == "sqlite" and not Path(str(log.url.database)).exists():
        return [Check("Database", None, f"{log.address} is not there yet; the first command makes it")]
    revision = log.revision()
    if revision is None:
        return [Check("Database", True, f"{log.address} answers; the first command makes its tables")]
    if revision > SCHEMA_REVISION:
        known = f"this LML knows revisions up to {SCHEMA_REVISION}"
        fix = "Use the version of LML that made them, or a newer one."
        return [Check("Database", False, f"The tables at {log.address} are at revision {revision}; {known}", fix)]
    if revision < SCHEMA_REVISION:
        return [Check("Database", True, f"{log.address} answers; the next command brings its tables up to date")]
    return [Check("Database", True, f"{log.address} answers; its tables are at revision {SCHEMA_REVISION}")]


def _disk(settings: Settings) -> list[Check]:
    home = settings.home_folder
    existing = next(folder for folder in (home, *home.parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    if free >= settings.min_free_bytes:
        return [Check("Disk", True, f"{free / 1024**3:,.1f} GiB free at {home}")]
    return [
        Check(
            "Disk",
            False,
            f"{free:,} bytes free at {home}; a run needs {settings.min_free_bytes:,}.",
            "Free some space there, or set LML_HOME to another disk.",
        )
    ]


def _disk_use(settings: Settings) -> list[Check]:
    from bot.disk_use import sentence

    if not settings.home_folder.exists():
        return []
    return [Check("Disk use", True, sentence(settings))]


def _gpu(_settings: Settings) -> list[Check]:
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return [Check("GPU", None, "none was found (no nvidia-smi on the path); runs train on the CPU")]
    query = [tool, "--query-gpu=name,memory.total", "--format=csv,noheader"]
    met = subprocess.run(query, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    words = (met.stdout or met.stderr).strip().splitlines()
    if met.returncode == 0 and words:
        return [Check("GPU", True, "; ".join(words))]
    reason = words[0] if words else f"exit {met.returncode}"
    return [
        Check("GPU", False, f"nvidia-smi is there and fails: {reason}.", "Reinstall or load the driver (nvidia-smi).")
    ]


def _slack(settings: Settings) -> list[Check]:
    if settings.slack_bot_token is None:
        how = "Set LML_SLACK_BOT_TOKEN to answer in Slack (docs/slack.md)."
        return [Check("Slack", None, "LML_SLACK_BOT_TOKEN is not set; the shell works without it", how)]
    return [*_bot_token(settings), _transport(settings)]


def _access(settings: Settings) -> list[Check]:
    from shared.roles import read_file

    path = settings.access_path
    if path is None:
        everyone = "LML_ACCESS_FILE is not set: every full member of the workspace is a trainer"
        return [Check("Access", None, everyone)] if settings.slack_bot_token is not None else []
    try:
        return [Check("Access", True, f"{path} gives roles to {read_file(path).in_words()}")]
    except LmlError as error:
        said = " ".join(problem.message for problem in error.problems)
        return [Check("Access", False, said, error.problems[0].hint)]


def _bot_token(settings: Settings) -> list[Check]:
    from slack_sdk.errors import SlackApiError

    from bot.slack.scopes import OPTIONAL, REQUIRED
    from bot.slack.web import LOST, code_of, web_client

    again = "Copy the Bot User OAuth Token from OAuth & Permissions again."
    try:
        me = web_client(settings).auth_test()
    except SlackApiError as error:
        return [Check("Slack bot token", False, f"Slack does not take it: {code_of(error)}.", again)]
    except LOST as error:
        return [Check("Slack bot token", False, *_away(settings, error))]
    token = Check("Slack bot token", True, f"{me.get('user')} in {me.get('team')} ({me.get('team_id')})")
    headers = {str(name).lower(): str(value) for name, value in dict(me.headers).items()}
    granted = {scope.strip() for scope in headers.get("x-oauth-scopes", "").split(",") if scope.strip()}
    if not granted:
        return [token, Check("Slack scopes", None, "this Slack does not say which scopes the token has")]
    missing = [scope for scope in REQUIRED if scope not in granted]
    if missing:
        fix = "Add them under OAuth & Permissions (or use deploy/slack-manifest.yaml), then install the app again."
        return [token, Check("Slack scopes", False, f"The token lacks {', '.join(missing)}.", fix)]
    without = [scope for scope in OPTIONAL if scope not in granted]
    note = f"; optional and not granted: {', '.join(without)}" if without else ""
    return [token, Check("Slack scopes", True, f"all that are needed{note}")]


def _transport(settings: Settings) -> Check:
    from slack_sdk.errors import SlackApiError

    from bot.slack.scopes import SOCKET_MODE_SCOPE
    from bot.slack.web import LOST, code_of, web_client

    if settings.slack_app_token is None:
        if settings.slack_signing_secret is not None:
            where = f"{settings.http_host}:{settings.http_port}/slack/events"
            return Check("Slack transport", True, f"HTTP on {where}; LML_SLACK_SIGNING_SECRET is set")
        return Check(
            "Slack transport",
            False,
            "Neither LML_SLACK_APP_TOKEN (Socket Mode) nor LML_SLACK_SIGNING_SECRET (HTTP) is set.",
            "Make an app-level token and set LML_SLACK_APP_TOKEN (docs/slack.md, step 3).",
        )
    token = settings.slack_app_token.get_secret_value()
    try:
        web_client(settings, token=token).apps_connections_open(app_token=token)
    except SlackApiError as error:
        return Check(
            "Slack app token",
            False,
            f"Slack does not take LML_SLACK_APP_TOKEN for Socket Mode: {code_of(error)}.",
            f"Make an app-level token with the scope {SOCKET_MODE_SCOPE}, and turn Socket Mode on.",
        )
    except LOST as error:
        return Check("Slack app token", False, *_away(settings, error))
    return Check("Slack app token", True, "Socket Mode opens")


def _away(settings: Settings, error: BaseException) -> tuple[str, str]:
    from bot.slack.web import api_url

    reason = getattr(error, "reason", "") or error
    detail = f"Slack at {api_url(settings)} does not answer: {reason}."
    return detail, "Check the network and proxy of this machine, and LML_SLACK_API_URL."
