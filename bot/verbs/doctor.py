"""`doctor`: check what LML needs, and say the fix of what is missing."""

from dataclasses import dataclass

from bot.grammar import Verb, Words


@dataclass(frozen=True)
class Doctor:
    """Check Python, Redis, the database, the disk, the GPU, tokens and scopes."""


def build(_words: Words) -> Doctor:
    """The request."""
    return Doctor()


VERB = Verb(
    name="doctor",
    summary="Check Python, Redis, database, disk, GPU, Slack tokens and scopes, and say each fix.",
    plain="",
    examples=("doctor",),
    build=build,
    shell_only=True,
)
