"""What is removed from the disk by itself, in small steps: never a row of the log, never anything of a promoted run.

Checkpoints go some days after their run has ended, what an attempt worked on and half-written bytes once nobody works
on them; and what `forget` has begun is finished.
"""

import re
import shutil
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from shared.blobs import BlobStore
from shared.forgetting import finish_all
from shared.log import kept
from shared.log.engine import Log
from shared.settings import Settings

MOST_AT_ONCE = 25
_ASKED_AT_ONCE = 500
_DAY_S = 86_400.0
_ATTEMPT = re.compile(r"(\d{1,10})-(\d{1,10})")


def tidy(log: Log, settings: Settings, *, most: int = MOST_AT_ONCE) -> list[str]:
    """One step; returns what was removed, at most `most` things of each kind."""
    removed = finish_all(log, BlobStore(settings.store_folder), settings)
    for found in (_checkpoints(log, settings), _work(log, settings), _half_written(settings)):
        for path in islice(found, most):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
            removed.append(str(path))
    return removed


def _checkpoints(log: Log, settings: Settings) -> Iterator[Path]:
    folder, days = settings.checkpoints_folder, settings.keep_checkpoints_days
    numbers = sorted(int(path.name) for path in _inside(folder) if path.name.isdecimal())
    for begin in range(0, len(numbers), _ASKED_AT_ONCE):
        some = numbers[begin : begin + _ASKED_AT_ONCE]
        with log.read() as connection:
            needless = kept.needless_checkpoints(connection, some, days=days)
            strange = kept.unknown(connection, some)
        yield from (folder / str(number) for number in needless)
        # Of another log, perhaps; whoever works on them changes them.
        yield from (folder / str(number) for number in strange if _age_s(folder / str(number)) > days * _DAY_S)


def _work(log: Log, settings: Settings) -> Iterator[Path]:
    folder = settings.home_folder / "work"
    named = {path.name: _ATTEMPT.fullmatch(path.name) for path in _inside(folder)}
    attempts = {name: (int(met[1]), int(met[2])) for name, met in named.items() if met}
    names = sorted(attempts)
    for begin in range(0, len(names), _ASKED_AT_ONCE):
        some = {name: attempts[name] for name in names[begin : begin + _ASKED_AT_ONCE]}
        with log.read() as connection:
            over = kept.needless_work(connection, some)
        yield from (folder / name for name in over)


def _half_written(settings: Settings) -> Iterator[Path]:
    """Bytes whose writer died: a day is longer than any of them is written."""
    return (path for path in _inside(settings.store_folder / "incoming") if _age_s(path) > _DAY_S)


def _inside(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def _age_s(path: Path) -> float:
    try:
        newest = max(one.stat().st_mtime for one in (path, *_inside(path)))
    except OSError:
        return 0.0
    return time.time() - newest
