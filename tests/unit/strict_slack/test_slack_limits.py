"""Slack's limits: the table of the document is the table of the code, and each check refuses one step beyond it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.slack_blocks import BrokenLimit, check_message, check_view
from support.slack_limits import LIMITS, METHOD_TIERS, calls_a_minute

from bot.slack.scopes import METHOD_SCOPES

Json = dict[str, Any]
DOCUMENT = Path(__file__).parents[3] / "docs" / "slack-limits.md"


def plain(text: str) -> Json:
    return {"type": "plain_text", "text": text}


def section(text: str = "x") -> Json:
    return {"type": "section", "text": plain(text)}


def button(**more: Any) -> Json:
    return {"type": "button", "text": plain("Go"), "action_id": "go", **more}


def actions(*elements: Json) -> Json:
    return {"type": "actions", "elements": list(elements)}


def confirm(**more: Any) -> Json:
    return {"title": plain("t"), "text": plain("t"), "confirm": plain("t"), "deny": plain("t"), **more}


def options(count: int, **more: Any) -> list[Json]:
    return [{"text": plain(f"o{number}"), "value": f"{number}", **more} for number in range(count)]


def select(**more: Any) -> Json:
    return actions({"type": "static_select", "action_id": "a", "options": options(1), **more})


def cell(text: str = "x") -> Json:
    return {"type": "raw_text", "text": text}


def table(rows: int, columns: int, text: str = "x") -> Json:
    return {"type": "table", "rows": [[cell(text)] * columns for _ in range(rows)]}


def data_table(rows: int = 2, columns: int = 1, text: str = "x", **more: Any) -> Json:
    return {**table(rows, columns, text), "type": "data_table", "caption": "c", **more}


def chart(points: int = 2, series: int = 1, *, label: str = "", name: str = "s", title: str = "t", **axis: Any) -> Json:
    labels = [f"{number}{label}" for number in range(points)]
    data = [{"label": text, "value": 1.0} for text in labels]
    rows = [{"name": f"{name}{number}", "data": data} for number in range(series)]
    config = {"categories": labels, **axis}
    return {
        "type": "data_visualization",
        "title": title,
        "chart": {"type": "line", "series": rows, "axis_config": config},
    }


def pie(segments: int) -> Json:
    parts = [{"label": f"{number}", "value": 1} for number in range(segments)]
    return {"type": "data_visualization", "title": "t", "chart": {"type": "pie", "segments": parts}}


def modal(*blocks: Json, **more: Any) -> Json:
    return {"type": "modal", "title": plain("t"), "submit": plain("Go"), "blocks": list(blocks) or [section()], **more}


def field(element: Json, **more: Any) -> Json:
    return {"type": "input", "label": plain("l"), "element": {"action_id": "a", **element}, **more}


def image(**more: Any) -> Json:
    return {"type": "image", "image_url": "https://x", "alt_text": "a", **more}


def text_input(**more: Any) -> Json:
    return field({"type": "plain_text_input", **more})


MESSAGES: dict[str, Callable[[int], list[Json]]] = {
    "message.blocks": lambda n: [{"type": "divider"}] * n,
    "message.tables": lambda n: [table(1, 1)] * n,
    "message.charts": lambda n: [chart()] * n,
    "block.block_id": lambda n: [{"type": "divider", "block_id": "b" * n}],
    "header.text": lambda n: [{"type": "header", "text": plain("h" * n)}],
    "section.text": lambda n: [section("s" * n)],
    "section.fields": lambda n: [{"type": "section", "fields": [plain("f")] * n}],
    "section.field": lambda n: [{"type": "section", "fields": [plain("f" * n)]}],
    "context.elements": lambda n: [{"type": "context", "elements": [plain("c")] * n}],
    "text.text": lambda n: [{"type": "context", "elements": [plain("c" * n)]}],
    "actions.elements": lambda n: [actions(*(button(action_id=f"{number}") for number in range(n)))],
    "image.image_url": lambda n: [image(image_url="u" * n)],
    "image.alt_text": lambda n: [image(alt_text="a" * n)],
    "image.title": lambda n: [image(title=plain("t" * n))],
    "table.rows": lambda n: [table(n, 1)],
    "table.columns": lambda n: [table(1, n)],
    "table.characters": lambda n: [table(1, 1, "x" * n)],
    "data_table.columns": lambda n: [data_table(columns=n)],
    "data_table.page_size": lambda n: [data_table(page_size=n)],
    "data_visualization.title": lambda n: [chart(title="t" * n)],
    "data_visualization.segments": lambda n: [pie(n)],
    "data_visualization.series": lambda n: [chart(series=n)],
    "data_visualization.categories": lambda n: [chart(points=n)],
    "data_visualization.label": lambda n: [chart(points=1, label="l" * (n - 1))],
    "data_visualization.axis_label": lambda n: [chart(x_label="x" * n)],
    "alert.text": lambda n: [{"type": "alert", "text": plain("a" * n)}],
    "markdown.text": lambda n: [{"type": "markdown", "text": "m" * n}],
    "element.action_id": lambda n: [actions(button(action_id="a" * n))],
    "button.text": lambda n: [actions(button(text=plain("b" * n)))],
    "button.value": lambda n: [actions(button(value="v" * n))],
    "button.url": lambda n: [actions(button(url="u" * n))],
    "button.accessibility_label": lambda n: [actions(button(accessibility_label="a" * n))],
    "confirm.title": lambda n: [actions(button(confirm=confirm(title=plain("t" * n))))],
    "confirm.text": lambda n: [actions(button(confirm=confirm(text=plain("t" * n))))],
    "confirm.button": lambda n: [actions(button(confirm=confirm(deny=plain("t" * n))))],
    "option.text": lambda n: [select(options=[{"text": plain("o" * n), "value": "v"}])],
    "option.value": lambda n: [select(options=[{"text": plain("o"), "value": "v" * n}])],
    "option.description": lambda n: [select(options=options(1, description=plain("d" * n)))],
    "select.options": lambda n: [select(options=options(n))],
    "select.placeholder": lambda n: [select(placeholder=plain("p" * n))],
    "overflow.options": lambda n: [actions({"type": "overflow", "action_id": "a", "options": options(n)})],
    "choice.options": lambda n: [actions({"type": "checkboxes", "action_id": "a", "options": options(n)})],
}
"""For a rule of messages: blocks of which it allows exactly so many."""

VIEWS: dict[str, Callable[[int], Json]] = {
    "view.blocks": lambda n: modal(blocks=[{"type": "divider"}] * n),
    "view.title": lambda n: modal(title=plain("t" * n)),
    "view.submit": lambda n: modal(submit=plain("t" * n)),
    "view.close": lambda n: modal(close=plain("t" * n)),
    "view.private_metadata": lambda n: modal(private_metadata="p" * n),
    "view.callback_id": lambda n: modal(callback_id="c" * n),
    "input.label": lambda n: modal(field({"type": "plain_text_input"}, label=plain("l" * n))),
    "input.hint": lambda n: modal(field({"type": "plain_text_input"}, hint=plain("l" * n))),
    "plain_text_input.max_length": lambda n: modal(text_input(max_length=n)),
    "file_input.max_files": lambda n: modal(field({"type": "file_input", "max_files": n})),
    "option_group.label": lambda n: modal(
        field({"type": "static_select", "option_groups": [{"label": plain("g" * n), "options": options(1)}]})
    ),
    "select.option_groups": lambda n: modal(
        field({"type": "static_select", "option_groups": [{"label": plain("g"), "options": options(1)}] * n})
    ),
}
"""The same for rules of views."""


def refused_message(blocks: list[Json]) -> bool:
    try:
        check_message({"blocks": blocks})
    except BrokenLimit:
        return True
    return False


def refused_view(view: Json) -> bool:
    try:
        check_view(view)
    except BrokenLimit:
        return True
    return False


@pytest.mark.parametrize("rule", MESSAGES)
def test_a_message_may_have_so_much_and_no_more(rule: str) -> None:
    """Exactly what a rule allows is taken, and one more is refused."""
    most = LIMITS[rule].most
    assert not refused_message(MESSAGES[rule](most))
    assert refused_message(MESSAGES[rule](most + 1))


@pytest.mark.parametrize("rule", VIEWS)
def test_a_view_may_have_so_much_and_no_more(rule: str) -> None:
    """Exactly what a rule allows is taken, and one more is refused."""
    most = LIMITS[rule].most
    assert not refused_view(VIEWS[rule](most))
    assert refused_view(VIEWS[rule](most + 1))


def test_a_data_table_has_at_most_200_rows_and_20000_characters() -> None:
    """A data_table's limits leave no room for the limit of all blocks, so they are looked at alone."""
    from support.slack_blocks import _check_blocks, _check_counts

    _check_blocks([data_table(201)], "", surface="message")
    with pytest.raises(BrokenLimit, match=r"data_table\.rows"):
        _check_blocks([data_table(202)], "", surface="message")
    with pytest.raises(BrokenLimit, match=r"data_table\.rows"):
        _check_blocks([data_table(1)], "", surface="message")
    _check_counts([data_table(2, 1, "x" * 10_000)])
    with pytest.raises(BrokenLimit, match="data_table_characters"):
        _check_counts([data_table(2, 1, "x" * 10_001)])


