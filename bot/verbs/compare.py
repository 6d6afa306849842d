"""`compare RUN RUN...`: put trained models side by side on the same rows."""

from typing import Any

from bot.grammar import Key, Verb, Words
from bot.values import text
from bot.verbs.runs_in_words import runs_in
from shared.errors import refused


def build(words: Words) -> Any:
    """The spec of a comparison."""
    from shared.specs import CompareSpec

    runs = tuple(dict.fromkeys(runs_in(words.plain)))
    if not 2 <= len(runs) <= 10:
        met = ", ".join(str(run) for run in runs)
        raise refused("bad_run", f"`compare` needs 2 to 10 different runs; met {met}.", "`log kind=train` lists them.")
    return CompareSpec(runs=runs, dataset=words.values.get("on"))


VERB = Verb(
    name="compare",
    summary="Compare the models of runs on the test rows that they share, and say which can be told apart.",
    plain="RUN RUN...",
    examples=("compare 41 42", "compare 41 42 43", "compare 41 42 on=march.csv"),
    keys=(Key("on", "DATASET", "a table to compare on instead; rows that one of them was trained on count not", text),),
    build=build,
)
