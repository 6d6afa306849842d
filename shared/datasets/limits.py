"""What a dataset from an address may not exceed: its size, and the time in which it comes."""

from shared.datasets.address import Address
from shared.errors import RunFailed, failed
from shared.settings import Settings


def require_size(settings: Settings, address: Address, size_bytes: int) -> None:
    """Raise `RunFailed` unless a dataset of the size that is announced is taken."""
    if size_bytes > settings.max_dataset_bytes:
        raise failed(
            "dataset_too_large",
            f"A dataset may have at most {settings.max_dataset_bytes:,} bytes; `{address.name}` has {size_bytes:,}.",
            "Train on a sample, or raise LML_MAX_DATASET_BYTES.",
        )


def too_slow(address: Address) -> RunFailed:
    """The answer to a dataset that has not come in time."""
    return failed(
        "address_slow",
        f"A dataset comes within the time that LML_DATASET_FETCH_S names; `{address}` took longer.",
        "Share a smaller or packed file, or have LML_DATASET_FETCH_S raised.",
    )
