"""The buttons below a card: what is offered in which state, and what Slack asks before it counts."""

from typing import Any

import pytest
from support.sample_views import BAD, run
from support.slack_blocks import check_message

from bot.grammar import parse
from bot.slack.buttons import run_buttons
from bot.slack.views import ids
from bot.words import split_words
from shared.log.runs import Artifact, Run, RunState
from shared.specs import AnySpec, CompareSpec, DescribeSpec, EvaluateSpec, PredictSpec, ProbeSpec

MODEL = Artifact(name="model.onnx", sha256="0" * 64, size_bytes=9)
REPORT = Artifact(name="report.json", sha256="0" * 64, size_bytes=9)


def elements(of: Run, **more: Any) -> list[dict[str, Any]]:
    """The buttons of a run, which Slack takes."""
    block = run_buttons(of, **more)
    assert block is not None
    check_message({"text": "x", "blocks": [block]})
    found: list[dict[str, Any]] = block["elements"]
    return found


def names(of: Run, **more: Any) -> list[str]:
    """What stands on the buttons of a run."""
    return [element["text"]["text"] for element in elements(of, **more)]


GOING, TRAINED = ["Cancel", "Details"], ["Predict…", "Compare with…", "Promote…", "Change…", "Details"]


@pytest.mark.parametrize(
    ("state", "offered"),
    [
        (RunState.PREPARING, GOING),
        (RunState.QUEUED, GOING),
        (RunState.GATHERING, GOING),
        (RunState.RUNNING, GOING),
        (RunState.SUCCEEDED, TRAINED),
        (RunState.FAILED, ["Retry", "Change…", "Details"]),
        (RunState.CANCELLED, ["Retry", "Change…", "Details"]),
    ],
)
def test_a_train_run_offers_what_can_be_done_in_its_state(state: RunState, offered: list[str]) -> None:
    """Waiting and running runs can be cancelled, models used, ended runs tried again or changed."""
    assert names(run(state=state)) == offered


@pytest.mark.parametrize(
    ("spec", "result", "offered"),
    [
        (DescribeSpec(dataset="a.csv"), {}, ["Train on it…", "Details"]),
        (CompareSpec(runs=(41, 42)), {"best": 42}, ["Promote 42…", "Details"]),
        (CompareSpec(runs=(41, 42)), {}, ["Details"]),
        (EvaluateSpec(run=42, dataset="a.csv"), {}, ["Predict…", "Details"]),
        (PredictSpec(run=42, dataset="a.csv"), {}, ["Details"]),
        (ProbeSpec(), {}, ["Details"]),
    ],
)
def test_other_kinds_offer_what_follows_from_them(spec: AnySpec, result: dict[str, Any], offered: list[str]) -> None:
    """A described table can be trained on, the best of a comparison promoted, an evaluated model used."""
    assert names(run(spec=spec, result=result)) == offered
    assert names(run(spec=spec, state=RunState.FAILED)) == ["Retry", "Details"]


def test_a_run_that_is_being_stopped_is_not_stopped_twice() -> None:
    """Once somebody has asked for a run to be stopped, its card offers that no more."""
    assert names(run(state=RunState.RUNNING, cancel_requested=True)) == ["Details"]


def test_a_run_without_a_model_offers_no_use_of_one() -> None:
    """Where the files are known and none is a model, nothing predicts, compares or promotes."""
    assert names(run(), artifacts=[REPORT]) == ["Change…", "Details"]
    assert names(run(), artifacts=[REPORT, MODEL]) == TRAINED


@pytest.mark.parametrize("state", list(RunState))
def test_buttons_say_words_that_are_understood(state: RunState) -> None:
    """What a button does is a command of the grammar about this run, and its name is the verb."""
    for element in elements(run(state=state)):
        if element["action_id"].startswith(ids.WORDS):
            command = parse(split_words(element["value"]))
            assert element["action_id"] == ids.WORDS + command.verb.name
            assert element["value"].endswith(" 42")
        else:
            assert element["value"] == "42"


def test_what_destroys_or_names_is_confirmed() -> None:
    """Cancel and Promote ask first, and repeat exactly what they will do; the rest asks nothing."""
    found: dict[str, Any] = {
        one["text"]["text"]: one.get("confirm") for of in (run(), run(state=RunState.RUNNING)) for one in elements(of)
    }
    assert {name for name, confirm in found.items() if confirm} == {"Cancel", "Promote…"}
    assert found["Promote…"]["text"]["text"] == (
        "For the whole team, champion of churn.csv then means run 42: predictions by that name use its model."
    )
    assert found["Cancel"]["title"]["text"] == "Cancel run 42?"
    assert "stops within seconds" in found["Cancel"]["text"]["text"]


def test_details_lead_to_the_page_where_there_is_one() -> None:
    """With a page Details is a link; without one it is `show`."""
    last = elements(run(), page="https://lml.example/runs/42?s=1")[-1]
    assert (last["action_id"], last["url"]) == (ids.DETAILS, "https://lml.example/runs/42?s=1")
    assert elements(run())[-1]["value"] == "show 42"


def test_a_hostile_dataset_fits_into_what_is_confirmed() -> None:
    """A name that is too long or would format is shown as it is, cut, in plain text."""
    promote = elements(run(dataset_name=BAD * 20))[2]
    assert promote["confirm"]["text"]["type"] == "plain_text"
    assert "\u202e" not in promote["confirm"]["text"]["text"]
