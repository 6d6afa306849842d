"""Checks blocks, messages and views as Slack does, against the numbers of `slack_limits`.

A field that Slack does not know is refused too: a misspelt one would go unnoticed otherwise.
"""

import json
from collections.abc import Callable, Sequence

from support.slack_checks import (
    BrokenLimit,
    Json,
    characters,
    finite,
    invalid,
    listed,
    named,
    only,
    sized,
    text_object,
    unique,
)
from support.slack_elements import IN_ACTIONS, IN_INPUT, IN_SECTION, element_fits, image_source
from support.slack_limits import fits


def check_message(arguments: Json, *, update: bool = False) -> None:
    """Refuse a message that Slack refuses."""
    blocks, text = arguments.get("blocks") or [], arguments.get("text") or ""
    if not blocks and not text:
        raise BrokenLimit("no_text", "/text", "a message has text or blocks")
    if not isinstance(blocks, list):
        raise BrokenLimit("invalid_blocks_format", "/blocks", "a list")
    rule = "message.update_text" if update else "message.text"
    if not fits(rule, len(text)):
        raise BrokenLimit("msg_too_long", "/text", rule)
    if not fits("message.blocks", len(blocks)):
        raise BrokenLimit("msg_blocks_too_many", "/blocks", "message.blocks")
    if not fits("message.blocks_characters", len(json.dumps(blocks, ensure_ascii=False, separators=(",", ":")))):
        raise BrokenLimit("msg_blocks_too_long", "/blocks", "message.blocks_characters")
    _check_counts(blocks)
    _check_blocks(blocks, "/blocks", surface="message")


def check_view(view: Json) -> None:
    """Refuse a modal or a home tab that Slack refuses."""
    if len(json.dumps(view).encode()) > 250_000:
        raise BrokenLimit("view_too_large", "", "view.bytes")
    kind = view.get("type")
    allowed = {"type", "blocks", "private_metadata", "callback_id", "external_id"}
    if kind == "modal":
        allowed |= {"title", "submit", "close", "clear_on_close", "notify_on_close", "submit_disabled"}
    elif kind != "home":
        raise invalid("/type", "modal or home")
    only(view, allowed, "")
    sized(view, "private_metadata", "view.private_metadata", "")
    sized(view, "callback_id", "view.callback_id", "")
    blocks = view.get("blocks")
    if not isinstance(blocks, list) or not fits("view.blocks", len(blocks)):
        raise invalid("/blocks", "view.blocks")
    if kind == "modal":
        text_object(view.get("title"), "view.title", "/title", plain=True)
        for name in ("submit", "close"):
            if view.get(name) is not None:
                text_object(view[name], f"view.{name}", f"/{name}", plain=True)
        if not view.get("submit") and any(block.get("type") == "input" for block in blocks):
            raise invalid("/submit", "a modal with inputs has a submit button")
    _check_blocks(blocks, "/blocks", surface=str(kind))


def _check_counts(blocks: Sequence[Json]) -> None:
    """What a message may have only so much of, over all of its blocks."""
    kinds = [block.get("type") if isinstance(block, dict) else None for block in blocks]
    if not fits("message.tables", kinds.count("table")):
        raise invalid("/blocks", "message.tables")
    if not fits("message.charts", kinds.count("data_visualization")):
        raise invalid("/blocks", "message.charts")
    if "plan" in kinds and "task_card" in kinds:
        raise invalid("/blocks", "a message has a plan or task cards, not both")
    words = sum(len(str(block.get("text", ""))) for block in blocks if block.get("type") == "markdown")
    if not fits("message.markdown_characters", words):
        raise invalid("/blocks", "message.markdown_characters")
    cells = sum(characters(block.get("rows", [])) for block in blocks if block.get("type") == "data_table")
    if not fits("message.data_table_characters", cells):
        raise invalid("/blocks", "message.data_table_characters")


def _check_blocks(blocks: Sequence[Json], where: str, *, surface: str) -> None:
    names: set[str] = set()
    for index, block in enumerate(blocks):
        here = f"{where}/{index}"
        kind = block.get("type") if isinstance(block, dict) else None
        known = _BLOCKS.get(str(kind))
        if known is None:
            raise invalid(f"{here}/type", f"unknown block {kind}")
        fields, surfaces, check = known
        if surface not in surfaces:
            raise invalid(f"{here}/type", f"no {kind} in a {surface}")
        only(block, {"type", "block_id", *fields}, here)
        sized(block, "block_id", "block.block_id", here)
        if "block_id" in block:
            if block["block_id"] in names:
                raise invalid(f"{here}/block_id", "each block_id once")
            names.add(block["block_id"])
        check(block, here)


# Blocks, in the order of the alphabet.


def _actions(block: Json, where: str) -> None:
    elements = listed(block, "elements", "actions.elements", where)
    unique((element.get("action_id") for element in elements), f"{where}/elements", "each action_id once")
    for index, element in enumerate(elements):
        element_fits(element, f"{where}/elements/{index}", IN_ACTIONS)


