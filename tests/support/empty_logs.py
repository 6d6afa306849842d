"""Empty logs with their tables, quickly: on SQLite a copy of one, for hundreds of tests begin with one each."""

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

from sqlalchemy import make_url

from shared.log.engine import Log, open_log


def empty_log(url: str) -> Log:
    """The log at an address, with its tables in place."""
    address = make_url(url)
    if address.get_backend_name() == "sqlite":
        file = Path(str(address.database))
        file.parent.mkdir(parents=True, exist_ok=True)
        if not file.exists():
            shutil.copy(_migrated_file(), file)
    return open_log(url)


@cache
def _migrated_file() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="lml-log-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    log = open_log(f"sqlite:///{folder / 'log.db'}")
    log.engine.dispose()
    assert [file.name for file in folder.iterdir()] == ["log.db"]  # all of it is in the one file
    return folder / "log.db"
