"""What happens where memory ends: one candidate less, said in words, instead of a run that is lost."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from lightgbm.basic import LightGBMError

from shared.errors import failed

# How PyTorch on a CPU, cuBLAS and the C++ of LightGBM say it; they raise no class of their own.
_WORDS = ("not enough memory", "can't allocate memory", "out of memory", "alloc_failed", "bad_alloc", "bad allocation")


def ran_out(error: BaseException) -> bool:
    """Whether an exception says that memory ended, on the device or on the machine."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    said = str(error).lower()
    return isinstance(error, RuntimeError | LightGBMError) and any(words in said for words in _WORDS)


@contextmanager
def memory_needed_by(what: str) -> Iterator[None]:
    """Raises RunFailed `out_of_memory`, which names `what`, where its block finds no memory."""
    try:
        yield
    except Exception as error:
        if not ran_out(error):
            raise
        raise failed(
            "out_of_memory",
            f"{what} must fit into memory; it needs more than there is.",
            "Train on a sample of the rows, or leave columns out with drop=.",
        ) from error