def _alert(block: Json, where: str) -> None:
    text_object(block.get("text"), "alert.text", f"{where}/text")
    if block.get("level", "default") not in ("default", "info", "warning", "error", "success"):
        raise invalid(f"{where}/level", "a known level")


def _context(block: Json, where: str) -> None:
    for index, element in enumerate(listed(block, "elements", "context.elements", where)):
        here = f"{where}/elements/{index}"
        if element.get("type") == "image":
            element_fits(element, here, {"image"})
        else:
            text_object(element, "text.text", here)


def _data_table(block: Json, where: str) -> None:
    rows = _rows(block, "data_table", where)
    if not block.get("caption"):
        raise invalid(f"{where}/caption", "a data_table has a caption")
    if any(cell.get("type") == "rich_text" for cell in rows[0]):
        raise invalid(f"{where}/rows/0", "no rich_text in the header")
    if "page_size" in block and not fits("data_table.page_size", block["page_size"]):
        raise invalid(f"{where}/page_size", "data_table.page_size")
    if not 0 <= block.get("row_header_column_index", 0) < len(rows[0]):
        raise invalid(f"{where}/row_header_column_index", "a column of the table")


def _data_visualization(block: Json, where: str) -> None:
    sized(block, "title", "data_visualization.title", where, needed=True)
    chart = block.get("chart") or {}
    if chart.get("type") == "pie":
        only(chart, {"type", "segments"}, f"{where}/chart")
        segments = listed(chart, "segments", "data_visualization.segments", f"{where}/chart")
        for segment in segments:
            sized(segment, "label", "data_visualization.label", f"{where}/chart/segments", needed=True)
            if not finite(segment.get("value")) or segment["value"] <= 0:
                raise invalid(f"{where}/chart/segments", "positive values")
        return
    if chart.get("type") not in ("line", "bar", "area"):
        raise invalid(f"{where}/chart/type", "line, bar, area or pie")
    only(chart, {"type", "series", "axis_config"}, f"{where}/chart")
    axis = chart.get("axis_config") or {}
    only(axis, {"categories", "x_label", "y_label"}, f"{where}/chart/axis_config")
    categories = listed(axis, "categories", "data_visualization.categories", f"{where}/chart/axis_config")
    unique(categories, f"{where}/chart/axis_config/categories", "each category once")
    for label in categories:
        named({"label": label}, "label", f"{where}/chart/axis_config/categories")
    for name in ("x_label", "y_label"):
        sized(axis, name, "data_visualization.axis_label", f"{where}/chart/axis_config")
    series = listed(chart, "series", "data_visualization.series", f"{where}/chart")
    unique((one.get("name") for one in series), f"{where}/chart/series", "each series' name once")
    for one in series:
        only(one, {"name", "data"}, f"{where}/chart/series")
        named(one, "name", f"{where}/chart/series")
        if [point.get("label") for point in one.get("data") or []] != categories:
            raise invalid(f"{where}/chart/series", "a point for each category, in order")
        if not all(finite(point.get("value")) for point in one["data"]):
            raise invalid(f"{where}/chart/series", "finite values")


def _header(block: Json, where: str) -> None:
    text_object(block.get("text"), "header.text", f"{where}/text", plain=True)


def _image(block: Json, where: str) -> None:
    image_source(block, where)
    if "title" in block:
        text_object(block["title"], "image.title", f"{where}/title", plain=True)


def _input(block: Json, where: str) -> None:
    text_object(block.get("label"), "input.label", f"{where}/label", plain=True)
    if "hint" in block:
        text_object(block["hint"], "input.hint", f"{where}/hint", plain=True)
    if not isinstance(block.get("element"), dict):
        raise invalid(f"{where}/element", "an input has an element")
    element_fits(block["element"], f"{where}/element", IN_INPUT)


def _markdown(block: Json, where: str) -> None:
    sized(block, "text", "markdown.text", where, needed=True)


def _plan(block: Json, where: str) -> None:
    if not isinstance(block.get("title"), str) or not block["title"]:
        raise invalid(f"{where}/title", "a plan has a title, which is a string")
    tasks = block.get("tasks", [])
    unique((task.get("task_id") for task in tasks), f"{where}/tasks", "each task_id once")
    for index, task in enumerate(tasks):
        here = f"{where}/tasks/{index}"
        only(task, {"type", "block_id", *_TASK_FIELDS}, here)
        if task.get("type", "task_card") != "task_card":
            raise invalid(f"{here}/type", "task_card")
        _task_card(task, here)


def _rich_text(block: Json, where: str) -> None:
    elements = block.get("elements")
    if not isinstance(elements, list) or not elements:
        raise invalid(f"{where}/elements", "a rich_text has elements")
    for index, element in enumerate(elements):
        here = f"{where}/elements/{index}"
        if element.get("type") not in _RICH_PARTS:
            raise invalid(f"{here}/type", f"unknown part {element.get('type')}")
        only(element, {"type", "elements", "style", "indent", "offset", "border"}, here)
        for inner in element.get("elements", []):
            if element["type"] == "rich_text_list":
                _rich_text({"elements": [inner]}, here)
            elif inner.get("type") not in _RICH_LEAVES:
                raise invalid(here, f"unknown element {inner.get('type')}")
            elif inner["type"] == "text" and not inner.get("text"):
                raise invalid(here, "a text has at least one character")


