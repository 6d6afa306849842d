"""How much of Block Kit a card may use: as it is meant, without the newest blocks, or as plain text.

What a workspace refuses is remembered for a while in this process, so that not every card has to be refused first.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from threading import Lock
from typing import Any

from bot.cards import Card
from bot.slack.blocks import Block
from bot.slack.render import message

NEWEST = frozenset({"plan", "task_card", "data_visualization", "data_table"})
"""The blocks that a workspace may not know yet."""

REMEMBERED_S = 3600.0


class Look(IntEnum):
    """How a card is drawn."""

    MODERN = 0  # with the newest blocks
    CLASSIC = 1  # with blocks that every workspace knows
    PLAIN = 2  # as a text alone


class Looks:
    """Which look each card has now. One for a process; used by many threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, Lock()
        self._classic_until = 0.0
        self._refused: dict[Any, tuple[Any, Look]] = {}

    def of(self, key: Any, state: Any) -> Look:
        """The look of a card in a state; each state is tried again as it is meant to look."""
        with self._lock:
            usual = Look.CLASSIC if self._clock() < self._classic_until else Look.MODERN
            met = self._refused.get(key)
            return max(met[1], usual) if met is not None and met[0] == state else usual

    def refuse(self, key: Any, state: Any, blocks: Sequence[Mapping[str, Any]]) -> bool:
        """Slack refused these blocks: the next look of this card is plainer. False when there is no plainer one."""
        if not blocks:
            return False
        newest = any(block.get("type") in NEWEST for block in blocks)
        with self._lock:
            self._refused[key] = (state, Look.CLASSIC if newest else Look.PLAIN)
        return True

    def take(self, key: Any, state: Any) -> None:
        """Slack took a card: where that was one whose newest blocks it had refused, it does not know them."""
        with self._lock:
            met = self._refused.pop(key, None)
            if met == (state, Look.CLASSIC):
                self._classic_until = self._clock() + REMEMBERED_S

    def forget(self, key: Any) -> None:
        """Nothing more will be sent of this."""
        with self._lock:
            self._refused.pop(key, None)


def drawn(card: Card, look: Look, *, buttons: Block | None = None) -> tuple[str, list[Block]]:
    """The card as a text and blocks."""
    text, blocks = message(card, buttons=buttons, classic=look is not Look.MODERN)
    return text, [] if look is Look.PLAIN else blocks
