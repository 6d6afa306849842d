"""`down`: stop the stack that `up` keeps running."""

from dataclasses import dataclass

from bot.grammar import Verb, Words


@dataclass(frozen=True)
class Down:
    """Stop the stack of this home."""


def build(_words: Words) -> Down:
    """The request."""
    return Down()


VERB = Verb(
    name="down",
    summary="Stop the stack that `up` keeps running; runs checkpoint and wait for the next one.",
    plain="",
    examples=("down",),
    build=build,
    shell_only=True,
)