def _section(block: Json, where: str) -> None:
    if not block.get("text") and not block.get("fields"):
        raise invalid(where, "a section has a text or fields")
    if block.get("text"):
        text_object(block["text"], "section.text", f"{where}/text")
    if block.get("fields"):
        for index, field in enumerate(listed(block, "fields", "section.fields", where)):
            text_object(field, "section.field", f"{where}/fields/{index}")
    if "accessory" in block:
        element_fits(block["accessory"], f"{where}/accessory", IN_SECTION)


def _table(block: Json, where: str) -> None:
    rows = _rows(block, "table", where)
    if not fits("table.characters", characters(rows)):
        raise invalid(f"{where}/rows", "table.characters")
    settings = block.get("column_settings") or []
    if len(settings) > len(rows[0]):
        raise invalid(f"{where}/column_settings", "not more settings than columns")
    for one in settings:
        if one is not None:
            only(one, {"align", "is_wrapped"}, f"{where}/column_settings")
        if one and one.get("align", "left") not in ("left", "center", "right"):
            raise invalid(f"{where}/column_settings", "left, center or right")


def _task_card(block: Json, where: str) -> None:
    for name in ("task_id", "title"):
        if not isinstance(block.get(name), str) or not block[name]:
            raise invalid(f"{where}/{name}", f"a task has a {name}, which is a string")
    if block.get("status") not in ("pending", "in_progress", "complete", "error"):
        raise invalid(f"{where}/status", "pending, in_progress, complete or error")
    for name in ("details", "output"):
        if name in block:
            if block[name].get("type") != "rich_text":
                raise invalid(f"{where}/{name}", "a rich_text")
            _rich_text(block[name], f"{where}/{name}")
    for source in block.get("sources", []):
        if source.get("type") != "url" or not source.get("url") or not source.get("text"):
            raise invalid(f"{where}/sources", "sources are addresses with a text")


def _rows(block: Json, kind: str, where: str) -> list[list[Json]]:
    rows = listed(block, "rows", f"{kind}.rows", where)
    if not fits(f"{kind}.columns", len(rows[0])):
        raise invalid(f"{where}/rows/0", f"{kind}.columns")
    for index, row in enumerate(rows):
        here = f"{where}/rows/{index}"
        if len(row) != len(rows[0]):
            raise invalid(here, "rows of one length")
        for cell in row:
            if cell.get("type") == "rich_text":
                _rich_text(cell, here)
                continue
            if cell.get("type") not in ("raw_text", "raw_number"):
                raise invalid(here, "raw_text, raw_number or rich_text")
            only(cell, {"type", "text", *(["value"] if cell["type"] == "raw_number" else [])}, here)
            if cell["type"] == "raw_number" and not finite(cell.get("value")):
                raise invalid(here, "finite numbers")
            if not cell.get("text") and cell["type"] == "raw_text":
                raise invalid(here, "a cell has at least one character")
    return rows


_TASK_FIELDS = ("task_id", "title", "details", "output", "sources", "status")
_MESSAGE, _VIEWS, _ALL = {"message"}, {"modal"}, {"message", "modal", "home"}
_BLOCKS: dict[str, tuple[tuple[str, ...], set[str], Callable[[Json, str], None]]] = {
    "actions": (("elements",), _ALL, _actions),
    "alert": (("text", "level"), _ALL, _alert),
    "context": (("elements",), _ALL, _context),
    "data_table": (("rows", "caption", "page_size", "row_header_column_index"), _MESSAGE, _data_table),
    "data_visualization": (("title", "chart"), _MESSAGE, _data_visualization),
    "divider": ((), _ALL, lambda _block, _where: None),
    "header": (("text",), _ALL, _header),
    "image": (("image_url", "slack_file", "alt_text", "title"), _ALL, _image),
    "input": (("label", "element", "hint", "optional", "dispatch_action"), _ALL, _input),
    "markdown": (("text",), _MESSAGE, _markdown),
    "plan": (("title", "tasks"), _MESSAGE, _plan),
    "rich_text": (("elements",), _ALL, _rich_text),
    "section": (("text", "fields", "accessory", "expand"), _ALL, _section),
    "table": (("rows", "column_settings"), _MESSAGE, _table),
    "task_card": (_TASK_FIELDS, _MESSAGE, _task_card),
}
_RICH_PARTS = {"rich_text_section", "rich_text_list", "rich_text_quote", "rich_text_preformatted"}
_RICH_LEAVES = {"text", "link", "emoji", "user", "channel", "usergroup", "broadcast", "date", "color", "team"}
