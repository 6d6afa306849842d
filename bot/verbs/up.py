"""`up`: keep the stack running: Redis, a worker, and the bot when Slack tokens are set."""

from dataclasses import dataclass

from bot.grammar import Verb, Words


@dataclass(frozen=True)
class Up:
    """Keep the stack running until Ctrl-C."""


def build(_words: Words) -> Up:
    """The request."""
    return Up()


VERB = Verb(
    name="up",
    summary="Keep the stack running until Ctrl-C or `down`: Redis, a worker, and the bot when Slack tokens are set.",
    plain="",
    examples=("up",),
    build=build,
    shell_only=True,
)
