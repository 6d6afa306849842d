"""`export RUN`, a zip that stands alone; `export format=csv`, the log as a table."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bot import values
from bot.grammar import Key, Verb, Words
from bot.search_words import NOTES, query_of
from bot.verbs.runs_in_words import run_in
from shared.errors import refused
from shared.search import Query

if TYPE_CHECKING:
    from bot.desk import Answer, Desk

FORMATS = ("csv", "jsonl", "parquet")


@dataclass(frozen=True)
class Export:
    """A run, or a format and which runs; `out` is the file, None for one in the current folder."""

    run: int | None = None
    format: str | None = None
    query: Query = field(default_factory=Query)
    most: int | None = None
    """How many runs at most; None for all of them."""
    out: str | None = None


def build(words: Words) -> Export:
    """The request."""
    plain, out = _taken(list(words.plain), "out")
    plain, form = _taken(plain, "format")
    if form is not None:
        query = query_of(plain)
        if query.order != Query().order:
            raise refused("bad_value", "An export stands in the order of its runs, newest first.", "Leave sort away.")
        is_limited = any(word.lower().lstrip("-").startswith("limit") for word in plain)
        return Export(format=_format(form), query=query, most=query.limit if is_limited else None, out=out)
    if len(plain) != 1:
        met = " ".join(plain) or "nothing"
        raise refused(
            "missing_word" if not plain else "extra_word",
            f"`export` takes one run, or format={'|'.join(FORMATS)} and conditions; met {met}.",
            "`export 42` writes run-42.zip; `export format=csv` writes the log.",
        )
    return Export(run=run_in(plain[0]), out=out)


def _format(word: str) -> str:
    try:
        return values.one_of(FORMATS)(word)
    except ValueError as error:
        raise refused("bad_value", f"`format={word}`: {error}", VERB.how_to) from None


def _taken(words: list[str], key: str) -> tuple[list[str], str | None]:
    """The words without `key=value`, `--key=value` or `--key value`, and that value."""
    rest, met = list[str](), list[str]()
    waiting = list(words)
    while waiting:
        word = waiting.pop(0)
        name, equals, value = word.removeprefix("--").partition("=")
        if name.lower() == key and equals:
            met.append(value)
        elif word.lower() == f"--{key}":
            met.append(waiting.pop(0) if waiting else "")
        else:
            rest.append(word)
    if len(met) > 1:
        raise refused("repeated_key", f"`{key}` is given more than once.", "Give it once.")
    if met and not met[0]:
        raise refused("missing_value", f"`{key}` has no value.", f"Write `{key}=VALUE`.")
    return rest, met[0] if met else None


def answer(desk: "Desk", request: Export) -> "Answer":
    """The file, written."""
    from bot.export.writing import export_log, export_run

    return export_log(desk, request) if request.run is None else export_run(desk, request)


VERB = Verb(
    name="export",
    summary="Write one run as a zip that stands alone, or the log as a table.",
    plain="[RUN|CONDITION]...",
    keys=(
        Key("out", "PATH", "the new file; run-RUN.zip or log.FORMAT in the current folder unless given", values.text),
        Key("format", "|".join(FORMATS), "write the log, as far as the conditions fit, not one run", values.text),
    ),
    examples=(
        "export 42",
        "export 42 out=/tmp/churn.zip",
        "export format=csv",
        "export format=jsonl ds:churn kind:train since:30d out=churn.jsonl",
    ),
    build=build,
    answer=answer,
    shell_only=True,
    own_words=True,
    notes=NOTES,
)
