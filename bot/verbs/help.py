"""`help [VERB]`: what can be asked, with examples."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from bot.grammar import VERB_NAMES, Key, Verb, Words, load_verb, nearest_of
from shared.errors import refused

if TYPE_CHECKING:
    from bot.desk import Answer, Desk


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
    """The help, as it is read in a chat."""
    from bot.answers import text_answer

    return text_answer("help", help_text(request, prefix=desk.prefix, shell=desk.principal.sees_everything))


VERB = Verb(
    name="help",
    summary="Show what can be asked, or one verb's keys and examples.",
    plain="[VERB]",
    examples=("help", "help train"),
    build=build,
    answer=answer,
)
