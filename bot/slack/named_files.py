"""Words that came with files: which file the dataset is. The words are those of any other front."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bot.grammar import VERB_NAMES, Command, load_verb, parse
from bot.slack.asked import SharedFile
from shared.datasets.names import plain_name
from shared.errors import RefusedWords, refused


@dataclass(frozen=True)
class Understood:
    """A command, and where its dataset's bytes are when they came along."""

    command: Command
    source: dict[str, Any] | None = None


def understood(words: Sequence[str], files: Sequence[SharedFile]) -> Understood:
    """The command of the words; a file that came along is its dataset where they name it, or name none.

    A file without words is described. Raises `RefusedWords` as `parse` does, and when several files could be meant.
    """
    if not words and files:
        words = ["describe"]
    try:
        command = parse(words)
    except RefusedWords as error:
        place = _dataset_place(words[0]) if words else None
        if not files or place is None or "missing_word" not in [problem.code for problem in error.problems]:
            raise
        file = _only(files)
        named = [words[0], file_name(file), *words[1:]] if place == 0 else [*words, file_name(file)]
        return Understood(parse(named), source_of(file))
    name = getattr(command.request, "dataset", None)
    meant = [file for file in files if isinstance(name, str) and file_name(file).casefold() == name.casefold()]
    return Understood(command, source_of(meant[0]) if meant else None)


def source_of(file: SharedFile) -> dict[str, Any]:
    """What a run keeps of where its dataset lies: the id says which file, and the name what people call it."""
    return {"slack_file": file.id, "name": file_name(file)}


def file_name(file: SharedFile) -> str:
    """The file's name without anything that would make a path of it."""
    return plain_name(file.name)


def _dataset_place(verb: str) -> int | None:
    """The place of the dataset among a verb's plain words; None where it takes none."""
    if verb.lower() not in VERB_NAMES:
        return None
    plain = load_verb(verb.lower()).plain.split()
    return plain.index("DATASET") if "DATASET" in plain else None


def _only(files: Sequence[SharedFile]) -> SharedFile:
    if len(files) == 1:
        return files[0]
    names = ", ".join(f"`{file_name(file)}`" for file in files[:5])
    raise refused("several_files", f"Several files came along: {names}.", "Name the one that is meant.")
