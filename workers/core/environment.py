"""Where a run was done: the code, the packages, the machine; enough to say later what has changed since."""

import hashlib
import json
import os
import platform
import re
import shutil
import socket
import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

ENVIRONMENT = "environment.json"
_CHECKOUT = Path(__file__).parents[2]
_GIT_WITHIN_S = 10.0


@cache
def environment() -> dict[str, Any]:
    """What stands in a run's result, found once a process: plain values, None where something cannot be known.

    `commit` is None where LML does not run from a checkout; `dirty` says whether tracked files differed from it, and
    `changes_sha256` is the hash of those differences. `cpus` are those that the process may use, `gpus` the names of
    those that it has computed on.
    """
    import torch  # here, so that who only asks for the name of the file does without it

    return {
        "lml": _version("lml"),
        **_code(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "driver": _driver(),
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu(),
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "gpus": _gpus(),
        "host": socket.gethostname(),
        "packages_sha256": hashlib.sha256("\n".join(packages()).encode()).hexdigest(),
    }


def write_environment(out: Path) -> None:
    """Write `environment.json`: the environment, and its packages one by one."""
    text = json.dumps({**environment(), "packages": packages()}, indent=2, ensure_ascii=False)
    (out / ENVIRONMENT).write_text(text + "\n", encoding="utf-8")


@cache
def packages() -> tuple[str, ...]:
    """Every package that Python finds, `name==version`, sorted: the lock with which the run can be repeated."""
    found = dict[str, str]()
    for distribution in metadata.distributions():
        # Its own parser of these few lines takes half a second for a hundred packages.
        text = distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or ""
        name, version = (_field(text, field) for field in ("Name", "Version"))
        if name and version:  # the first of two is the one that is imported
            found.setdefault(re.sub(r"[-_.]+", "-", name).lower(), version)
    return tuple(sorted(f"{name}=={version}" for name, version in found.items()))


def _field(text: str, name: str) -> str | None:
    met = re.search(rf"^{name}: *(\S+)", text.partition("\n\n")[0], re.MULTILINE)
    return met[1] if met else None


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _code() -> dict[str, Any]:
    """The commit of the checkout, and what is in none."""
    unknown = {"commit": None, "dirty": None, "changes_sha256": None}
    if not (_CHECKOUT / ".git").exists():
        return unknown
    commit, changes = _git("rev-parse", "HEAD"), _git("diff", "HEAD", "--no-ext-diff", "--no-textconv", "--binary")
    if commit is None or changes is None:
        return unknown
    digest = hashlib.sha256(changes).hexdigest() if changes else None
    return {"commit": commit.decode().strip(), "dirty": bool(changes), "changes_sha256": digest}


def _git(*words: str) -> bytes | None:
    """What git says of the checkout; None where there is none, or it does not answer."""
    program = shutil.which("git")
    if program is None:
        return None
    # It must not write the index: someone may be at work in the checkout.
    surroundings = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            [program, "-C", str(_CHECKOUT), *words],
            env=surroundings,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_GIT_WITHIN_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout


def _cpu() -> str:
    """The name of the processor, as Linux tells it."""
    try:
        found = re.search(r"^(?:model name|Model)\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found[1].strip() if found else platform.processor() or platform.machine()


def _driver() -> str | None:
    """The version of NVIDIA's driver."""
    try:
        found = re.search(r"\b(\d+\.\d+(?:\.\d+)?)\b", Path("/proc/driver/nvidia/version").read_text())
    except OSError:
        return None
    return found[1] if found else None


def _gpus() -> list[str]:
    """The GPUs that PyTorch has computed on; asking for those that it has not would take memory of them."""
    import torch

    if not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return []
    return [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
