"""Keeps what a training has learnt: gathers its parts, writes them from time to time, and finds them again."""

import time
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

from workers.core.checkpoints import (
    Checkpoint,
    Checkpoints,
    Damaged,
    Part,
    numbers,
    read_checkpoint,
    write_checkpoint,
)

MOST_SHARE = 0.05  # of the time that may go into writing: on a slow disk checkpoints become rarer


class Keeper:
    """The checkpoints of one training.

    Each stage says under its name what it has done (`keep`) and asks what an earlier attempt had done (`kept`). What a
    stage had done then is kept until it says something newer, so that nothing gets lost between two interruptions.
    """

    def __init__(self, checkpoints: Checkpoints, fits: Callable[[], Mapping[str, str]], *, threads: int) -> None:
        """`fits` says, by name, all that has to be equal for a checkpoint to fit; asked once, if it is needed."""
        self.checkpoints, self.threads = checkpoints, threads
        self.notes: list[str] = []
        """What people should know of checkpoints that could not be read or written."""
        self._find_fits = fits
        self._parts: dict[str, Part | Callable[[], Part]] = {}
        self._kept: dict[str, Part] = {}
        self._resumed_from: str | None = None
        self._every_s, self._last = checkpoints.every_s, time.monotonic()
        self._saved, self._seconds = 0, 0.0

    def open(self) -> Checkpoint | None:
        """The best checkpoint of earlier attempts, whose parts stages find from now on; None where none fits."""
        problems = list[str]()
        found = self._found(problems)
        if found is not None:
            self._resumed_from, self.threads = found.detail, found.threads
            self._kept, self._parts = dict(found.parts), dict(found.parts)
        if problems:
            then = "training began from scratch" if found is None else f"training went on from {found.detail}"
            self.notes.append(
                f"Not every checkpoint of an earlier attempt could be used ({'; '.join(problems)}), so {then}."
            )
        return found

    def kept(self, name: str) -> Part | None:
        """What the stage `name` had done in an earlier attempt."""
        return self._kept.get(name)

    def keep(self, name: str, part: Part | Callable[[], Part]) -> None:
        """From now on, `part` is what the stage `name` has done, or `part()`, asked whenever a checkpoint is due."""
        self._parts[name] = part

    def forget(self, name: str) -> None:
        """The stage `name` begins anew."""
        self._parts.pop(name, None)
        self._kept.pop(name, None)

    def is_due(self) -> bool:
        """Whether the last checkpoint, or the start, is long enough ago."""
        return time.monotonic() - self._last >= self._every_s

    def save(self) -> bool:
        """Write a checkpoint, where anything has been learnt; whether there is a new one. A disk that is full, or gone,
        ends no training: it is noted.
        """
        started = time.monotonic()
        parts = {name: part if isinstance(part, Part) else part() for name, part in self._parts.items()}
        if not any(part.arrays for part in parts.values()):
            return False
        try:
            checkpoint = Checkpoint(self._fits, self.threads, parts)
            write_checkpoint(self.checkpoints.folder, self._first + self._saved, checkpoint)
        except OSError as error:
            note = f"A checkpoint could not be written ({error.strerror}); training went on without it."
            self.notes += [note] if note not in self.notes else []
            return False
        finally:
            self._last = time.monotonic()
            self._seconds += self._last - started
            self._every_s = max(self.checkpoints.every_s, (self._last - started) / MOST_SHARE)
        self._saved += 1
        return True

    def facts(self) -> dict[str, Any]:
        """For the report: what was gone on from, how many were written, and the seconds that took."""
        return {"resumed_from": self._resumed_from, "saved": self._saved, "seconds": round(self._seconds, 3)}

    @cached_property
    def _fits(self) -> Mapping[str, str]:
        return self._find_fits()

    @cached_property
    def _first(self) -> int:
        """The first free number of the folder."""
        return max(numbers(self.checkpoints.folder), default=0) + 1

    def _found(self, problems: list[str]) -> Checkpoint | None:
        """The first checkpoint that is whole and fits; what was wrong with those before it goes into `problems`."""
        for folder in self.checkpoints.resume_from:
            for number in numbers(folder):
                try:
                    checkpoint = read_checkpoint(folder, number)
                except Damaged as damage:
                    problems.append(f"{folder.name}/{number}: {damage}")
                    continue
                differing = [name for name, value in self._fits.items() if checkpoint.fits.get(name) != value]
                if not differing:
                    return checkpoint
                problems.append(f"{folder.name}/{number}: it was made with another {' and another '.join(differing)}")
                break  # the others of a folder are of the same training
        return None
