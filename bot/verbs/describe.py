"""`describe DATASET`: what a table holds, as training would understand it."""

from typing import Any

from bot import values
from bot.grammar import Key, Verb, Words
from bot.verbs.table_keys import COLUMN_KEYS, FILE_KEYS, TARGET_KEYS
from shared.errors import RefusedWords


def build(words: Words) -> Any:
    """The spec of a description."""
    from shared.combinations import column_problems
    from shared.specs import DescribeSpec

    spec = DescribeSpec(dataset=words.plain[0], **words.values)
    problems = column_problems(spec)
    if problems:
        raise RefusedWords(*problems)
    return spec


VERB = Verb(
    name="describe",
    summary="Say what a table holds, and what training would make of it.",
    plain="DATASET",
    keys=(
        *TARGET_KEYS,
        *COLUMN_KEYS,
        *FILE_KEYS,
        Key("write", "clean.csv", "write the table as it was understood to this file", values.csv_path, "The result"),
    ),
    examples=(
        "describe churn.csv",
        "describe prices.csv target=price sep=semicolon",
        "describe export.csv --write clean.csv",
    ),
    build=build,
)
