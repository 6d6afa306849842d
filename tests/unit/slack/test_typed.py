"""The text of a slash command is read as it was typed."""

import pytest

from bot.slack.typed import as_typed


@pytest.mark.parametrize(
    ("sent", "typed"),
    [
        ("train a.csv target=x&amp;y", "train a.csv target=x&y"),
        ("train &lt;a&gt;.csv", "train <a>.csv"),
        ("train &amp;lt;.csv", "train &lt;.csv"),
        ("train <http://churn.io|churn.io>", "train churn.io"),
        ("train <https://x.org/a.csv>", "train https://x.org/a.csv"),
        ("log by=<@U012AB|ada>", "log by=U012AB"),
        ("log by=<@U012AB>", "log by=U012AB"),
        ("train a.csv name=<#C0123|general>", "train a.csv name=#general"),
        ("train a.csv name=<!here>", "train a.csv name=@here"),
        ("train a.csv name=<mailto:a@b.c|a@b.c>", "train a.csv name=a@b.c"),
        ("train a < b", "train a < b"),
    ],
)
def test_marks_are_taken_back(sent: str, typed: str) -> None:
    """Escapes, links, people and channels become what the person typed, people their ids."""
    assert as_typed(sent) == typed
