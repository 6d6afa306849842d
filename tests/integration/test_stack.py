"""The embedded stack: one command starts it, many share it, nothing of it stays."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.deadline import until
from support.place import Shell

from bot.terminal.redis_server import find_redis_server, server_version
from bot.terminal.stack import Stack, StackState, write_state
from shared.errors import RefusedWords
from shared.settings import Settings


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    """A shell with a home of its own; whatever stays running there fails the test and is ended."""
    made = Shell(Settings(home=tmp_path / "home"))
    yield made
    left = processes_of(made)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert not left


@pytest.fixture
def line(tmp_path: Path) -> Path:
    """x = 1..100, y = 2x."""
    path = tmp_path / "line.csv"
    path.write_text("x,y\n" + "".join(f"{n},{2 * n}\n" for n in range(1, 101)))
    return path


def processes_of(shell: Shell) -> list[int]:
    """Every process whose environment names this home."""
    wanted = f"LML_HOME={shell.settings.home_folder}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and wanted in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
        except OSError:  # it has ended, or is not ours
            continue
    return found


def test_two_commands_at_once_share_one_stack_that_ends_with_the_last(shell: Shell, line: Path) -> None:
    """Both runs succeed on one keeper, and no process stays."""
    both = [shell.start("train", str(line), "model=linear", f"seed={seed}", "--json") for seed in (1, 2)]
    answers = [json.loads(process.communicate(timeout=90)[0]) for process in both]
    assert [answer["state"] for answer in answers] == ["succeeded", "succeeded"]
    assert {answer["run"] for answer in answers} == {1, 2}
    assert processes_of(shell) == []


def test_a_killed_command_leaves_no_process_and_the_next_one_works(shell: Shell, line: Path) -> None:
    """kill -9 on the only command: the kernel gives its lock back, and the keeper stops the stack."""
    stack = Stack(shell.settings.stack_folder)
    command = shell.start("train", str(line), "time=5m")
    until(lambda: stack.state() is not None, what="the stack runs")
    command.kill()
    command.communicate()
    until(lambda: not processes_of(shell), what="every process has ended")
    assert shell.run("train", str(line), "model=linear")[0] == 0


def test_a_killed_keeper_takes_its_servers_with_it_and_is_recognised(shell: Shell, line: Path) -> None:
    """A state file without a keeper is stale: the next command starts anew."""
    stack = Stack(shell.settings.stack_folder)
    with stack_up(shell):
        state = stack.state()
        assert state is not None
        os.kill(state.keeper_pid, signal.SIGKILL)
        until(lambda: stack.state() is None, what="the keeper's death is seen")
    write_state(shell.settings.stack_folder, StackState(keeper_pid=1, redis_url="redis://127.0.0.1:1/0"))
    assert stack.state() is None
    assert shell.run("train", str(line), "model=linear")[0] == 0


def test_up_keeps_runs_that_were_detached(shell: Shell, line: Path) -> None:
    """`--detach` returns at once with the run's number; `status` and `show` find it; Ctrl-C stops everything."""
    with stack_up(shell):
        code, answer = shell.run("train", str(line), "model=linear", "--detach")
        assert (code, answer["run"]) == (0, 1)
        shown = until(
            lambda: (found := shell.run("show", "1")[1])["state"] == "succeeded" and found, what="the run has ended"
        )
        assert shown["metrics"]["test"]["r2"] > 0.9999
        assert shell.run("status")[1]["items"] == []
    assert processes_of(shell) == []


def test_detach_without_a_stack_is_refused(shell: Shell, line: Path) -> None:
    """The answer says what to run first, and no run is written."""
    code, answer = shell.run("train", str(line), "--detach")
    assert (code, answer["state"], answer["error"]["code"]) == (2, "refused", "no_stack")
    assert "lml up" in answer["error"]["hint"]
    assert shell.run("log")[1]["items"] == []


def test_a_second_up_is_refused(shell: Shell) -> None:
    """One `lml up` for each home."""
    with stack_up(shell):
        code, answer = shell.run("up")
        assert (code, answer["error"]["code"]) == (2, "already_up")


def test_a_worker_that_cannot_start_is_told_and_the_run_fails(shell: Shell, line: Path, tmp_path: Path) -> None:
    """Three deaths soon after the start are no accident: the waiting run ends with the place of the worker's words."""
    (tmp_path / "workers").mkdir()
    (tmp_path / "workers" / "__main__.py").write_text("raise SystemExit('broken on purpose')\n")
    (tmp_path / "workers" / "__init__.py").touch()
    shell.environment["PYTHONPATH"] = str(tmp_path)
    process = shell.start("train", str(line), "--json")
    answer = json.loads(process.communicate(timeout=90)[0])
    assert (process.returncode, answer["state"], answer["error"]["code"]) == (1, "failed", "worker_unavailable")
    words = shell.settings.stack_folder / "worker.log"
    assert str(words) in answer["error"]["hint"]
    assert "broken on purpose" in words.read_text()


def test_no_redis_at_all_is_refused_with_the_package_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither on the path nor in a wheel: what to install stands in the hint."""
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(RefusedWords) as refusal:
        find_redis_server()
    assert refusal.value.code == "redis_missing"
    assert "redis-server" in refusal.value.problems[0].hint


def test_an_old_server_on_the_path_is_passed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A redis-server below 6.2 is named and not used."""
    old = tmp_path / "redis-server"
    old.write_text("#!/bin/sh\necho 'Redis server v=5.0.14 sha=0'\n")
    old.chmod(0o755)
    assert server_version(old) == (5, 0)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    assert find_redis_server() != old


class stack_up:  # noqa: N801 - read as a word: with stack_up(shell)
    """`lml up` for a block, stopped by Ctrl-C."""

    def __init__(self, shell: Shell) -> None:
        self.shell = shell

    def __enter__(self) -> "subprocess.Popen[str]":
        """Wait until it says that it is ready."""
        self.process = self.shell.start("up", start_new_session=True)
        assert self.process.stderr is not None
        said = ""
        for text in self.process.stderr:
            said += text
            if text.startswith("Ready."):
                return self.process
        raise AssertionError(said)

    def __exit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(self.process.communicate()[1]) from None


def test_the_command_runs_from_any_directory(shell: Shell, tmp_path: Path) -> None:
    """`.venv/bin/lml` needs no particular place."""
    script = Path(sys.executable).with_name("lml")
    done = subprocess.run([script, "help"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "train DATASET" in done.stdout


def test_a_person_s_own_folders_are_not_taken_for_ours(shell: Shell, line: Path, tmp_path: Path) -> None:
    """Where someone types, folders called `shared`, `bot` and `workers` may lie."""
    for name in ("shared", "bot", "workers"):
        (tmp_path / "theirs" / name).mkdir(parents=True)
        (tmp_path / "theirs" / name / "__init__.py").write_text("raise SystemExit('not ours')\n")
    script = Path(sys.executable).with_name("lml")
    environment = {**os.environ, "LML_HOME": str(shell.settings.home_folder)}
    words = [script, "train", str(line), "model=linear", "--json"]
    done = subprocess.run(words, cwd=tmp_path / "theirs", env=environment, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["state"] == "succeeded"
