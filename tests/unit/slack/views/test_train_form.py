"""The form of `train`: what is filled in becomes words, words and runs fill it in, and errors find their fields."""

import pytest
from support.sample_views import COLUMNS, PLACE, run, sent

from bot.grammar import parse
from bot.slack.views import ids
from bot.slack.views.fields import Place, errors, found, uploaded, values_of
from bot.slack.views.train_modal import TrainForm, field_of, problems_at, train_modal
from shared.errors import Problem, RefusedWords
from shared.log.runs import RunState
from shared.specs import DescribeSpec, ModelName, PredictSpec, TrainSpec


def test_what_is_filled_in_becomes_words() -> None:
    """Each field is a word of the command, and other keys are taken as they were typed."""
    view = train_modal(TrainForm(), place=PLACE, datasets=["churn 2026.csv"], columns=["is churned", "age"])
    filled = sent(
        view,
        dataset="churn 2026.csv",
        target="is churned",
        model="mlp",
        budget="60s",
        seed="7",
        more="drop=age name='a b'",
    )
    words = TrainForm.of_view(filled).words()
    spec = parse(words).request
    assert spec == TrainSpec(
        dataset="churn 2026.csv",
        target="is churned",
        model=ModelName.MLP,
        time_s=60.0,
        seed=7,
        drop=("age",),
        name="a b",
    )


def test_an_empty_form_asks_for_what_train_asks_by_itself() -> None:
    """Fields that stay empty are no words, and the model that is chosen by itself is none either."""
    view = train_modal(TrainForm(), place=PLACE, datasets=["churn.csv"])
    assert TrainForm.of_view(sent(view, dataset="churn.csv", model="auto")).words() == ["train", "churn.csv"]
    assert TrainForm.of_view(sent(view, dataset="churn.csv")).words() == ["train", "churn.csv"]


def test_an_uploaded_file_counts_before_the_dataset() -> None:
    """The file's name stands in the words, and its id is given beside them."""
    view = train_modal(TrainForm(dataset="churn.csv"), place=PLACE, datasets=["churn.csv"])
    filled = sent(view, dataset="churn.csv", file=[{"id": "F1", "name": "mine.csv"}])
    assert uploaded(values_of(filled)) == ("F1", "mine.csv")
    assert TrainForm.of_view(filled).words(dataset="mine.csv") == ["train", "mine.csv"]
    assert uploaded(values_of(sent(view))) is None


def test_a_form_without_a_dataset_is_refused_at_its_field() -> None:
    """Without a dataset and without a file the form says so at the dataset."""
    view = train_modal(TrainForm(), place=PLACE, datasets=["churn.csv"])
    with pytest.raises(RefusedWords) as refusal:
        TrainForm.of_view(sent(view)).words()
    answer = errors(view, problems_at(refusal.value.problems))
    assert answer["response_action"] == "errors"
    assert answer["errors"] == {"dataset": "A dataset is needed; none was chosen. Choose one, or upload a file."}


@pytest.mark.parametrize(
    ("words", "field"),
    [
        (["train", "a.csv", "seed=x"], ids.SEED),
        (["train", "a.csv", "budget=x"], ids.BUDGET),
        (["train", "a.csv", "target="], ids.TARGET),
        (["train", "a.csv", "lr=99"], ids.MORE),
        (["train", "a.csv", "colour=red"], ids.MORE),
        (["train", "a.csv", "target=a", "target=b"], ids.MORE),
        (["train", "a.csv", "optimizer=gd", "batch=3"], ids.MORE),
    ],
)
def test_mistakes_stand_at_their_fields(words: list[str], field: str) -> None:
    """A mistake of the words is told at the field that it came from; one of other keys where those are typed."""
    with pytest.raises(RefusedWords) as refusal:
        parse(words)
    assert field_of(refusal.value.problems[0]) == field


def test_errors_use_the_ids_that_the_blocks_have() -> None:
    """A field whose content was replaced has a new block_id, by which Slack finds the error; none is lost."""
    view = train_modal(TrainForm(), place=PLACE, datasets=["churn.csv"], columns=COLUMNS)
    target = next(block["block_id"] for block in view["blocks"] if block.get("block_id", "").startswith("target:"))
    told = errors(view, {ids.TARGET: "No.", ids.RUNS: "Lost?"})["errors"]
    assert told == {target: "No.", "dataset": "Lost?"}


def test_other_columns_are_another_field() -> None:
    """Slack keeps what stood in a field of the same id, so the columns of another dataset get another one."""
    views = [train_modal(TrainForm(), place=PLACE, datasets=["a", "b"], columns=names) for names in ("xy", "xz")]
    targets = [
        next(b["block_id"] for b in view["blocks"] if b.get("block_id", "").startswith("target")) for view in views
    ]
    assert targets[0] != targets[1]


