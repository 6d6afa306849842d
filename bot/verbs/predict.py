"""`predict RUN DATASET`: write a trained model's predictions for a table."""

from typing import Any

from bot.grammar import Verb, Words
from bot.verbs.runs_in_words import run_in


def build(words: Words) -> Any:
    """The spec of a prediction."""
    from shared.specs import PredictSpec

    return PredictSpec(run=run_in(words.plain[0]), dataset=words.plain[1])


VERB = Verb(
    name="predict",
    summary="Write predictions.csv: the table's rows with what the model of a run says.",
    plain="RUN DATASET",
    examples=("predict 42 new_customers.csv",),
    build=build,
)
