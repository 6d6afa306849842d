"""A run against the best earlier one on the same data, on both databases: which one that is, and what is said."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from support.log_acts import ADA
from support.past_runs import EVE, failed, trained

from bot.best_before import against_text, best_before_text
from shared.access import Visibility
from shared.log import runs
from shared.log.engine import Log

Say = Callable[[int], str]


@pytest.fixture
def say(log: Log) -> Say:
    """What is said of a run."""

    def say(number: int) -> str:
        with log.read() as connection:
            return best_before_text(connection, runs.get(connection, number))

    return say


def test_a_run_is_held_against_the_best_before_it(log: Log, say: Say) -> None:
    """The best earlier run counts, not the newest and none that came later."""
    trained(log, 0.91)
    trained(log, 0.80)
    number = trained(log, 0.95)
    trained(log, 0.99)
    expected = "Better than the best earlier run on the same data, run 1, by 0.04: roc_auc 0.9500 against 0.9100."
    assert say(number) == expected


def test_a_first_run_has_nothing_to_be_held_against(log: Log, say: Say) -> None:
    """Other data, other targets, other test rows and runs that failed are no measure."""
    trained(log, 0.91, data="b")
    trained(log, 0.91, target="plan")
    trained(log, 0.91, split_sha256="6" * 64)
    failed(log)
    assert say(trained(log, 0.80)) == "The first model that is measured on these test rows."


def test_runs_without_a_score_say_nothing(log: Log, say: Say) -> None:
    """A run that failed, or was not measured, has no sentence."""
    assert say(failed(log)) == ""
    assert say(trained(log, None)) == ""


def test_chance_is_named(log: Log, say: Say) -> None:
    """Where the intervals overlap the sentence says that it may be chance."""
    trained(log, 0.90, half=0.02)
    assert say(trained(log, 0.91, half=0.02)).endswith("; their 95 % intervals overlap, so it may be chance.")


def test_a_lower_loss_is_better() -> None:
    """For a score of which less is better, less is said to be better."""
    text = against_text("rmse", 2.0, 7, 2.5, tied=False)
    assert text == "Better than the best earlier run on the same data, run 7, by 0.5000: rmse 2.0000 against 2.5000."
    assert against_text("rmse", 2.5, 7, 2.5, tied=True).startswith("As good as the best earlier run")
    assert against_text("rmse", 3.0, 7, 2.5, tied=False).startswith("Not as good as")


def test_nobody_hears_of_runs_that_they_may_not_see(log: Log, say: Say) -> None:
    """A card of the team names runs of the team; one of a channel those of that channel too; a private one its own."""
    here, there = replace(ADA, channel_id="C0HERE"), replace(ADA, channel_id="C0THERE")
    private = Visibility.PRIVATE
    trained(log, 0.99, by=replace(ADA, channel_id="D0ADA"), visibility=private)  # 1
    trained(log, 0.98, by=here, visibility=Visibility.CHANNEL)  # 2
    trained(log, 0.97, by=there, visibility=Visibility.CHANNEL)  # 3
    trained(log, 0.90, by=EVE)  # 4
    assert "run 4," in say(trained(log, 0.80, by=here))
    assert "run 2," in say(trained(log, 0.80, by=here, visibility=Visibility.CHANNEL))
    assert "run 1," in say(trained(log, 0.80, by=replace(ADA, channel_id="D0ADA"), visibility=private))
    assert "run 4," in say(trained(log, 0.80, by=replace(EVE, channel_id="D0ADA"), visibility=private))
    assert "first model" in say(trained(log, 0.80, by=replace(EVE, team_id="T0OTHER")))
