"""`submit FILE`: queue the runs of a file, one JSON object in each line."""

from dataclasses import dataclass

from bot.grammar import Verb, Words


@dataclass(frozen=True)
class SubmitFile:
    """Which file holds them."""

    file: str


def build(words: Words) -> SubmitFile:
    """The request."""
    return SubmitFile(file=words.plain[0])


VERB = Verb(
    name="submit",
    summary="Queue the runs of a file with one JSON spec in each line; all of them, or none when a line is wrong.",
    plain="FILE",
    examples=("submit jobs.ndjson",),
    build=build,
    shell_only=True,
)
