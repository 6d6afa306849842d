"""Many runs at once in the emulated workspace, whose bot has exactly the scopes of the manifest."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from support.bot_stage import CSV, FILES, BotStage
from support.deadline import until

from shared.blobs import BlobStore
from shared.log.engine import open_log
from shared.settings import Settings


@pytest.mark.timeout(600)
@pytest.mark.parametrize("number_of_runs", [6, pytest.param(50, marks=pytest.mark.chaos)])
def test_each_of_many_runs_has_a_card(
    slack: Any, start_bot: Callable[[], Any], stack_environment: dict[str, str], tmp_path: Path, number_of_runs: int
) -> None:
    """Each of the runs that are asked for at once has one card, which shows its end, and each of its files once."""
    (tmp_path / "churn.csv").write_bytes(CSV)
    slack.person.files_upload_v2(
        file=str(tmp_path / "churn.csv"), filename="churn.csv", title="churn.csv", channel=slack.channel
    )
    bot = start_bot()
    settings = Settings(home=Path(stack_environment["LML_HOME"]))
    stage = BotStage(tmp_path, slack, settings, open_log(settings.log_url), BlobStore(settings.store_folder))
    stage.life_s = 4.0
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda number: bot.type(f"train churn.csv seed={number}"), range(number_of_runs)))
    assert {status for status, _ in answers} == {200}
    stage.work(12)
    try:
        stage.wait_until_shown(number_of_runs, within_s=480)
    finally:
        stage.close()
    assert len(stage.runs()) == number_of_runs
    shown = slack.posted()
    for number, word in stage.ends.items():
        (card,) = [message for message in shown if message["text"].startswith(f"Run {number} ")]
        assert word in card["text"]
    until(lambda: files_of(slack), within_s=10)
    done = sum(word == "Succeeded" for word in stage.ends.values())
    assert files_of(slack) == Counter(dict.fromkeys(FILES, done))


def files_of(slack: Any) -> "Counter[str]":
    """How often each file that the bot sent is in the channel."""
    listed = slack.person.files_list(channel=slack.channel, count=1_000)["files"]
    return Counter(str(file["name"]) for file in listed if file["name"] != "churn.csv")
