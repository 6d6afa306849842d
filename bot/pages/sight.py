"""What a page is made from: who looks, and where it is looked up; and what comes out of it."""

from dataclasses import dataclass
from typing import Any

from shared.access import Principal
from shared.blobs import BlobStore
from shared.log.engine import Log
from shared.settings import Settings


@dataclass(frozen=True)
class Sight:
    """Whoever opens a page, and what can be looked up."""

    settings: Settings
    log: Log
    store: BlobStore
    principal: Principal


@dataclass(frozen=True)
class Shown:
    """A template and what stands in it."""

    template: str
    values: dict[str, Any]
    status: int = 200
