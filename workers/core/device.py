"""What a run computes on."""

import torch

from shared.errors import failed
from shared.specs import Device


def choose_device(asked: Device) -> torch.device:
    """The GPU that PyTorch sees, unless the CPU was asked for. Raises RunFailed `gpu_missing`."""
    if asked is Device.CPU:
        return torch.device("cpu")
    found = torch.cuda.is_available()
    if asked is Device.GPU and not found:
        raise failed(
            "gpu_missing",
            "device=gpu needs a GPU that PyTorch can use; this worker has none.",
            "Say device=auto to train on what there is, or start a worker where there is a GPU.",
        )
    return torch.device("cuda" if found else "cpu")
