"""A card as a Slack message: a text for notifications and screen readers, and blocks. Pure."""

import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch

from bot.cards import Card, Step, StepState, Table
from bot.slack import blocks as kit
from bot.slack.blocks import Block
from shared.errors import Problem

TEXT_CHARACTERS = 3_500
"""A message whose text is longer than 4,000 cannot be updated any more."""

THREAD_FILES = ("*.png", "model.onnx", "predictions.csv", "comparison.*", "report.json", "*.csv")
"""Which artifacts people get in a card's thread, in the order in which they read them; the last is a table that
`describe` wrote under a name of theirs."""

KEPT_BACK = ("test_predictions.csv",)
"""What these forms fit and nobody reads."""

_TABLE_CHARACTERS = 6_000
_NOTES_SHOWN = 8

_STATE_ICONS = {
    "preparing": "🕓",
    "queued": "🕓",
    "running": "🔄",
    "succeeded": "✅",
    "failed": "❌",
    "cancelled": "⏹️",
    "refused": "🚫",
}
_STEP_ICONS = {
    StepState.PENDING: "▫️",
    StepState.IN_PROGRESS: "🔹",
    StepState.COMPLETE: "✔️",
    StepState.ERROR: "✖️",
}
_USER = re.compile(r"[UW][A-Z0-9]{2,30}")

_NUMBER = re.compile(r"^\s*[-+–]?[\d,.]+(e[-+]?\d+)?\s*(%|s|min|h)?\s*$|^–$")


def message(card: Card) -> tuple[str, list[Block]]:
    """The card's text and blocks, within the limits of one message whatever the card holds."""
    blocks: list[Block] = []
    for block in _blocks(card):
        if len(blocks) < kit.MESSAGE_BLOCKS - 1 and kit.size([*blocks, block]) <= kit.MESSAGE_CHARACTERS:
            blocks.append(block)
    return text_of(card), blocks


def text_of(card: Card) -> str:
    """The card as one text, escaped: what a notification shows, and a message whose blocks Slack does not take."""
    lines = [card.title, _state_line(card)]
    if card.problem is not None:
        lines.append(card.problem.sentence())
    if not _ended(card):
        lines += [f"{step.title}: {_words(step)}" for step in card.steps if step.state is StepState.IN_PROGRESS]
    for table in card.tables:
        lines += [table.caption, *(" | ".join(row) for row in (table.header, *table.rows))]
    lines += card.notes
    text = kit.cut("\n".join(line for line in lines if line), TEXT_CHARACTERS)
    while len(kit.escape(text)) > TEXT_CHARACTERS:
        text = kit.cut(text, int(len(text) * 0.9))
    return kit.escape(text)


def thread_files(names: Sequence[str]) -> list[str]:
    """Those of a run's artifacts that go into its card's thread, in their order there."""
    found = [name for form in THREAD_FILES for name in names if fnmatch(name, form) and name not in KEPT_BACK]
    return list(dict.fromkeys(found))


def _blocks(card: Card) -> Iterator[Block]:
    """What matters most comes first: what no longer fits is left out from the end."""
    if card.title:
        yield kit.header(card.title)
    if _state_line(card):
        yield kit.section(_state_line(card))
    if card.problem is not None:
        yield kit.section(_problem_text(card.problem))
    if card.steps and not _ended(card):
        yield kit.section(_steps_text(card.steps))
        yield kit.context(kit.plain(_progress_text(card.steps)))
    for number, table in enumerate(card.tables):
        yield from _table_blocks(table, as_text=number > 0)
    yield from _notes_blocks(card)
    if card.facts:
        yield _facts_line(card.facts)
    files = thread_files(card.files)
    if files:
        yield kit.context(kit.plain("📎 In the thread: " + ", ".join(files)))
    if card.page:
        yield kit.context(kit.markdown(f"<{kit.escape(card.page)}|Details>"))
    if card.more:
        yield kit.context(kit.markdown("  ·  ".join(f"`{_code(words)}`" for words in card.more[:5])))


def _ended(card: Card) -> bool:
    return card.state in ("succeeded", "failed", "cancelled", "refused")