def test_a_target_that_the_file_lacks_is_not_chosen() -> None:
    """The last choice of a target is taken over where the dataset has that column, and only there."""
    form = TrainForm(dataset="a.csv", target="churned")
    for columns, chosen in ((["age", "churned"], "churned"), (["age", "sex"], "")):
        view = train_modal(form, place=PLACE, datasets=["a.csv"], columns=columns)
        element = next(b["element"] for b in view["blocks"] if b.get("block_id", "").startswith("target"))
        assert element.get("initial_option", {"value": ""})["value"] == chosen
    typed = train_modal(form, place=PLACE, datasets=["a.csv"], columns=[f"c{n}" for n in range(101)])
    assert "initial_value" not in next(
        b["element"] for b in typed["blocks"] if b.get("block_id", "").startswith("target")
    )


@pytest.mark.parametrize(
    "spec",
    [
        TrainSpec(dataset="churn.csv"),
        TrainSpec(
            dataset="a b.csv", target="x y", model=ModelName.TABM, time_s=90.0, seed=3, lr=0.01, drop=("a,b", "c")
        ),
        TrainSpec(dataset="churn.csv", time="day", header=False, sep=";"),
    ],
)
def test_a_changed_run_asks_for_the_same_but_for_its_name(spec: TrainSpec) -> None:
    """A form that is opened on a run and sent as it is asks for what that run was asked."""
    named = spec.model_copy(update={"name": "first try"})
    assert parse(TrainForm.of_run(run(spec=named)).words()).request == spec


def test_a_description_becomes_a_form_with_its_target() -> None:
    """“Train on it” fills in the dataset, how it is read, and the target that was found."""
    described = run(spec=DescribeSpec(dataset="a.csv", header=False, write="b.csv"), result={"target": "y"})
    assert TrainForm.of_run(described).words() == ["train", "a.csv", "target=y", "header=no"]
    assert TrainForm.of_run(run(spec=PredictSpec(run=1, dataset="n.csv"), dataset_name="n.csv")).dataset == "n.csv"


def test_last_choices_survive_their_way_through_the_log() -> None:
    """What was chosen is remembered as it was; what another version wrote is left out."""
    form = TrainForm(dataset="a.csv", target="y", model="gbdt", budget="5m", seed="1", more="lr=0.1")
    assert TrainForm.of_plain(form.plain()) == form
    assert TrainForm.of_plain({"dataset": "a.csv", "model": "oracle", "colour": "red", "seed": 3}) == TrainForm(
        dataset="a.csv"
    )


def test_a_place_travels_with_its_form() -> None:
    """Channel, run and file come back from what Slack kept; what somebody forged is left out."""
    place = Place(channel="C1", run=42, file="F1", name="a.csv")
    assert Place.of({"private_metadata": place.metadata()}) == place
    for forged in ("", "nonsense", "[]", '{"run": "42", "channel": 7}', '{"run": true}'):
        assert Place.of({"private_metadata": forged}) == Place()


def test_more_names_than_slack_lists_are_searched() -> None:
    """With more than a hundred datasets the field is one that asks while somebody types."""
    names = [f"data{number}.csv" for number in range(250)]
    view = train_modal(TrainForm(dataset="data7.csv"), place=PLACE, datasets=names)
    element = view["blocks"][0]["element"]
    assert element["type"] == "external_select"
    assert element["initial_option"]["value"] == "data7.csv"
    assert [one["value"] for one in found(names, "24")["options"]][:2] == ["data24.csv", "data124.csv"]
    assert len(found(names, "data")["options"]) == 100


def test_problems_of_one_field_stand_together() -> None:
    """Two mistakes of one field are one text there."""
    told = problems_at([Problem("bad_value", "`seed=x`: no."), Problem("bad_value", "`seed=y`: no.", "Or so.")])
    assert told == {"seed": "`seed=x`: no. `seed=y`: no. Or so."}


def test_a_dataset_that_is_too_long_to_choose_is_typed() -> None:
    """An address of more characters than an option has stands in a line to type in, whole."""
    address = f"https://data.example.com/{'a' * 300}.csv"
    view = train_modal(TrainForm(dataset=address), place=PLACE, datasets=["churn.csv"])
    assert view["blocks"][0]["element"]["initial_value"] == address
    assert "dispatch_action" not in view["blocks"][0]


def test_a_failed_run_can_be_changed() -> None:
    """What failed before its data was read is filled in from what was asked."""
    failed = run(state=RunState.FAILED, spec=TrainSpec(dataset="churn.csv", target="chrned"))
    assert TrainForm.of_run(failed) == TrainForm(dataset="churn.csv", target="chrned")