@pytest.mark.parametrize(
    ("blocks", "why"),
    [
        ([{"type": "section", "text": {"type": "mrkdwn", "text": "x", "emoji": True}}], "no field emoji"),
        ([{"type": "header", "text": {"type": "mrkdwn", "text": "x"}}], "plain_text"),
        ([{"type": "section", "text": plain("x"), "colour": "red"}], "no field colour"),
        ([{"type": "picture"}], "unknown block"),
        ([section("  ")], "section.text"),
        ([{"type": "section"}], "a text or fields"),
        ([actions(button(), button())], "each action_id once"),
        ([actions(button(style="big"))], "primary or danger"),
        ([actions({"type": "plain_text_input", "action_id": "a"})], "no plain_text_input here"),
        ([select(initial_option={"text": plain("other"), "value": "0"})], "to the letter"),
        ([{"type": "plan", "title": plain("t"), "tasks": []}], "which is a string"),
        (
            [{"type": "plan", "title": "t", "tasks": [{"task_id": "a", "title": "t", "status": "completed"}]}],
            "complete",
        ),
        ([{"type": "plan", "title": "t", "tasks": [{"task_id": "a", "title": "t", "status": "error"}] * 2}], "once"),
        (
            [{"type": "plan", "title": "t"}, {"type": "task_card", "task_id": "a", "title": "t", "status": "error"}],
            "not both",
        ),
        ([chart() | {"chart": {"type": "line", "series": [], "axis_config": {"categories": ["1"]}}}], "series"),
        (
            [
                {
                    "type": "rich_text",
                    "elements": [{"type": "rich_text_section", "elements": [{"type": "text", "text": ""}]}],
                }
            ],
            "one character",
        ),
        ([{**table(2, 2), "rows": [[cell()], [cell(), cell()]]}], "one length"),
        ([table(1, 1, "")], "one character"),
    ],
)
def test_what_slack_does_not_take(blocks: list[Json], why: str) -> None:
    """Wrong kinds, unknown fields and doubled names are refused with the rule and the place."""
    with pytest.raises(BrokenLimit, match=why):
        check_message({"blocks": blocks})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None, "1"])
