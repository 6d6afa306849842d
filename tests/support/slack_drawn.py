"""Draws what the bot sends as Slack's client shows it: messages, modals and the home tab as a page of HTML.

No emulator draws the newer blocks (`plan`, `table`, `data_visualization`), and pictures of a real workspace cannot be
made anew by a script. This draws every block and element that we send, as near to Slack's light theme as is useful for
looking at them; a block that it does not know is an error, so that no picture leaves something out.
"""

import re
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from support.slack_chart_drawn import chart

Json = dict[str, Any]

STYLE = Path(__file__).with_name("slack_drawn.css")
NAMES = {"U0ADA": "ada", "U0BOB": "bob", "U0BOT": "lml", "C0GENERAL": "churn-models"}
"""The names that Slack shows for the ids of people and channels."""


def page(*parts: str, width: int) -> str:
    """A whole page."""
    head = f'<!doctype html><meta charset="utf-8"><title>LML in Slack</title><style>{STYLE.read_text()}</style>'
    return f'{head}<body style="width:{width}px">{"".join(parts)}'


def message(
    blocks: Sequence[Json], *, text: str = "", at: str = "10:42", edited: bool = False, seen_by: str = ""
) -> str:
    """A message of the bot; `seen_by` for one that only that person sees."""
    only = f'<div class="only">👁 Only visible to {escape(seen_by)}</div>' if seen_by else ""
    body = drawn(blocks) if blocks else f'<div class="section">{mrkdwn(text)}</div>'
    mark = '<span class="edited">(edited)</span>' if edited else ""
    return f'<div class="message">{_avatar()}<div class="body">{only}{_author(at)}{body}{mark}</div></div>'


def person(text: str, *, name: str = "Ada", at: str = "10:41", files: Sequence[str] = ()) -> str:
    """A message of a person, with the files that they shared."""
    cards = "".join(f'<div class="file"><b>📄</b><span>{escape(file)}<small>CSV</small></span></div>' for file in files)
    author = f'<div class="author"><b>{escape(name)}</b><time>{at}</time></div>'
    avatar = f'<div class="avatar person">{escape(name[0])}</div>'
    said = f'<div class="section">{mrkdwn(text)}</div>'
    return f'<div class="message">{avatar}<div class="body">{author}{said}{cards}</div></div>'


def thread(replies: Sequence[str]) -> str:
    """The replies below a message."""
    count = f"{len(replies)} repl{'y' if len(replies) == 1 else 'ies'}"
    return f'<div class="thread"><div class="count">{count}</div>{"".join(replies)}</div>'


def uploaded(files: Sequence[tuple[str, str]], *, at: str = "10:43") -> str:
    """Files that the bot put into a thread: their names, and the data address of a picture."""
    cards = ""
    for name, picture in files:
        if picture:
            cards += (
                f'<figure><figcaption>{escape(name)} ▾</figcaption><img alt="{escape(name)}" src="{picture}"></figure>'
            )
        else:
            kind = escape(name.rpartition(".")[2].upper())
            cards += f'<div class="file"><b>📄</b><span>{escape(name)}<small>{kind}</small></span></div>'
    return (
        f'<div class="message">{_avatar()}<div class="body">{_author(at)}<div class="files">{cards}</div></div></div>'
    )


def modal(view: Json) -> str:
    """A modal over the client."""
    submit = f'<button class="primary">{_plain(view["submit"])}</button>' if view.get("submit") else ""
    close = f"<button>{_plain(view['close'])}</button>" if view.get("close") else ""
    head = f"<header>{_avatar()}<h1>{_plain(view['title'])}</h1><i>✕</i></header>"
    foot = f"<footer>{close}{submit}</footer>" if submit or close else ""
    return f'<div class="modal">{head}<main>{drawn(view["blocks"])}</main>{foot}</div>'


def home(view: Json) -> str:
    """The home tab."""
    tabs = '<nav><b class="here">Home</b><b>Messages</b><b>About</b></nav>'
    return f'<div class="home"><header>{_avatar()}<h1>LML</h1></header>{tabs}<main>{drawn(view["blocks"])}</main></div>'


def drawn(blocks: Sequence[Json]) -> str:
    """Blocks, one below the other."""
    return "".join(_BLOCKS[block["type"]](block) for block in blocks)


