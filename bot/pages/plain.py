"""Text of others without what cannot be seen. Pure."""

import re

_UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Control characters and marks that turn the direction of the text around them."""


def plain(text: str) -> str:
    """The text as it can be shown."""
    return _UNSEEN.sub("", text)
