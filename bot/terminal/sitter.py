"""Whoever sits at this shell, as a principal."""

import getpass
import os

from shared.access import Entry, Principal, Source
from shared.settings import Settings


def sitter(settings: Settings) -> Principal:
    """The user of this shell."""
    return Principal(settings.team_id, _user(), Source.SHELL, entry=Entry.SHELL)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in some containers
        return str(os.getuid())
