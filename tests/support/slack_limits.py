"""Slack's published limits, each with its source; docs/slack-limits.md shows this table, and a test holds both equal.

`slack_blocks` checks blocks and views against the numbers, `fake_slack` everything else. A number that Slack itself
does not write down says so in its source.
"""

from dataclasses import dataclass

_BLOCKS = "docs.slack.dev/reference/block-kit/blocks"
_ELEMENTS = "docs.slack.dev/reference/block-kit/block-elements"
_OBJECTS = "docs.slack.dev/reference/block-kit/composition-objects"
_METHODS = "docs.slack.dev/reference/methods"
_SPEC = "nicklambourne/slackblocks spec/limits.json b881990, checked there against blocks.validate"
_TIERS = "docs.slack.dev/apis/web-api/rate-limits"


@dataclass(frozen=True)
class Limit:
    """A number that Slack holds its callers to, what it is of, and where that is written."""

    most: int
    what: str
    source: str
    least: int = 0


LIMITS: dict[str, Limit] = {
    # messages
    "message.blocks": Limit(50, "blocks of a message", _BLOCKS),
    "message.blocks_characters": Limit(13_200, "characters of a message's blocks", "slackapi/bolt-js#2509, measured"),
    "message.text": Limit(40_000, "characters of `text` in chat.postMessage", f"{_METHODS}/chat.postMessage"),
    "message.update_text": Limit(4_000, "characters of `text` in chat.update", f"{_METHODS}/chat.update"),
    "message.tables": Limit(1, "`table` blocks of a message", f"{_BLOCKS}/table-block"),
    "message.charts": Limit(2, "`data_visualization` blocks of a message", _SPEC),
    "message.data_table_characters": Limit(
        20_000, "characters of all `data_table` blocks of a message", f"{_BLOCKS}/data-table-block"
    ),
    "message.markdown_characters": Limit(
        12_000, "characters of all `markdown` blocks of a message", f"{_BLOCKS}/markdown-block"
    ),
    # views
    "view.blocks": Limit(100, "blocks of a modal or home tab", "docs.slack.dev/surfaces/modals", least=1),
    "view.bytes": Limit(250_000, "bytes of a view", f"{_METHODS}/views.open (view_too_large)"),
    "view.title": Limit(24, "characters of a modal's title", "docs.slack.dev/reference/views", least=1),
    "view.submit": Limit(24, "characters of a modal's submit", "docs.slack.dev/reference/views", least=1),
    "view.close": Limit(24, "characters of a modal's close", "docs.slack.dev/reference/views", least=1),
    "view.private_metadata": Limit(3_000, "characters of private_metadata", "docs.slack.dev/reference/views"),
    "view.callback_id": Limit(255, "characters of callback_id", "docs.slack.dev/reference/views"),
    "view.stack": Limit(3, "views of a modal's stack", f"{_METHODS}/views.push (push_limit_reached)"),
    # blocks
    "block.block_id": Limit(255, "characters of block_id", _BLOCKS, least=1),
    "header.text": Limit(150, "characters of a header", f"{_BLOCKS}/header-block", least=1),
    "section.text": Limit(3_000, "characters of a section's text", f"{_BLOCKS}/section-block", least=1),
    "section.fields": Limit(10, "fields of a section", f"{_BLOCKS}/section-block", least=1),
    "section.field": Limit(2_000, "characters of a section's field", f"{_BLOCKS}/section-block", least=1),
    "context.elements": Limit(10, "elements of a context block", f"{_BLOCKS}/context-block", least=1),
    "actions.elements": Limit(25, "elements of an actions block", f"{_BLOCKS}/actions-block", least=1),
    "image.image_url": Limit(3_000, "characters of image_url", f"{_BLOCKS}/image-block", least=1),
    "image.alt_text": Limit(2_000, "characters of alt_text", f"{_BLOCKS}/image-block", least=1),
    "image.title": Limit(2_000, "characters of an image's title", f"{_BLOCKS}/image-block", least=1),
    "input.label": Limit(2_000, "characters of an input's label", f"{_BLOCKS}/input-block", least=1),
    "input.hint": Limit(2_000, "characters of an input's hint", f"{_BLOCKS}/input-block", least=1),
    "table.rows": Limit(100, "rows of a table", f"{_BLOCKS}/table-block", least=1),
    "table.columns": Limit(20, "columns of a table", f"{_BLOCKS}/table-block", least=1),
    "table.characters": Limit(10_000, "characters of all cells of a table", "vellum-assistant#36219, netclaw#55"),
    "data_table.rows": Limit(201, "rows of a data_table with its header", f"{_BLOCKS}/data-table-block", least=2),
    "data_table.columns": Limit(20, "columns of a data_table", f"{_BLOCKS}/data-table-block", least=1),
    "data_table.page_size": Limit(100, "rows of a data_table's page", f"{_BLOCKS}/data-table-block", least=1),
    "data_visualization.title": Limit(50, "characters of a chart's title", _SPEC, least=1),
    "data_visualization.segments": Limit(12, "segments of a pie", _SPEC, least=1),
    "data_visualization.series": Limit(12, "series of a chart", _SPEC, least=1),
    "data_visualization.categories": Limit(20, "categories of a chart, and points of a series", _SPEC, least=1),
    "data_visualization.label": Limit(20, "characters of a category, point, segment or series name", _SPEC, least=1),
    "data_visualization.axis_label": Limit(50, "characters of an axis's label", _SPEC),
    "alert.text": Limit(200, "characters of an alert", _SPEC, least=1),
    "markdown.text": Limit(12_000, "characters of a markdown block", f"{_BLOCKS}/markdown-block", least=1),
    # elements
    "text.text": Limit(3_000, "characters of a text object", f"{_OBJECTS}/text-object", least=1),
    "element.action_id": Limit(255, "characters of action_id", _ELEMENTS, least=1),
    "button.text": Limit(75, "characters of a button", f"{_ELEMENTS}/button-element", least=1),
    "button.value": Limit(2_000, "characters of a button's value", f"{_ELEMENTS}/button-element"),
    "button.url": Limit(3_000, "characters of a button's url", f"{_ELEMENTS}/button-element", least=1),
    "button.accessibility_label": Limit(75, "characters of its accessibility_label", f"{_ELEMENTS}/button-element"),
    "confirm.title": Limit(100, "characters of a confirm's title", f"{_OBJECTS}/confirmation-dialog-object", least=1),
    "confirm.text": Limit(300, "characters of a confirm's text", f"{_OBJECTS}/confirmation-dialog-object", least=1),
    "confirm.button": Limit(30, "characters of confirm and deny", f"{_OBJECTS}/confirmation-dialog-object", least=1),
    "option.text": Limit(75, "characters of an option", f"{_OBJECTS}/option-object", least=1),
    "option.value": Limit(150, "characters of an option's value", f"{_OBJECTS}/option-object", least=1),
    "option.description": Limit(75, "characters of its description", f"{_OBJECTS}/option-object", least=1),
    "option_group.label": Limit(75, "characters of a group's label", f"{_OBJECTS}/option-group-object", least=1),
    "select.options": Limit(100, "options of a select", f"{_ELEMENTS}/select-menu-element", least=1),
    "select.option_groups": Limit(100, "option groups of a select", f"{_ELEMENTS}/select-menu-element", least=1),
    "select.placeholder": Limit(150, "characters of a placeholder", f"{_ELEMENTS}/select-menu-element", least=1),
    "overflow.options": Limit(5, "options of an overflow menu", f"{_ELEMENTS}/overflow-menu-element", least=1),
    "choice.options": Limit(10, "options of checkboxes or radio buttons", f"{_ELEMENTS}/checkboxes-element", least=1),
    "plain_text_input.max_length": Limit(3_000, "max_length of a text input", f"{_ELEMENTS}/plain-text-input-element"),
    "file_input.max_files": Limit(10, "files of a file_input", f"{_ELEMENTS}/file-input-element", least=1),
    "file_input.bytes": Limit(10_000_000, "bytes of a file of a file_input", f"{_ELEMENTS}/file-input-element"),
    # files
    "file.alt_txt": Limit(1_000, "characters of a file's alt_txt", f"{_METHODS}/files.getUploadURLExternal"),
    "file.channels": Limit(100, "channels a file is shared in at once", f"{_METHODS}/files.completeUploadExternal"),
    "file.completions": Limit(1, "calls that complete an upload", f"{_METHODS}/files.completeUploadExternal"),
    # interactions
    "ack.seconds": Limit(3, "seconds until an interaction is acknowledged", "docs.slack.dev/interactivity"),
    "trigger.seconds": Limit(3, "seconds for which a trigger_id is good", "docs.slack.dev/surfaces/modals"),
    "trigger.uses": Limit(1, "uses of a trigger_id", f"{_METHODS}/views.open (exchanged_trigger_id)"),
    "response_url.uses": Limit(5, "uses of a response_url", "docs.slack.dev/interactivity/handling-user-interaction"),
    "response_url.minutes": Limit(
        30, "minutes for which a response_url is good", "docs.slack.dev/interactivity/handling-user-interaction"
    ),
    # reading
    "history.messages": Limit(999, "messages of a page of history", f"{_METHODS}/conversations.history", least=1),
    # rates
    "rate.channel_posts": Limit(1, "messages a second in a channel", _TIERS),
    "rate.workspace_posts": Limit(300, "messages a minute in a workspace (Slack says: several hundred)", _TIERS),
    "rate.t1": Limit(1, "calls a minute of a tier 1 method", _TIERS),
    "rate.t2": Limit(20, "calls a minute of a tier 2 method", _TIERS),
    "rate.t3": Limit(50, "calls a minute of a tier 3 method", _TIERS),
    "rate.t4": Limit(100, "calls a minute of a tier 4 method", _TIERS),
}

METHOD_TIERS: dict[str, str] = {
    "apps.connections.open": "t3",
    "bots.info": "t3",
    "chat.postEphemeral": "t4",
    "chat.update": "t3",
    "conversations.history": "t3",
    "conversations.info": "t3",
    "conversations.open": "t3",
    "conversations.replies": "t3",
    "files.completeUploadExternal": "t4",
    "files.getUploadURLExternal": "t4",
    "files.info": "t4",
    "files.list": "t3",
    "usergroups.list": "t2",
    "usergroups.users.list": "t2",
    "users.info": "t4",
    "views.open": "t4",
    "views.publish": "t4",
    "views.push": "t4",
    "views.update": "t4",
}
"""The tier of each method, from slack-ruby/slack-api-ref f4837c0; `chat.postMessage` has rules of its own."""


def calls_a_minute(method: str) -> int:
    """How often a method may be called in a minute."""
    if method == "chat.postMessage":
        return LIMITS["rate.workspace_posts"].most
    tier = METHOD_TIERS.get(method)
    return LIMITS[f"rate.{tier}"].most if tier else 600


def fits(rule: str, size: int) -> bool:
    """Whether a size keeps a rule."""
    return LIMITS[rule].least <= size <= LIMITS[rule].most