def _state_line(card: Card) -> str:
    state = f"{_STATE_ICONS.get(card.state, '•')} {card.state.capitalize()}" if card.state else ""
    where = next((step.title.lower() for step in card.steps if step.state is StepState.ERROR), "")
    if where and card.state in ("failed", "cancelled"):
        state += f" in: {where}"
    return f"{state}: {card.headline}" if state and card.headline else state or card.headline


def _problem_text(problem: Problem) -> str:
    fix = f"\n→ {problem.hint}" if problem.hint else ""
    return kit.cut(problem.message, 2_000) + kit.cut(fix, 900)


def _steps_text(steps: Sequence[Step]) -> str:
    return "\n".join(
        f"{_STEP_ICONS[step.state]} {kit.cut(step.title, 60)}{'   ' + kit.cut(step.detail, 300) if step.detail else ''}"
        for step in steps
    )


def _words(step: Step) -> str:
    return step.detail or step.state.replace("_", " ")


def _progress_text(steps: Sequence[Step]) -> str:
    done = sum(step.state is StepState.COMPLETE for step in steps)
    return f"{'▰' * done}{'▱' * (len(steps) - done)}  {done} of {len(steps)} steps"


def _table_blocks(table: Table, *, as_text: bool) -> Iterator[Block]:
    if table.caption:
        yield kit.context(kit.plain(table.caption, characters=300))
    if as_text:
        yield kit.preformatted(_columns_text(table))
        return
    numbers_from = _numbers_from(table)
    shown = min(len(table.rows), kit.TABLE_ROWS - 1)
    block = kit.table(table.header, table.rows[:shown], numbers_from=numbers_from)
    while shown > 1 and kit.size([block]) > _TABLE_CHARACTERS:
        shown = max(1, int(shown * 0.9))
        block = kit.table(table.header, table.rows[:shown], numbers_from=numbers_from)
    yield block
    left_out = len(table.rows) - shown
    columns_left_out = len(table.header) - kit.TABLE_COLUMNS
    if left_out > 0:
        yield kit.context(kit.plain(f"… and {left_out:,} more rows"))
    if columns_left_out > 0:
        yield kit.context(kit.plain(f"… and {columns_left_out:,} more columns"))


def _numbers_from(table: Table) -> int:
    """The first column after which every cell is a number."""
    columns = range(len(table.header))
    worded = [index for index in columns if any(not _NUMBER.match(row[index]) for row in table.rows)]
    return worded[-1] + 1 if worded else 1


def _columns_text(table: Table) -> str:
    rows = [[kit.cut(cell, 40) for cell in row[: kit.TABLE_COLUMNS]] for row in (table.header, *table.rows[:40])]
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    lines = ("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return "\n".join(lines)


def _notes_blocks(card: Card) -> Iterator[Block]:
    laid_out = [note for note in card.notes if "\n  " in f"\n{note}"]
    if laid_out:  # help: its columns stand below each other
        for note in laid_out:
            yield from (kit.preformatted(part) for part in _parts(note, 2_400))
        return
    if card.notes:
        shown = [kit.cut(note, 500) for note in card.notes[:_NOTES_SHOWN]]
        left_out = len(card.notes) - len(shown)
        more = [f"… and {left_out:,} more"] if left_out else []
        bullet = "• " if len(card.notes) > 1 else ""
        yield kit.section(kit.cut("\n".join(f"{bullet}{note}" for note in (*shown, *more)), 2_000))


def _parts(text: str, characters: int) -> Iterator[str]:
    """The text in parts of whole lines."""
    part = ""
    for line in text.splitlines():
        if part and len(part) + len(line) > characters:
            yield part
            part = ""
        part += f"{line}\n"
    if part.strip():
        yield part.rstrip("\n")


def _facts_line(facts: Sequence[tuple[str, str]]) -> Block:
    """One grey line; whoever asked is named by Slack itself, everything else is shown as it is."""
    asked = dict(facts).get("asked by", "")
    named = _USER.fullmatch(asked) is not None
    shown = [f"{name} {kit.cut(value, 120)}" for name, value in facts if not (named and name == "asked by")]
    elements = [kit.plain("  ·  ".join(shown))] if shown else []
    if named:
        elements.append(kit.markdown(f"asked by <@{asked}>"))
    return kit.context(*elements)


def _code(words: str) -> str:
    return kit.escape(kit.cut(words, 200).replace("`", "'"))
