"""A home as people have it: its log and Redis, a shell in it, and real workers."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bot.terminal.children import Child, start_child
from shared.settings import Settings
from support.deadline import until


class WorkerProcess:
    """`python -m workers`, for real."""

    def __init__(self, settings: Settings, folder: Path, environment: dict[str, str] | None = None) -> None:
        self.folder = folder
        self.ready_file = folder / "worker.ready"
        self.ready_file.unlink(missing_ok=True)
        self.child: Child = start_child(
            [sys.executable, "-m", "workers"],
            log_file=folder / "worker.log",
            environment={
                "LML_HOME": str(settings.home_folder),
                "LML_REDIS_URL": settings.require_redis_url(),
                "LML_DATABASE_URL": settings.log_url,
                "LML_READY_FILE": str(self.ready_file),
                **(environment or {}),
            },
        )

    def wait_until_ready(self) -> None:
        """Wait until it takes runs."""
        ended = self.child.exit_code
        until(lambda: self.ready_file.exists() or ended() is not None, what="the worker is ready", within_s=60)
        assert self.child.exit_code() is None, (self.folder / "worker.log").read_text()


@dataclass
class Shell:
    """A person's shell: the `lml` command as a process of its own, with JSON answers."""

    settings: Settings
    environment: dict[str, str] = field(default_factory=dict)

    def start(self, *words: str, **options: Any) -> "subprocess.Popen[str]":
        """Start a command and leave it running."""
        return subprocess.Popen(
            [sys.executable, "-m", "bot.terminal.main", *words],
            env={**os.environ, "LML_HOME": str(self.settings.home_folder), **self.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )

    def run(self, *words: str, within_s: float = 90) -> tuple[int, dict[str, Any]]:
        """One command to its end: its exit code and the one line that it prints."""
        process = self.start(*words, "--json")
        out, err = process.communicate(timeout=within_s)
        assert len(out.splitlines()) == 1, (out, err)
        return process.returncode, json.loads(out)


@dataclass
class Place:
    """A home with its log and Redis, a shell in it, and workers that are stopped in the end."""

    settings: Settings
    shell: Shell
    workers: list[WorkerProcess] = field(default_factory=list)

    def start_worker(self, **environment: str) -> WorkerProcess:
        """A worker that takes runs; waits until it does."""
        folder = self.settings.home_folder / f"worker-{len(self.workers)}"
        folder.mkdir(parents=True)
        worker = WorkerProcess(self.settings, folder, environment)
        self.workers.append(worker)
        worker.wait_until_ready()
        return worker
