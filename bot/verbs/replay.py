"""`replay RUN`: do a train run that succeeded again from its log, and say what came out the same."""

from bot.again import Again, How
from bot.grammar import Verb, Words
from bot.verbs.runs_in_words import run_in


def build(words: Words) -> Again:
    """The request."""
    return Again(run=run_in(words.plain[0]), how=How.REPLAY)


VERB = Verb(
    name="replay",
    summary="Do a train run that succeeded again from its log, and say whether the weights are the same.",
    plain="RUN",
    examples=("replay 42",),
    build=build,
)
