"""How much of the disk LML uses, and for what."""

import os
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import select, text

from bot.tables import size_text
from shared.errors import LmlError
from shared.log import tables
from shared.log.engine import Log
from shared.settings import Settings


def sentence(settings: Settings) -> str:
    """The parts, in the order of what they are needed for."""
    log = Log(settings.log_url)
    sizes = {path.parent.name + path.name: size for path, size in _files(settings.store_folder)}
    parts = [f"log {_log_size(log)}", f"store {size_text(sum(sizes.values()))}{_of_store(log, sizes)}"]
    parts += [
        f"{name} {size_text(_total(folder))}"
        for name, folder in (
            ("checkpoints", settings.checkpoints_folder),
            ("work", settings.home_folder / "work"),
            ("copies for shells", settings.home_folder / "runs"),
        )
    ]
    kept = f"checkpoints go {settings.keep_checkpoints_days:g} days after the end of their run"
    return f"{', '.join(parts)}; {kept}"


def _log_size(log: Log) -> str:
    if log.url.get_backend_name() == "sqlite":
        # The file and the log of its writes lie side by side.
        file = Path(str(log.url.database))
        files = (file.with_name(file.name + end) for end in ("", "-wal", "-shm"))
        return size_text(sum(one.stat().st_size for one in files if one.exists()))
    try:
        with log.read() as connection:
            return size_text(connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one())
    except LmlError:
        return "unknown"


def _of_store(log: Log, sizes: dict[str, int]) -> str:
    """How much of it is datasets; nothing where the log cannot tell."""
    if log.url.get_backend_name() == "sqlite" and not Path(str(log.url.database)).exists():
        return ""
    try:
        if log.revision() is None:
            return ""
        with log.read() as connection:
            asked = select(tables.runs.c.dataset_sha256).where(tables.runs.c.dataset_sha256.is_not(None)).distinct()
            datasets = {sha256: sizes.get(sha256, 0) for sha256 in connection.execute(asked).scalars()}
    except LmlError:
        return ""
    there = sum(1 for size in datasets.values() if size)
    return f" ({there:,} dataset{'' if there == 1 else 's'} of {size_text(sum(datasets.values()))})"


def _total(folder: Path) -> int:
    return sum(size for _, size in _files(folder))


def _files(folder: Path) -> Iterator[tuple[Path, int]]:
    """Every file below a folder with its size; what goes away meanwhile counts nothing."""
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        try:
            if entry.is_dir(follow_symlinks=False):
                yield from _files(Path(entry.path))
            else:
                yield Path(entry.path), entry.stat(follow_symlinks=False).st_size
        except OSError:
            continue
