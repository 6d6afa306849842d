"""What a front hands to a verb that answers at once, and what it gets back."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bot.cards import Card
    from shared.access import Principal
    from shared.blobs import BlobStore
    from shared.log.engine import Log
    from shared.settings import Settings


@dataclass(frozen=True)
class Desk:
    """Where a request is answered: who asks, and what can be looked up."""

    settings: "Settings"
    log: "Log"
    store: "BlobStore"
    principal: "Principal"
    prefix: str = "lml"
    """How commands begin here, for the words of an answer: `lml` or `/lml`."""


@dataclass(frozen=True)
class Answer:
    """An answer for people (a card) and for machines (an envelope)."""

    card: "Card"
    envelope: dict[str, Any]
