"""`make demo`: the main job on the examples, with a real Redis, a real worker process and the same `lml` as in a shell.

Everything it makes stays below LML_HOME (~/.lml unless set); no process stays behind.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

EXAMPLES = Path(__file__).parent
LML = str(Path(sys.executable).with_name("lml"))
READY_WITHIN_S = 120


def main() -> int:
    """Train twice, evaluate, compare, predict; then say where everything lies."""
    up = subprocess.Popen([LML, "up"], stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        if not _ready(up):
            return 1
        wine = str(EXAMPLES / "wine.csv")
        first = _run("train", wine, "model=linear", "name=first try")
        second = _run("train", wine, "name=auto")
        _run("evaluate", second, wine)
        _run("compare", first, second)
        _run("predict", second, wine)
        _run("log", "limit=5")
    except subprocess.CalledProcessError as error:
        _say(f"`{' '.join(error.cmd[1:])}` ended with exit code {error.returncode}.")
        return 1
    finally:
        up.send_signal(signal.SIGINT)
        up.wait(timeout=60)
    home = Path(os.environ.get("LML_HOME", "~/.lml")).expanduser()
    _say(f"\nThe artifacts lie in {home / 'runs'} (a model.onnx for each train run), the log in {home / 'log.db'}.")
    _say("Try next, with a table of yours:   .venv/bin/lml train your.csv        .venv/bin/lml help train")
    _say("Keep the stack running:            .venv/bin/lml up                    Slack: docs/slack.md")
    return 0


def _ready(up: "subprocess.Popen[str]") -> bool:
    """Show what `lml up` says until it is ready."""
    assert up.stderr is not None  # noqa: S101 - asked for above
    deadline = time.monotonic() + READY_WITHIN_S
    for line in up.stderr:
        _say(line.rstrip())
        if line.startswith("Ready."):
            return True
        if time.monotonic() > deadline:
            break
    _say("The stack did not start; `.venv/bin/lml doctor` checks what it needs.")
    return False


def _run(*words: str) -> str:
    """One command, as typed, with its card; returns the number of its run."""
    _say(f"\n$ lml {' '.join(words)}")
    before = _newest()
    subprocess.run([LML, *words], check=True)
    after = _newest()
    return after if after != before else ""


def _newest() -> str:
    listed = subprocess.run([LML, "log", "limit=1", "--json"], check=True, capture_output=True, text=True)
    items = json.loads(listed.stdout)["items"]
    return str(items[0]["run"]) if items else ""


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
