"""What a run took of a GPU: the time that one was bound to it and, where NVML tells it, the energy."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import torch


class GpuUse:
    """Measures from where it is made to `facts`."""

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self._before_mj = _energy_mj()

    def facts(self) -> dict[str, Any]:
        """`gpu_seconds`, 0 where no GPU was bound; `gpu_energy_j` of the whole device, None where it is not told."""
        bound = bool(_bound()) and torch.cuda.is_available()
        before_mj, after_mj = self._before_mj, _energy_mj() if bound else None
        return {
            "gpu_seconds": round(time.perf_counter() - self._started, 3) if bound else 0.0,
            "gpu_energy_j": None if before_mj is None or after_mj is None else round((after_mj - before_mj) / 1e3, 1),
        }


def _bound() -> list[str]:
    """The GPUs that this process may see, as CUDA is told of them."""
    return [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",") if name.strip()]


def _energy_mj() -> int | None:
    """Millijoules that the bound GPUs have taken since their driver was loaded; None where the package
    `nvidia-ml-py` or the device does not tell.
    """
    names = _bound()
    if not names:
        return None
    try:
        with _nvml() as nvml:
            return sum(int(nvml.nvmlDeviceGetTotalEnergyConsumption(_handle(nvml, name))) for name in names)
    except Exception:  # noqa: BLE001 - no package, no driver, an old device: NVML raises classes of its own
        return None


@contextmanager
def _nvml() -> Iterator[Any]:
    nvml = import_module("pynvml")
    nvml.nvmlInit()
    try:
        yield nvml
    finally:
        nvml.nvmlShutdown()


def _handle(nvml: Any, name: str) -> Any:
    """A device by its number, or by the name that begins with GPU- or MIG-."""
    return nvml.nvmlDeviceGetHandleByIndex(int(name)) if name.isdigit() else nvml.nvmlDeviceGetHandleByUUID(name)
