"""Where memory ends: what says so, and what becomes of a run."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightgbm.basic import LightGBMError

from shared.errors import RunFailed
from shared.specs import Device, ModelName
from workers.core import train as training
from workers.core.development import Development, development
from workers.core.memory import memory_needed_by, ran_out
from workers.core.models import MODELS

Write = Callable[..., Path]
Fit = Callable[..., dict[str, Any]]


@pytest.mark.parametrize(
    ("error", "is_memory"),
    [
        (torch.OutOfMemoryError("CUDA out of memory."), True),
        (MemoryError(), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8000000 bytes."), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes."), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate(handle)"), True),
        (LightGBMError("std::bad_alloc"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("not enough memory"), False),
    ],
)
def test_what_says_that_memory_ended(error: Exception, is_memory: bool) -> None:
    """PyTorch on both devices, Python, cuBLAS and LightGBM each have their own words."""
    assert ran_out(error) is is_memory


def test_real_allocations_that_fail_are_known() -> None:
    """Those of PyTorch and of NumPy, as they are raised here."""
    for size in (2**62, 2**50):
        with pytest.raises(Exception) as raised:  # noqa: PT011 - which class it is differs
            torch.empty(size, dtype=torch.uint8)
        assert ran_out(raised.value)


def test_it_is_said_in_words() -> None:
    """What needs memory is named, with what to do; other faults pass as they are."""
    with pytest.raises(RunFailed) as raised, memory_needed_by("`tabm`"):
        raise MemoryError
    (problem,) = raised.value.problems
    assert problem.code == "out_of_memory"
    assert problem.sentence() == (
        "`tabm` must fit into memory; it needs more than there is. Train on a sample of the rows, or leave columns out "
        "with drop=."
    )
    with pytest.raises(ZeroDivisionError), memory_needed_by("`tabm`"):
        raise ZeroDivisionError


def test_a_candidate_without_memory_leaves_the_others(
    write: Write, fit: Fit, mixed_table: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`auto` keeps what could be trained and says what could not; a model alone fails with the reason."""

    def greedy(*_: Any, **__: Any) -> None:
        raise MemoryError

    monkeypatch.setitem(MODELS, ModelName.GBDT, greedy)
    data = write(mixed_table())
    report = fit(data, time_s=2)
    assert "gbdt" not in report["candidates"]
    assert {"linear", "mlp-ple"} <= set(report["candidates"])
    assert any(
        warning.startswith("`gbdt` could not be trained: `gbdt` must fit into memory;")
        for warning in report["warnings"]
    )
    with pytest.raises(RunFailed, match="`gbdt` must fit into memory") as raised:
        fit(data, model="gbdt")
    assert raised.value.code == "out_of_memory"


@pytest.mark.parametrize("asked", [Device.AUTO, Device.GPU])
def test_a_gpu_without_room_for_the_rows(
    write: Write, fit: Fit, mixed_table: Callable[..., str], monkeypatch: pytest.MonkeyPatch, asked: Device
) -> None:
    """The CPU trains instead, and the report says so; whoever asked for the GPU gets the reason."""

    def crowded(dataset: Any, spec: Any, device: torch.device) -> Development:
        if device.type == "cuda":
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return development(dataset, spec, device)

    monkeypatch.setattr(training, "choose_device", lambda _: torch.device("cuda"))
    monkeypatch.setattr(training, "development", crowded)
    data = write(mixed_table(80))
    if asked is Device.GPU:
        with pytest.raises(RunFailed, match="The table must fit into memory"):
            fit(data, model="linear", device=asked)
        return
    report = fit(data, model="linear", device=asked)
    assert "The GPU has no room for the table, so the CPU trained." in report["warnings"]
    assert report["plan"]["device"] == "cpu"