def test_a_chart_has_finite_points_only(value: Any) -> None:
    """A point that is no finite number is refused, and so is one of another category."""
    block = chart()
    block["chart"]["series"][0]["data"] = [{"label": "0", "value": value}, {"label": "1", "value": 1}]
    with pytest.raises(BrokenLimit, match="finite"):
        check_message({"blocks": [block]})
    block["chart"]["series"][0]["data"] = [{"label": "1", "value": 1}, {"label": "0", "value": 1}]
    with pytest.raises(BrokenLimit, match="each category, in order"):
        check_message({"blocks": [block]})


@pytest.mark.parametrize(
    ("view", "why"),
    [
        ({**modal(text_input()), "submit": None}, "has a submit button"),
        (modal(table(1, 1)), "no table in a modal"),
        ({"type": "home", "blocks": [chart()]}, "no data_visualization in a home"),
        ({"type": "home", "title": plain("t"), "blocks": [section()]}, "no field title"),
        ({"type": "sheet", "blocks": []}, "modal or home"),
        (modal(private_metadata="x", blocks=[section("s" * 3_000)] * 90), "view.bytes"),
    ],
)
def test_which_views_slack_does_not_take(view: Json, why: str) -> None:
    """Blocks of messages, missing buttons, unknown fields and too many bytes are refused in views."""
    with pytest.raises(BrokenLimit, match=why):
        check_view(view)


def test_texts_of_messages() -> None:
    """A text has as much room in a post as Slack says, and a tenth of it in an update."""
    check_message({"text": "x" * 40_000})
    check_message({"text": "x" * 4_000}, update=True)
    for text, update in (("x" * 40_001, False), ("x" * 4_001, True)):
        with pytest.raises(BrokenLimit, match="msg_too_long"):
            check_message({"text": text}, update=update)
    with pytest.raises(BrokenLimit, match="no_text"):
        check_message({"blocks": []})
    with pytest.raises(BrokenLimit, match="msg_blocks_too_long"):
        check_message({"blocks": [section("s" * 2_900)] * 5})


def test_every_method_that_the_bot_calls_has_its_rate() -> None:
    """The tiers name every method of the table of scopes."""
    special = {"auth.test", "chat.postMessage", "chat.getPermalink"}
    assert set(METHOD_SCOPES) - special <= set(METHOD_TIERS)
    assert (calls_a_minute("chat.update"), calls_a_minute("views.open")) == (50, 100)


def test_the_document_says_the_same() -> None:
    """docs/slack-limits.md has every rule with its number and its source, and no other."""
    rows = []
    for name, limit in LIMITS.items():
        number = f"{limit.least:,} to {limit.most:,}" if limit.least > 1 else f"{limit.most:,}"
        rows.append(f"| `{name}` | {number} | {limit.what} | {limit.source} |")
    tiers = [f"| `{method}` | {tier[1:]} | {calls_a_minute(method)} |" for method, tier in METHOD_TIERS.items()]
    said = [line for line in DOCUMENT.read_text().splitlines() if line.startswith("| `")]
    assert said == [*rows, *tiers]