def mrkdwn(text: str) -> str:
    """Slack's own markup: bold, italic, code, links, mentions and dates."""
    kept: list[str] = []

    def keep(html: str) -> str:
        kept.append(html)
        return f"\x00{len(kept) - 1}\x00"

    def angle(met: re.Match[str]) -> str:
        inner, _, label = met.group(1).partition("|")
        if inner[0] in "@#":
            return keep(f'<span class="mention">{inner[0]}{escape(NAMES.get(inner[1:], label or inner[1:]))}</span>')
        if inner.startswith("!date"):
            return keep(escape(label))
        if inner.startswith("!"):
            return keep(f'<span class="mention alarm">@{escape(inner[1:])}</span>')
        return keep(f"<a>{escape(_unescaped(label or inner))}</a>")

    text = re.sub(
        r"```(.+?)```",
        lambda met: keep(f"<pre>{escape(_unescaped(met.group(1).strip(chr(10))))}</pre>"),
        text,
        flags=re.DOTALL,
    )
    text = re.sub(r"`([^`\n]+)`", lambda met: keep(f"<code>{escape(_unescaped(met.group(1)))}</code>"), text)
    text = re.sub(r"<([^<>\n]+)>", angle, text)
    text = escape(_unescaped(text))
    for mark, tag in (("*", "b"), ("_", "i"), ("~", "s")):
        one = re.escape(mark)
        text = re.sub(rf"(?<![\w{one}]){one}(?=\S)([^{one}\n]+?)(?<=\S){one}(?![\w{one}])", rf"<{tag}>\1</{tag}>", text)
    text = text.replace("\n", "<br>")
    return re.sub("\x00(\\d+)\x00", lambda met: kept[int(met.group(1))], text)


def _unescaped(text: str) -> str:
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _avatar() -> str:
    return '<div class="avatar">LML</div>'


def _author(at: str) -> str:
    return f'<div class="author"><b>lml</b><span class="app">APP</span><time>{at}</time></div>'


def _plain(text: Json) -> str:
    return escape(text["text"]).replace("\n", "<br>")


def _text(text: Json) -> str:
    return mrkdwn(text["text"]) if text["type"] == "mrkdwn" else _plain(text)


# Blocks.


def _actions(block: Json) -> str:
    return f'<div class="actions">{"".join(map(_element, block["elements"]))}</div>'


def _alert(block: Json) -> str:
    return f'<div class="alert {block.get("level", "default")}">{_text(block["text"])}</div>'


def _context(block: Json) -> str:
    inner = "".join(f"<span>{_text(element)}</span>" for element in block["elements"])
    return f'<div class="context">{inner}</div>'


def _header(block: Json) -> str:
    return f'<h2 class="header">{_plain(block["text"])}</h2>'


def _image(block: Json) -> str:
    return f'<div class="picture">🖼 {escape(block["alt_text"])}</div>'


def _input(block: Json) -> str:
    optional = ' <span class="grey">(optional)</span>' if block.get("optional") else ""
    hint = f'<div class="hint">{_plain(block["hint"])}</div>' if block.get("hint") else ""
    return (
        f'<div class="input"><label>{_plain(block["label"])}{optional}</label>{_element(block["element"])}{hint}</div>'
    )


def _markdown(block: Json) -> str:
    return f'<div class="section">{escape(block["text"])}</div>'


def _plan(block: Json) -> str:
    tasks = "".join(map(_task, block["tasks"]))
    return f'<div class="plan"><div class="title"><i>⌄</i>{escape(block["title"])}</div>{tasks}</div>'


def _task(block: Json) -> str:
    more = "".join(f'<div class="more">{_rich(block[name])}</div>' for name in ("details", "output") if name in block)
    sources = "".join(f"<a>{escape(source['text'])}</a>" for source in block.get("sources", []))
    mark = f'<i class="{block["status"]}"></i>'
    return f'<div class="task {block["status"]}">{mark}<div>{escape(block["title"])}{more}{sources}</div></div>'


def _rich(block: Json) -> str:
    return "".join(map(_rich_part, block["elements"]))


def _rich_part(part: Json) -> str:
    if part["type"] == "rich_text_list":
        items = "".join(f"<li>{_rich_part(item)}</li>" for item in part["elements"])
        tag = "ol" if part.get("style") == "ordered" else "ul"
        return f"<{tag}>{items}</{tag}>"
    inner = "".join(map(_rich_leaf, part["elements"]))
    tag = {"rich_text_preformatted": "pre", "rich_text_quote": "blockquote"}.get(part["type"], "div")
    return f'<{tag} class="rich">{inner}</{tag}>'


def _rich_leaf(leaf: Json) -> str:
    if leaf["type"] in ("user", "channel"):
        name = leaf[f"{leaf['type']}_id"]
        return f'<span class="mention">{"@" if leaf["type"] == "user" else "#"}{escape(NAMES.get(name, name))}</span>'
    if leaf["type"] == "emoji":
        return f":{escape(leaf['name'])}:"
    inner = escape(leaf.get("text") or leaf.get("url") or leaf.get("fallback") or "").replace("\n", "<br>")
    if leaf["type"] == "link":
        return f"<a>{inner}</a>"
    tags = {"bold": "b", "italic": "i", "strike": "s", "code": "code"}
    for name, tag in tags.items():
        inner = f"<{tag}>{inner}</{tag}>" if leaf.get("style", {}).get(name) else inner
    return inner


