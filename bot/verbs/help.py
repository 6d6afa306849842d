"""`help [VERB]`: what can be asked, with examples."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING

from bot.grammar import VERB_NAMES, Key, Verb, Words, load_verb, nearest_of
from shared.errors import refused

if TYPE_CHECKING:
    from bot.cards import Card
    from bot.desk import Answer, Desk


_SHELL_ONLY = "For a shell only, on the machine of the stack."
_QUOTED = re.compile(r"`([^`]+)`")


@dataclass(frozen=True)
class Help:
    """Help on one verb, or on all."""

    verb: str | None


def build(words: Words) -> Help:
    """The request; an unknown verb is refused with the nearest one."""
    verb = words.plain[0].lower() if words.plain else None
    if verb is not None and verb not in VERB_NAMES:
        nearest = nearest_of(verb, VERB_NAMES)
        raise refused(
            "unknown_verb",
            f"There is no verb `{verb}`.",
            f"Did you mean `{nearest}`?" if nearest else "`help` lists them.",
        )
    return Help(verb=verb)


def help_text(request: Help, *, prefix: str, shell: bool) -> str:
    """The help as plain text; `prefix` is how commands begin there (`lml` or `/lml`)."""
    if request.verb is None:
        verbs = [load_verb(name) for name in VERB_NAMES]
        shown = [verb for verb in verbs if shell or not verb.shell_only]
        width = max(len(f"{verb.name} {verb.plain}") for verb in shown)
        lines = [f"  {f'{verb.name} {verb.plain}':<{width}}  {verb.summary}" for verb in shown]
        more = ["", *SHELL_OPTIONS] if shell else []
        tail = [
            "",
            f"Keys are written key=value or --key value. `{prefix} help VERB` shows a verb's keys and examples.",
        ]
        return "\n".join([f"{prefix} trains, evaluates and compares models on tables.", "", *lines, *more, *tail])
    verb = load_verb(request.verb)
    lines = [
        verb.summary,
        "",
        f"  {prefix} {verb.name} {verb.plain}".rstrip() + (" [key=value ...]" if verb.keys else ""),
    ]
    for heading, keys in groupby(verb.keys, key=lambda key: key.heading):
        lines += ["", *([f"{heading}:"] if heading else []), *_key_lines(verb, list(keys))]
    lines += ["", *verb.notes] if verb.notes else []
    return "\n".join([*lines, "", "Examples:", *(f"  {prefix} {example}" for example in verb.examples)])


def help_card(request: Help, *, prefix: str) -> "Card":
    """The help as a chat shows it: a table of verbs with an example each, or a verb's keys and all of its examples."""
    from bot.cards import Card, Table

    if request.verb is None:
        verbs = [verb for verb in map(load_verb, VERB_NAMES) if not verb.shell_only]
        rows = tuple((verb.name, _QUOTED.sub(r"“\1”", verb.summary), f"{prefix} {verb.examples[0]}") for verb in verbs)
        return Card(
            title=f"{prefix} trains, evaluates and compares models on tables",
            tables=(Table(caption="", header=("verb", "what it does", "for example"), rows=rows),),
            notes=(f"Keys are written key=value. `{prefix} help VERB` shows a verb's keys and examples.",),
            more=(f"{prefix} train", f"{prefix} help train", f"{prefix} log"),
        )
    verb = load_verb(request.verb)
    prefix = prefix.removeprefix("/") if verb.shell_only else prefix
    keys = tuple((f"{key.name}={key.looks}", key.help) for key in verb.keys)
    return Card(
        title=f"{prefix} {verb.name} {verb.plain}".rstrip(),
        headline=verb.summary,
        tables=(Table(caption="Keys, each of which may be left out", header=("key", "what it is for"), rows=keys),)
        if keys
        else (),
        notes=(
            *([_SHELL_ONLY] if verb.shell_only else []),
            *verb.notes,
            "For example:\n" + "\n".join(f"  {prefix} {example}" for example in verb.examples),
        ),
    )


def _key_lines(verb: Verb, keys: Sequence[Key]) -> list[str]:
    """Keys below each other; what they are for begins in the same column throughout a verb."""
    width = max(len(f"{key.name}={key.looks}") for key in verb.keys)
    return [f"  {f'{key.name}={key.looks}':<{width}}  {key.help}" for key in keys]


SHELL_OPTIONS = (
    "In a shell, every verb also takes",
    "  --json    progress on stderr, and exactly one line on stdout: an object",
    "  --detach  print the run and return (needs a stack that `lml up` keeps running)",
    "Exit codes: 0 succeeded, 1 failed, 2 words refused, 130 cancelled.",
)


def answer(desk: "Desk", request: Help) -> "Answer":
    """The help, as it is read in a chat or in a shell."""
    from bot.answers import text_answer
    from shared.access import Source

    said = text_answer("help", help_text(request, prefix=desk.prefix, shell=desk.principal.sees_everything))
    if desk.principal.source is Source.SLACK:
        return replace(said, card=help_card(request, prefix=desk.prefix))
    return said


VERB = Verb(
    name="help",
    summary="Show what can be asked, or one verb's keys and examples.",
    plain="[VERB]",
    examples=("help", "help train"),
    build=build,
    answer=answer,
)
