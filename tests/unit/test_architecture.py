"""The walls of the house: what may be loaded where, how long a module is, and what nothing may be called."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PARTS = ("bot", "workers", "shared")
MODULES = sorted(file for part in PARTS for file in (REPOSITORY / part).rglob("*.py"))
HEAVY = {"torch", "polars", "numpy", "onnx", "onnxruntime", "sklearn", "scipy", "matplotlib", "workers"}
LIGHT_START = {"pydantic", "pydantic_settings", "sqlalchemy", "alembic", "rich", "celery", "kombu", "redis"}
LIGHT_START |= {"slack_bolt", "slack_sdk", "uvicorn", "starlette"}
MOST_LINES = 400


def loaded_by(module: str, home: Path) -> set[str]:
    """The top-level packages that a fresh interpreter holds after importing a module, in a home without anything."""
    code = f"import json, sys, {module}; print(json.dumps(sorted({{name.split('.')[0] for name in sys.modules}})))"
    environment = {"HOME": str(home), "LML_HOME": str(home / "lml"), "PATH": os.environ["PATH"]}
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=home, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    assert len(run.stdout.splitlines()) == 1, "something was printed at import"
    return set(json.loads(run.stdout))


@pytest.mark.parametrize(
    "module",
    [
        "bot.__main__",
        "bot.answers",
        "bot.slack.app",
        "bot.terminal.commands",
        "bot.terminal.keeper",
        "bot.terminal.main",
        "bot.terminal.up",
        "shared.log.attempts",
    ],
)
def test_bot_and_shared_load_no_core(module: str, tmp_path: Path) -> None:
    """Neither the bot nor shared loads torch, a table library or the worker, and importing them touches no file."""
    assert loaded_by(module, tmp_path) & HEAVY == set()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("module", ["bot.terminal.main", "bot.grammar", "bot.verbs.train", "bot.verbs.help"])
def test_the_shell_starts_light(module: str, tmp_path: Path) -> None:
    """`lml help` and refused words need none of the libraries that talk to others, so they answer at once."""
    assert loaded_by(module, tmp_path) & (HEAVY | LIGHT_START) == set()


@pytest.mark.parametrize(
    "module", ["workers", "workers.__main__", "workers.supervise", "workers.sweep", "workers.tasks"]
)
def test_what_forks_loads_no_torch(module: str, tmp_path: Path) -> None:
    """The processes of the worker that hold no run load neither torch nor the bot, and importing leaves no file."""
    assert loaded_by(module, tmp_path) & {"torch", "slack_bolt", "slack_sdk", "rich", "bot"} == set()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("file", MODULES, ids=lambda file: str(file.relative_to(REPOSITORY)))
def test_modules_stay_short_and_say_what_they_are_for(file: Path) -> None:
    """A module fits into the head: below 400 lines, with a first line that says what it is for."""
    text = file.read_text(encoding="utf-8")
    assert text.count("\n") < MOST_LINES, f"{file} has {text.count(chr(10))} lines; split it"
    assert ast.get_docstring(ast.parse(text)), f"{file} does not say what it is for"


def test_nothing_is_called_utils() -> None:
    """Files are nouns for things and verbs for acts; a bag has no name here."""
    bags = {"util", "utils", "helper", "helpers", "manager", "managers", "common", "misc", "base", "core_utils"}
    named = [part for file in MODULES for part in file.relative_to(REPOSITORY).with_suffix("").parts if part in bags]
    assert named == []


def test_every_folder_is_a_package() -> None:
    """Each folder with code in it has an __init__.py, except where Alembic runs its own files."""
    folders = {file.parent for file in MODULES}
    without = [str(folder.relative_to(REPOSITORY)) for folder in folders if not (folder / "__init__.py").exists()]
    assert sorted(without) == ["shared/log/migrations", "shared/log/migrations/versions"]
