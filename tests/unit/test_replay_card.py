"""What people read of a run that did another one again."""

from typing import Any

import pytest

from bot.replay_card import sentences

SAME: dict[str, Any] = {"of": 41, "same": True, "metrics_same": True, "within_interval": True, "changed": []}
OTHER = {**SAME, "same": False, "metrics_same": False}


@pytest.mark.parametrize(
    ("replay", "said"),
    [
        (SAME, "Replay of run 41: the same weights, bit for bit."),
        (
            {**SAME, "changed": ["Python 3.11.4 -> 3.11.7"]},
            "Replay of run 41: the same weights, bit for bit; changed since: Python 3.11.4 -> 3.11.7.",
        ),
        (
            {**OTHER, "changed": ["torch 2.12 -> 2.13", "CPU Xeon -> EPYC"]},
            "Replay of run 41: other weights; metrics within the interval of run 41; changed since: "
            "torch 2.12 -> 2.13, CPU Xeon -> EPYC.",
        ),
        (
            {**OTHER, "within_interval": False},
            "Replay of run 41: other weights; metrics outside the interval of run 41; nothing that the log knows of "
            "has changed since.",
        ),
        (
            {**OTHER, "metrics_same": True},
            "Replay of run 41: other weights; the same metrics; nothing that the log knows of has changed since.",
        ),
    ],
)
def test_a_replay_says_what_came_of_it(replay: dict[str, Any], said: str) -> None:
    """Bit for bit, or within or outside of the old interval, and what has changed since."""
    assert sentences({"replay": replay}) == (said,)


def test_other_runs_say_nothing_of_it() -> None:
    """A run that replays none has no such sentence."""
    assert sentences({}) == ()
