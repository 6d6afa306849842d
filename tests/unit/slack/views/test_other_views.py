"""The forms of compare and predict, and the home tab: what is offered, and the words that follow."""

from typing import Any

from support.sample_views import PLACE, home, run, sent

from bot.slack.views import ids
from bot.slack.views.compare_modal import CompareForm, compare_modal
from bot.slack.views.home_view import Home, dataset_of_home, home_view
from bot.slack.views.predict_modal import PredictForm, predict_modal
from shared.log.runs import RunState


def texts(view: dict[str, Any]) -> str:
    """All plain texts of a view's sections, headers and context lines."""
    shown = []
    for block in view["blocks"]:
        shown += [block["text"]["text"]] if "text" in block else []
        shown += [element["text"] for element in block.get("elements", ()) if isinstance(element.get("text"), str)]
    return "\n".join(shown)


def buttons(view: dict[str, Any]) -> dict[str, str]:
    """The values of a view's buttons by what stands on them."""
    elements = [element for block in view["blocks"] for element in (*block.get("elements", ()), block.get("accessory"))]
    return {
        element["text"]["text"]: element.get("value", "")
        for element in elements
        if element and element.get("type") == "button"
    }


def test_runs_are_compared_on_the_rows_that_they_share_or_on_a_table() -> None:
    """The chosen runs follow the one that the form is about; a dataset is a key."""
    view = compare_modal(run(42), [run(41), run(42), run(40)], place=PLACE, datasets=["march.csv"])
    offered = [option["value"] for option in view["blocks"][1]["element"]["options"]]
    assert offered == ["41", "40"]
    assert CompareForm.of_view(sent(view, runs=["41", "40"])).words(42) == ["compare", "42", "41", "40"]
    assert CompareForm.of_view(sent(view, runs=["41"], dataset="march.csv")).words(42)[-1] == "on=march.csv"


def test_a_run_without_another_one_says_what_to_do() -> None:
    """Where no other model of the same data is there, the form says so and cannot be sent."""
    view = compare_modal(run(42), [run(42)], place=PLACE)
    assert "submit" not in view
    assert "No other model was trained on churn.csv yet" in texts(view)


def test_a_prediction_takes_a_dataset_or_a_file() -> None:
    """The dataset that was chosen, or the file that was uploaded, stands in the words."""
    view = predict_modal(run(42), place=PLACE, datasets=["march.csv"])
    assert PredictForm.of_view(sent(view, dataset="march.csv")).words(42) == ["predict", "42", "march.csv"]
    assert PredictForm.of_view(sent(view)).words(42, dataset="mine.csv") == ["predict", "42", "mine.csv"]


def test_the_home_tab_says_where_everything_stands() -> None:
    """My runs with what to do about each, the queue with positions and people, workers, and the leaderboard."""
    view = home_view(home())
    shown = texts(view)
    for said in (
        "Running and waiting: 3",
        "number 1 in the queue, starts in 20 s to 45 s",
        "running, about 45 s left",
        "succeeded, roc_auc 0.9012",
        "<@U0EVE>",
        "2 slots of workers: 1 on GPU 0, 1 on CPU",
    ):
        assert said in shown
    assert buttons(view)["Promote 42…"] == "promote 42"
    assert buttons(view)["Compare 42, 41, 38"] == "compare 42 41 38"
    ranked = next(block for block in view["blocks"] if block["type"] == "rich_text")
    assert ["".join(e.get("text", e.get("user_id")) for e in line["elements"]) for line in ranked["elements"]] == [
        "1=  run 42  mlp  ·  0.9012 (0.89 to 0.91)  ·  U0ADA",
        "1=  run 41  gbdt  ·  0.8951 (0.89 to 0.91)  ·  U0EVE",
        "3   run 38  mlp  ·  0.8423  ·  U0ADA",
    ]
    assert dataset_of_home(view) == "churn.csv"


def test_an_empty_home_tab_says_how_to_begin() -> None:
    """Somebody who has done nothing yet is told what to do, and that no worker lives."""
    shown = texts(home_view(Home()))
    for said in ("begins one", "Nothing runs and nothing waits", "No worker lives", "No model has been measured yet"):
        assert said in shown


def test_runs_of_others_are_shown_and_not_stopped_from_the_home_tab() -> None:
    """The queue offers to look at a run; only among my own runs there is a button that stops one."""
    other = run(46, state=RunState.RUNNING, requested_by="U0EVE")
    view = home_view(Home(queue=[other]))
    assert "Cancel" not in buttons(view)
    assert buttons(home_view(Home(mine=[other])))["Cancel"] == "cancel 46"
    linked = home_view(Home(queue=[other], pages={46: "https://lml.example/runs/46"}))
    assert next(b["accessory"] for b in linked["blocks"] if "accessory" in b)["url"] == "https://lml.example/runs/46"


def test_a_choice_of_the_home_tab_that_was_forged_is_none() -> None:
    """What Slack kept of the tab names a dataset, or nothing."""
    assert [dataset_of_home({"private_metadata": told}) for told in ("", "x", "[]", "{}")] == [""] * 4


def test_every_action_of_the_home_tab_is_known() -> None:
    """Each thing to click has a name that listeners know."""
    view = home_view(home())
    elements = [element for block in view["blocks"] for element in (*block.get("elements", ()), block.get("accessory"))]
    actions = {element["action_id"] for element in elements if element and "action_id" in element}
    known = (ids.WORDS, ids.OPEN, ids.DETAILS, ids.HOME_DATASET, ids.HOME_REFRESH)
    assert actions
    assert all(action.startswith(known) for action in actions)
