"""`evaluate RUN DATASET`: score a trained model on a table."""

from typing import Any

from bot.grammar import Verb, Words
from bot.verbs.runs_in_words import run_in


def build(words: Words) -> Any:
    """The spec of an evaluation."""
    from shared.specs import EvaluateSpec

    return EvaluateSpec(run=run_in(words.plain[0]), dataset=words.plain[1])


VERB = Verb(
    name="evaluate",
    summary="Score the model of a run on a table; rows that it was trained on are left out.",
    plain="RUN DATASET",
    examples=("evaluate 42 march.csv",),
    build=build,
)