def _section(block: Json) -> str:
    text = f"<div>{_text(block['text'])}</div>" if block.get("text") else ""
    fields = "".join(f"<div>{_text(field)}</div>" for field in block.get("fields", []))
    inner = text + (f'<div class="fields">{fields}</div>' if fields else "")
    accessory = f'<div class="accessory">{_element(block["accessory"])}</div>' if block.get("accessory") else ""
    return f'<div class="section"><div class="grow">{inner}</div>{accessory}</div>'


def _table(block: Json) -> str:
    settings = block.get("column_settings") or []
    lines = []
    for number, row in enumerate(block["rows"]):
        tag = "th" if number == 0 else "td"
        cells = ""
        for column, cell in enumerate(row):
            style = (settings[column] or {}) if column < len(settings) else {}
            align = style.get("align", "right" if cell["type"] == "raw_number" else "left")
            cells += f'<{tag} style="text-align:{align}">{_cell(cell)}</{tag}>'
        lines.append(f"<tr>{cells}</tr>")
    caption = f'<div class="caption">{escape(block["caption"])}</div>' if block.get("caption") else ""
    shown, page_size = len(lines), block.get("page_size", 5)
    foot = ""
    if block["type"] == "data_table" and shown - 1 > page_size:
        lines = lines[: page_size + 1]
        foot = f'<div class="pager">1 to {page_size} of {shown - 1} ‹ ›</div>'
    return f'<div class="table">{caption}<table>{"".join(lines)}</table>{foot}</div>'


def _cell(cell: Json) -> str:
    return _rich(cell) if cell["type"] == "rich_text" else escape(cell.get("text") or str(cell.get("value")))


# Elements.


def _element(element: Json) -> str:
    return _ELEMENTS[element["type"]](element)


def _button(element: Json) -> str:
    return f'<button class="{element.get("style", "")}">{_plain(element["text"])}</button>'


def _choices(element: Json) -> str:
    chosen = [element.get("initial_option"), *element.get("initial_options", [])]
    kind = "radio" if element["type"] == "radio_buttons" else "box"
    lines = (
        f'<div class="choice {kind} {"on" if option in chosen else ""}">{_text(option["text"])}</div>'
        for option in element["options"]
    )
    return "".join(lines)


def _file(element: Json) -> str:
    kinds = ", ".join(element.get("filetypes", [])) or "from your computer"
    return f'<div class="drop"><b>⬆ Upload file</b> <span class="grey">{escape(kinds)}</span></div>'


def _overflow(_element: Json) -> str:
    return "<button>⋯</button>"


def _select(element: Json) -> str:
    chosen = [option for option in (element.get("initial_option"), *element.get("initial_options", [])) if option]
    many = element["type"].startswith("multi")
    if chosen:
        inner = "".join(f"<em>{_text(one['text'])} ✕</em>" if many else _text(one["text"]) for one in chosen)
    else:
        hint = _plain(element["placeholder"]) if element.get("placeholder") else "Choose an option"
        inner = f'<span class="grey">{hint}</span>'
    return f'<div class="select">{inner}<i>⌄</i></div>'


def _typed(element: Json) -> str:
    value, hint = element.get("initial_value"), element.get("placeholder")
    inner = escape(value) if value else f'<span class="grey">{_plain(hint) if hint else "Write something"}</span>'
    return f'<div class="typed{" tall" if element.get("multiline") else ""}">{inner}</div>'


_BLOCKS = {
    "actions": _actions,
    "alert": _alert,
    "context": _context,
    "data_table": _table,
    "data_visualization": lambda block: (
        f'<div class="chart"><b>{escape(block["title"])}</b>{chart(block["chart"])}</div>'
    ),
    "divider": lambda _block: "<hr>",
    "header": _header,
    "image": _image,
    "input": _input,
    "markdown": _markdown,
    "plan": _plan,
    "rich_text": lambda block: f'<div class="section"><div class="grow">{_rich(block)}</div></div>',
    "section": _section,
    "table": _table,
    "task_card": lambda block: f'<div class="plan">{_task(block)}</div>',
}
_ELEMENTS = {
    "button": _button,
    "checkboxes": _choices,
    "external_select": _select,
    "file_input": _file,
    "multi_external_select": _select,
    "multi_static_select": _select,
    "number_input": _typed,
    "overflow": _overflow,
    "plain_text_input": _typed,
    "radio_buttons": _choices,
    "static_select": _select,
}
