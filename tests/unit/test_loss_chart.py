"""The loss curve of a run: which model's, which points, and that a chat can draw it."""

import math
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from support.sample_cards import CURVE
from support.slack_blocks import check_message

from bot.loss_chart import MOST_POINTS, Chart, Line, loss_chart
from bot.slack.chart import chart_block
from shared.events import AnyEvent, EpochDone


def epoch(number: int, train: float | None, validation: float | None, *, model: str = "mlp") -> EpochDone:
    """An epoch."""
    return EpochDone(model=model, epoch=number, epochs=99, train_loss=train, validation_loss=validation)


def test_a_long_training_keeps_its_first_best_and_last_epoch() -> None:
    """Forty epochs become at most twenty points, among them the first, the best and the last."""
    chart = loss_chart(CURVE, {"model": "mlp"})
    assert chart is not None
    assert len(chart.labels) <= MOST_POINTS
    assert {"1", "24", "40"} <= set(chart.labels)
    assert list(chart.labels) == sorted(chart.labels, key=int)
    assert [line.name for line in chart.lines] == ["train", "validation"]
    assert chart.title == "Loss of mlp"


def test_an_ended_run_is_drawn_from_its_report() -> None:
    """What the report keeps of the kept model's curve counts, for few epochs are told of while a model trains."""
    curve = [[n, 1 / n, 1 / n] for n in range(1, 9)]
    chart = loss_chart([epoch(1, 1.0, 1.0)], {"model": "mlp", "candidates": {"mlp": {"curve": curve}}})
    assert chart is not None
    assert chart.labels == tuple(str(n) for n in range(1, 9))
    assert chart.lines[0].values[:2] == (1.0, 0.5)


def test_short_trainings_have_no_curve() -> None:
    """Fewer than three epochs are no curve, and neither is a model without epochs."""
    assert loss_chart([], {}) is None
    assert loss_chart([epoch(1, 1.0, 1.0), epoch(2, 0.5, 0.5)], {}) is None
    assert loss_chart([epoch(n, None, None) for n in range(9)], {}) is None


def test_what_is_not_finite_is_not_drawn() -> None:
    """An epoch whose loss is no number is left out, and a line that is mostly unknown too."""
    events = [
        epoch(1, 1.0, 1.1),
        epoch(2, math.nan, 1.0),
        epoch(3, 0.7, math.inf),
        *(epoch(n, 1 / n, 1 / n) for n in range(4, 20)),
    ]
    chart = loss_chart(events, {})
    assert chart is not None
    assert chart.labels[:2] == ("1", "4")
    only = loss_chart([epoch(n, None if n > 2 else 1.0, 1 / n) for n in range(1, 9)], {})
    assert only is not None
    assert [line.name for line in only.lines] == ["validation"]


def test_the_curve_is_that_of_the_model_that_was_kept() -> None:
    """Of several candidates the kept one is drawn, of a blend the heaviest, else the last."""
    events = [epoch(n, 1 / n, 1 / n, model=model) for model in ("mlp", "tabm") for n in range(1, 6)]

    def title(result: dict[str, Any]) -> str:
        chart = loss_chart(events, result)
        return chart.title if chart else ""

    assert title({"model": "mlp"}) == "Loss of mlp"
    assert title({"model": "blend", "candidates": {"mlp": {"weight": 0.7}, "tabm": {"weight": 0.3}}}) == "Loss of mlp"
    assert title({"model": "gbdt", "candidates": {"mlp": {}}}) == "Loss of tabm"


def test_epochs_that_were_done_again_count_once() -> None:
    """An attempt that goes on from a checkpoint repeats some epochs: each has one label, and the later one counts."""
    chart = loss_chart([epoch(1, 3.0, 3.0), epoch(2, 2.0, 2.0), epoch(2, 1.5, 1.5), epoch(3, 1.0, 1.0)], {})
    assert chart == Chart(
        "Loss of mlp",
        "epoch",
        "loss",
        ("1", "2", "3"),
        (Line("train", (3.0, 1.5, 1.0)), Line("validation", (3.0, 1.5, 1.0))),
    )


losses = st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True), st.floats(0, 10))
epochs = st.builds(
    epoch, st.integers(1, 10**9), losses, losses, model=st.sampled_from(["mlp", "tabm", "<!channel>" * 9])
)


@settings(max_examples=150, deadline=None)
@given(st.lists(epochs, max_size=120))
def test_slack_takes_every_curve(events: list[AnyEvent]) -> None:
    """Whatever a training said, its curve keeps the limits of Slack's block."""
    chart = loss_chart(events, {})
    if chart is not None:
        check_message({"text": "x", "blocks": [chart_block(chart)]})
