"""A card under a lease: kept while its sender works on it, and given up at once by one who has lost it."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection

from shared.log import cards
from shared.log.engine import Log


class LeaseLost(Exception):
    """Another bot has the card by now: whatever was under way here is left to that one."""


@dataclass(frozen=True)
class Lease:
    """The lease of a card, as its sender has it."""

    log: Log
    run: int
    owner: str
    lease_s: float

    def keep(self) -> None:
        """Keep it from now on for its whole time; raises `LeaseLost`."""
        self.note(lambda _connection: True)

    def note(self, act: Callable[[Connection], bool]) -> None:
        """Write a note that says whether the card is still its writer's, and keep the lease; raises `LeaseLost`."""
        with self.log.write() as connection:
            mine = cards.keep(connection, self.run, owner=self.owner, lease_s=self.lease_s) and act(connection)
        if not mine:
            raise LeaseLost
