"""Forms and the home tab as Slack gets them: as they were looked at, within every limit, whatever names they hold."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from support.sample_views import hostile_views, sample_views
from support.slack_blocks import check_view
from support.slack_texts import parsed_texts, shown_texts

GOLDEN = Path(__file__).parent.parent / "golden" / "views"
ALL: dict[str, Any] = {**sample_views(), **{f"hostile {name}": view for name, view in hostile_views().items()}}


@pytest.mark.parametrize("name", sample_views())
def test_views_are_as_they_were(name: str) -> None:
    """A view is as its golden file says; LML_WRITE_GOLDEN=1 writes the files anew, to be read before a commit."""
    shown = json.dumps(sample_views()[name], ensure_ascii=False, indent=1) + "\n"
    file = GOLDEN / f"{name}.json"
    if os.environ.get("LML_WRITE_GOLDEN"):
        file.write_text(shown)
    assert shown == file.read_text()


@pytest.mark.parametrize("name", ALL)
def test_slack_takes_every_view(name: str) -> None:
    """Every view keeps Slack's limits, however many and long its names are."""
    check_view(ALL[name])


@pytest.mark.parametrize("name", ALL)
def test_no_name_can_do_anything_in_a_view(name: str) -> None:
    """What Slack parses in a view names people whom we name, and nothing else; no text turns another one around."""
    for text in parsed_texts(ALL[name]):
        assert "<" not in text.replace("<@U0ADA>", "").replace("<@U0EVE>", ""), text
    shown = "".join(shown_texts(ALL[name]))
    assert "\u202e" not in shown
    assert "\x07" not in shown
