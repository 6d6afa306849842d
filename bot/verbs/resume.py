"""`resume RUN`: go on with a run that was stopped, from its last checkpoint."""

from bot.again import Again, How
from bot.grammar import Verb, Words
from bot.verbs.runs_in_words import run_in


def build(words: Words) -> Again:
    """The request."""
    return Again(run=run_in(words.plain[0]), how=How.RESUME)


VERB = Verb(
    name="resume",
    summary="Go on with a run that was cancelled or failed, from its last checkpoint, as a new run.",
    plain="RUN",
    examples=("resume 42",),
    build=build,
)
