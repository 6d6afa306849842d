"""The `lml` command: words in, a card or one line of JSON out. Light: what a verb does not need is not imported."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from bot.grammar import Command, parse
from bot.words import from_arguments
from shared.errors import LmlError, RefusedWords

if TYPE_CHECKING:
    from bot.terminal.screen import Screen
    from shared.settings import Settings


class ExitCode(IntEnum):
    """What the shell is told."""

    SUCCEEDED = 0
    FAILED = 1
    REFUSED = 2
    CANCELLED = 130


@dataclass(frozen=True)
class Options:
    """What only a shell can ask."""

    json: bool = False
    detach: bool = False


def main() -> None:
    """The console script."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """One command from its arguments; returns the exit code."""
    options, rest = _options(arguments)
    try:
        command = parse(from_arguments(rest))
    except RefusedWords as error:
        return _refused(error, kind=rest[0] if rest else "help", options=options)
    if command.verb.name == "help":
        return _help(command, options)
    from bot.terminal.screen import Screen

    screen = Screen(json=options.json)
    try:
        return _act(command, options, screen)
    except LmlError as error:
        screen.problems(command.verb.name, error)
        return ExitCode.REFUSED if isinstance(error, RefusedWords) else ExitCode.FAILED
    except KeyboardInterrupt:
        screen.say("Stopped.")
        return ExitCode.CANCELLED
    except Exception as error:  # noqa: BLE001 - the border: also a bug of ours is one answer
        screen.bug(command.verb.name, error)
        return ExitCode.FAILED


def _options(arguments: Sequence[str]) -> tuple[Options, list[str]]:
    asked = {argument for argument in arguments if argument in ("--json", "--detach")}
    rest = [argument for argument in arguments if argument not in asked]
    if rest[:1] == ["--version"]:
        rest = ["help"]
    return Options(json="--json" in asked, detach="--detach" in asked), rest


def _refused(error: RefusedWords, *, kind: str, options: Options) -> int:
    from bot.terminal.screen import Screen

    Screen(json=options.json).problems(kind, error)
    return ExitCode.REFUSED


def _help(command: Command, options: Options) -> int:
    from bot.verbs.help import help_text

    text = help_text(command.request, prefix="lml", shell=True)  # noqa: S604 - whether it is read in a shell
    if options.json:
        import json

        envelope: dict[str, object] = {
            "run": None,
            "kind": "help",
            "state": "succeeded",
            "artifacts": [],
            "error": None,
        }
        text = json.dumps({**envelope, "text": text})
    sys.stdout.write(text + "\n")
    return ExitCode.SUCCEEDED


def _require_allowed(command: Command, settings: "Settings") -> None:
    """Ask at once, also for what needs no log (`up`, `down`, `doctor`); what does is asked again where it is noted."""
    from bot.terminal.sitter import sitter
    from shared.access import authorize

    me = sitter(settings)
    authorize(me, command.verb.name, owner=me.user_id)


def _act(command: Command, options: Options, screen: "Screen") -> int:
    from shared.settings import load_settings

    settings = load_settings()
    _require_allowed(command, settings)
    if command.verb.name == "up":
        from bot.terminal.up import keep_up

        return keep_up(settings, screen)
    if command.verb.name == "down":
        from bot.terminal.up import take_down

        return take_down(settings, screen)
    if command.verb.name == "doctor":
        from bot.doctor import answer

        diagnosis = answer(settings)
        screen.answer(diagnosis)
        return ExitCode.SUCCEEDED if diagnosis.envelope["state"] == "succeeded" else ExitCode.FAILED
    if command.verb.name == "submit":
        from bot.terminal.submit_file import submit_file

        return submit_file(command, settings, screen)
    from bot.terminal.commands import answer_at_once, run_to_end

    if command.verb.answer is not None:
        return answer_at_once(command, settings, screen)
    return run_to_end(command, settings, screen, detach=options.detach)


if __name__ == "__main__":
    main()
