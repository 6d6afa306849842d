"""The text of a slash command -> what the person typed, before Slack marked it up."""

import html
import re

PREFIX = "/lml"
"""The slash command itself."""

_MARKED = re.compile(r"<(?P<target>[^<>|]+)(?:\|(?P<label>[^<>]*))?>")


def as_typed(text: str) -> str:
    """The words as they were typed.

    Slack escapes `&`, `<` and `>`, links whatever looks like an address, and, with `should_escape`, turns people and
    channels into ids. A person stays an id: that is what `by=` compares, and names can be changed by their owners.

    >>> as_typed("train <http://churn.io|churn.io> target=a&amp;b by=<@U012AB|ada>")
    'train churn.io target=a&b by=U012AB'
    """
    return html.unescape(_MARKED.sub(_unmarked, text)) if "<" in text or "&" in text else text


def without_mention(text: str, user_id: str) -> str:
    """The words of a message without the mention by which the bot was called; others' mentions stay.

    >>> without_mention("<@U0BOT> log by=<@U012AB>", "U0BOT")
    'log by=<@U012AB>'
    """
    return re.sub(rf"<@{re.escape(user_id)}(?:\|[^<>]*)?>", " ", text, count=1).strip()


def _unmarked(mark: re.Match[str]) -> str:
    target, label = mark["target"], mark["label"]
    if target.startswith("@"):
        return target[1:]
    if target.startswith("#"):
        return f"#{label or target[1:]}"
    if target.startswith("!"):
        return label or f"@{target[1:].split('^')[0]}"
    return label or target
