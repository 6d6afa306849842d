"""Names of columns in commands: those that a person mistyped, and how one is typed."""

import difflib
import re
from collections.abc import Sequence

from shared.errors import Problem


def typed(key: str, name: str) -> str:
    """`key=name` as it is typed, in quotes where the name would fall apart: `drop=age`, `drop="net price"`."""
    value = '"{}"'.format(name.replace('"', '""')) if re.search('[,"]', name) else name
    if re.search(r"[^\w.:/+%-]", value):
        value = '"{}"'.format(re.sub(r'(["\\])', r"\\\1", value))
    return f"{key}={value}"


def unknown_column(code: str, word: str, name: str, names: Sequence[str]) -> Problem:
    """The problem of a word that names no column, with the nearest name or all of them."""
    folded = {known.lower(): known for known in names}
    near = difflib.get_close_matches(name.lower(), folded, n=1, cutoff=0.5)
    if near:
        hint = f"Did you mean `{folded[near[0]]}`?"
    else:
        shown = ", ".join(f"`{known}`" for known in names[:20])
        hint = f"The columns are {shown}{' and more' if len(names) > 20 else ''}."
    return Problem(code=code, message=f"{word} must name columns of the file; `{name}` is none of them.", hint=hint)
