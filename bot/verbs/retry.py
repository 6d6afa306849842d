"""`retry RUN`: do a run that failed or was cancelled again, from its beginning."""

from bot.again import Again, How
from bot.grammar import Verb, Words
from bot.verbs.runs_in_words import run_in


def build(words: Words) -> Again:
    """The request."""
    return Again(run=run_in(words.plain[0]), how=How.RETRY)


VERB = Verb(
    name="retry",
    summary="Do a run that failed or was cancelled again, as a new run.",
    plain="RUN",
    examples=("retry 42",),
    build=build,
)
