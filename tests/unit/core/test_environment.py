"""A run says where it was done, and what it took of a GPU."""

import json
import subprocess
import sys
import types
from collections import Counter
from collections.abc import Callable, Iterator
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import torch

from workers.core import energy, environment
from workers.core.energy import GpuUse


@pytest.fixture(autouse=True)
def _found_anew() -> Iterator[None]:
    """What was found for one test does not stand in the next."""
    environment.environment.cache_clear()
    yield
    environment.environment.cache_clear()


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with one commit that LML seems to run from."""
    for words in (
        ("init", "-q"),
        ("config", "user.email", "ada@example.org"),
        ("config", "user.name", "Ada"),
        ("commit", "-q", "--allow-empty", "-m", "first"),
    ):
        git(tmp_path, *words)
    (tmp_path / "code.py").write_text("x = 1\n")
    git(tmp_path, "add", "code.py")
    git(tmp_path, "commit", "-q", "-m", "second")
    monkeypatch.setattr(environment, "_CHECKOUT", tmp_path)
    return tmp_path


def git(folder: Path, *words: str) -> str:
    """What git says there."""
    return subprocess.run(["git", "-C", str(folder), *words], check=True, capture_output=True, text=True).stdout.strip()


def test_packages_are_those_that_python_finds() -> None:
    """Each once, sorted, with its version; their hash stands in the environment."""
    listed = environment.packages()
    assert list(listed) == sorted(set(listed))
    assert f"torch=={metadata.version('torch')}" in listed
    assert environment.environment()["packages_sha256"] == sha256("\n".join(listed).encode()).hexdigest()


def test_the_machine_is_named() -> None:
    """Python, torch, the processor, how many of them may be used, and the host."""
    found = environment.environment()
    assert (found["python"], found["torch"]) == (sys.version.split()[0], torch.__version__)
    assert found["cpu"]
    assert found["host"]
    assert found["cpus"] >= 1
    assert found["gpus"] == []  # of what this process has computed on
    json.dumps(found)


def test_a_clean_checkout_is_told_by_its_commit(checkout: Path) -> None:
    """A file that git does not know is no part of the code."""
    (checkout / "scratch.txt").write_text("notes")
    found = environment.environment()
    assert (found["commit"], found["dirty"], found["changes_sha256"]) == (
        git(checkout, "rev-parse", "HEAD"),
        False,
        None,
    )


def test_changes_that_are_in_no_commit_are_told_apart(checkout: Path) -> None:
    """A changed tree is dirty, and two different changes have different hashes."""
    hashes = set()
    for text in ("x = 2\n", "x = 3\n"):
        (checkout / "code.py").write_text(text)
        environment.environment.cache_clear()
        found = environment.environment()
        assert found["dirty"] is True
        hashes.add(found["changes_sha256"])
    assert len(hashes) == 2


@pytest.mark.parametrize("absent", ["git", "checkout"])
def test_without_git_the_code_is_unknown(checkout: Path, monkeypatch: pytest.MonkeyPatch, absent: str) -> None:
    """An installed package, or a machine without git: nothing fails, and nothing is claimed."""
    if absent == "git":
        monkeypatch.setenv("PATH", "")
    else:
        monkeypatch.setattr(environment, "_CHECKOUT", checkout / "elsewhere")
    found = environment.environment()
    assert (found["commit"], found["dirty"], found["changes_sha256"]) == (None, None, None)


def test_the_package_lock_is_an_artifact(
    write: Callable[..., Path], fit: Callable[..., dict[str, Any]], line_table: Callable[..., str], tmp_path: Path
) -> None:
    """`environment.json` holds what the report says, and every package; a run without a GPU took no seconds of one."""
    report = fit(write(line_table()), model="linear")
    listed = json.loads((tmp_path / "out" / "environment.json").read_text())
    assert listed == {**report["environment"], "packages": list(environment.packages())}
    assert (report["gpu_seconds"], report["gpu_energy_j"]) == (0.0, None)
    assert report["peak_memory_mb"] > 0


class _Nvml(types.ModuleType):
    """A driver that tells 2,500 mJ more of a device each time it is asked."""

    def __init__(self, *, energy_is_known: bool = True) -> None:
        super().__init__("pynvml")
        self.energy_is_known = energy_is_known
        self.told = Counter[object]()
        self.nvmlInit = self.nvmlShutdown = lambda: None
        self.nvmlDeviceGetHandleByIndex = self.nvmlDeviceGetHandleByUUID = lambda name: name
        self.nvmlDeviceGetTotalEnergyConsumption = self._tell

    def _tell(self, handle: object) -> int:
        if not self.energy_is_known:
            raise RuntimeError("Not Supported")
        self.told[handle] += 2_500
        return self.told[handle]


@pytest.mark.parametrize(("known", "bound", "joules"), [(True, "GPU-1", 2.5), (True, "0,1", 5.0), (False, "0", None)])
def test_a_gpu_run_tells_seconds_and_energy(
    monkeypatch: pytest.MonkeyPatch, known: bool, bound: str, joules: float | None
) -> None:
    """Seconds since the run began to compute, and joules where the driver tells them."""
    monkeypatch.setitem(sys.modules, "pynvml", _Nvml(energy_is_known=known))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", bound)
    use = GpuUse()
    moment = energy.time.perf_counter() + 7.0
    monkeypatch.setattr(energy.time, "perf_counter", lambda: moment)
    facts = use.facts()
    assert facts["gpu_seconds"] == pytest.approx(7.0, abs=0.5)
    assert facts["gpu_energy_j"] == joules


def test_a_run_that_is_kept_from_gpus_took_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """A CPU slot's run names no GPU, whatever the machine has."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert GpuUse().facts() == {"gpu_seconds": 0.0, "gpu_energy_j": None}
