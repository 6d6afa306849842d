"""A card as a Slack message: a text for notifications and screen readers, and blocks. Pure."""

import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from itertools import accumulate
from textwrap import dedent

from bot.cards import Card, Step, StepState, Table
from bot.slack import blocks as kit
from bot.slack.blocks import Block
from bot.slack.chart import chart_block
from bot.slack.plan import plan_block
from shared.errors import Problem

TEXT_CHARACTERS = 3_500
"""A message whose text is longer than 4,000 cannot be updated any more."""

THREAD_FILES = ("*.png", "model.onnx", "predictions.csv", "comparison.*", "report.json", "*.csv")
"""Which artifacts people get in a card's thread, in the order in which they read them; the last is a table that
`describe` wrote under a name of theirs."""

KEPT_BACK = ("test_predictions.csv",)
"""What these forms fit and nobody reads."""

_TABLE_CHARACTERS = 8_000
"""Of the first table as JSON."""
_STEPS_WORTH_TELLING = 3
"""A run that ended well and had no more steps than these tells none."""
_PEOPLE = ("by", "asked by")
"""What heads a column of people."""
_NOTES_SHOWN = 8
_NOTES_FIRST = 2
"""How many stand above the numbers of a run: what the cards say first are their verdicts."""

_STEP_ICONS = {
    StepState.PENDING: "▫️",
    StepState.IN_PROGRESS: "🔹",
    StepState.COMPLETE: "✔️",
    StepState.ERROR: "✖️",
}
_LEFT_OUT = kit.context(kit.plain("… and more, for which a message has no room"))

_AMOUNT = r"[-+<–]?\s*[\d,.]+(?:e[-+]?\d+)?"
_NUMBER = re.compile(rf"^\s*{_AMOUNT}(?:\s*(?:to|±)\s*{_AMOUNT})?\s*(?:%|s|min|h|B|kB|MB|GB)?\s*$|^–?$")


def message(card: Card, *, buttons: Block | None = None, classic: bool = False) -> tuple[str, list[Block]]:
    """The card's text and blocks, within the limits of one message whatever the card holds.

    `classic` draws it without the blocks that some workspaces do not take yet: plan, data_visualization, data_table.
    """
    tail = list(_tail(card, buttons))
    while len(tail) > 1 and kit.size(tail) > kit.MESSAGE_CHARACTERS // 2:
        tail.pop(0)
    room = kit.MESSAGE_CHARACTERS - kit.size(tail) - kit.size([_LEFT_OUT])
    places = kit.MESSAGE_BLOCKS - len(tail) - 1
    blocks: list[Block] = []
    left_out = False
    for ways in _pieces(card, classic=classic):
        sizes = ((kit.size(way), way) for way in ways)
        size, drawn = next((one for one in sizes if one[0] <= room and len(one[1]) <= places), (0, None))
        if drawn is None:
            left_out = True
            continue
        blocks += drawn
        room, places = room - size, places - len(drawn)
    return text_of(card), [*blocks, *([_LEFT_OUT] if left_out else []), *tail]


def text_of(card: Card) -> str:
    """The card as one text, escaped and without formats: for a notification, and where blocks are not taken."""
    lines = [card.title, _state_line(card)]
    if card.problem is not None:
        lines.append(card.problem.sentence())
    if not _ended(card):
        lines += [f"{step.title}: {_words(step)}" for step in card.steps if step.state is StepState.IN_PROGRESS]
    for table in card.tables:
        lines += [table.caption, *(" | ".join(row) for row in (table.header, *table.rows))]
    lines += card.notes
    text = kit.unformatted(kit.cut("\n".join(line for line in lines if line), TEXT_CHARACTERS))
    while len(kit.escape(text)) > TEXT_CHARACTERS:
        text = kit.cut(text, int(len(text) * 0.9))
    return kit.escape(text)


def thread_files(names: Sequence[str]) -> list[str]:
    """Those of a run's artifacts that go into its card's thread, in their order there."""
    found = [name for form in THREAD_FILES for name in names if fnmatch(name, form) and name not in KEPT_BACK]
    return list(dict.fromkeys(found))


def parts(text: str, characters: int) -> Iterator[str]:
    """The text in parts of whole lines."""
    part = ""
    for line in text.splitlines():
        if part and len(part) + len(line) > characters:
            yield part
            part = ""
        part += f"{line}\n"
    if part.strip():
        yield part.rstrip("\n")


def _pieces(card: Card, *, classic: bool) -> Iterator[Sequence[Sequence[Block]]]:
    """The parts of the card, what matters most first; of each the ways in which it can be drawn, the best first.

    A part of which no way fits any more is left out.
    """
    if card.title:
        yield [[kit.header(card.title)]]
    if _state_line(card):
        yield [[kit.section(_state_line(card))]]
    if card.problem is not None:
        yield [[kit.section(_problem_text(card.problem))]]
    if card.steps and card.state != "succeeded":
        yield from _steps_pieces(card, classic=classic)
    # What judges a run comes before its numbers, and how it came about below them; what is said of a list stands below
    # it; help shows its examples first.
    said, laid_out = [note for note in card.notes if not _is_laid_out(note)], list(_laid_out(card))
    first = (_NOTES_FIRST if card.state == "succeeded" and card.tables else len(said)) if card.state else 0
    for block in _sentences(said[:first]) if card.state else laid_out:
        yield [[block]]
    if card.tables:
        yield [list(_table_blocks(card.tables[0]))]
    if card.chart is not None and not classic:
        yield [[chart_block(card.chart)]]
    for block in (*(laid_out if card.state else ()), *_sentences(said[first:])):
        yield [[block]]
    for table in card.tables[1:]:
        yield _further_table(table, classic=classic)
    if card.state == "succeeded" and len(card.steps) > _STEPS_WORTH_TELLING and not classic:
        yield [[plan_block(card.steps)]]


def _steps_pieces(card: Card, *, classic: bool) -> Iterator[Sequence[Sequence[Block]]]:
    if not classic:
        yield [[plan_block(card.steps)]]
    elif not _ended(card):
        yield [[kit.section(_steps_text(card.steps))]]
        yield [[kit.context(kit.plain(_progress_text(card.steps)))]]


def _tail(card: Card, buttons: Block | None) -> Iterator[Block]:
    """What stands below: facts, files, what to do next."""
    if card.facts:
        yield _facts_line(card.facts)
    files = thread_files(card.files)
    if files:
        yield kit.context(kit.plain("📎 In the thread: " + ", ".join(files)))
    acts = {str(element["action_id"]).rsplit(":", 1)[-1] for element in (buttons or {}).get("elements", ())}
    if card.page and "details" not in acts:
        yield kit.context(kit.markdown(f"<{kit.escape(card.page)}|Details>"))
    more = [words for words in card.more if _verb(words) not in acts]
    if more:
        yield kit.context(kit.markdown("  ·  ".join(f"`{_code(words)}`" for words in more[:5])))
    if buttons is not None:
        yield buttons


def _verb(words: str) -> str:
    """The verb of words such as `/lml cancel 42`."""
    return words.split(" ", 2)[1] if words.count(" ") else ""


def _ended(card: Card) -> bool:
    return card.state in ("succeeded", "failed", "cancelled", "refused")


def _state_line(card: Card) -> str:
    state = f"{kit.STATE_ICONS.get(card.state, '•')} {card.state.capitalize()}" if card.state else ""
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


def _table_blocks(table: Table) -> Iterator[Block]:
    """The card's first table, for a message takes one."""
    if table.caption:
        yield kit.context(kit.plain(table.caption, characters=300))
    right, people = _numbers_in(table), _people_in(table)
    block = kit.table(table.header, table.rows, right=right, people=people)
    sizes = accumulate(kit.size([row]) for row in block["rows"])
    shown = max(1, sum(size <= _TABLE_CHARACTERS for size in sizes) - 1)
    block["rows"] = block["rows"][: shown + 1]
    shown = len(block["rows"]) - 1
    yield block
    left_out = len(table.rows) - shown
    columns_left_out = len(table.header) - kit.TABLE_COLUMNS
    if left_out > 0:
        yield kit.context(kit.plain(f"… and {left_out:,} more rows"))
    if columns_left_out > 0:
        yield kit.context(kit.plain(f"… and {columns_left_out:,} more columns"))


def _further_table(table: Table, *, classic: bool) -> Sequence[Sequence[Block]]:
    """Any other table: one that people page through, else as text whose columns stand below each other."""
    caption = [kit.context(kit.plain(table.caption, characters=300))] if table.caption else []
    as_text = [*caption, kit.preformatted(_columns_text(table))]
    if classic or not table.rows:
        return [as_text]
    return [[kit.data_table(table.caption, table.header, table.rows, people=_people_in(table))], as_text]


def _people_in(table: Table) -> list[int]:
    return [at for at, name in enumerate(table.header) if name in _PEOPLE]


def _numbers_in(table: Table) -> list[int]:
    """The columns in which every cell is a number, an interval, or missing; the first one names its row."""
    return [at for at in range(1, len(table.header)) if all(_NUMBER.match(row[at]) for row in table.rows)]


def _columns_text(table: Table) -> str:
    rows = [[kit.cut(cell, 40) for cell in row[: kit.TABLE_COLUMNS]] for row in (table.header, *table.rows[:40])]
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    signs = [">" if at in _numbers_in(table) else "<" for at in range(len(widths))]
    columns = list(zip(signs, widths, strict=True))
    lines = (
        "  ".join(f"{cell:{sign}{width}}" for cell, (sign, width) in zip(row, columns, strict=True)).rstrip()
        for row in rows
    )
    return "\n".join(lines)


def _sentences(notes: Sequence[str]) -> Iterator[Block]:
    """Notes that are sentences, below each other."""
    if notes:
        shown = [kit.cut(note, 500) for note in notes[:_NOTES_SHOWN]]
        left_out = len(notes) - len(shown)
        more = [f"… and {left_out:,} more"] if left_out else []
        bullet = "• " if len(notes) > 1 else ""
        yield kit.section(kit.cut("\n".join(f"{bullet}{note}" for note in (*shown, *more)), 2_000))


def _laid_out(card: Card) -> Iterator[Block]:
    """Notes that have columns, in a fixed width; what heads them is said above."""
    for note in filter(_is_laid_out, card.notes):
        head, _, rest = note.partition("\n")
        headed = head.endswith(":") and not head.startswith(" ")
        if headed:
            yield kit.context(kit.plain(head, characters=300))
        yield from (kit.preformatted(part) for part in parts(dedent(rest) if headed else note, 2_400))


def _is_laid_out(note: str) -> bool:
    return "\n  " in f"\n{note}"


def _facts_line(facts: Sequence[tuple[str, str]]) -> Block:
    """One grey line; whoever asked is named by Slack itself, everything else is shown as it is."""
    asked = dict(facts).get("asked by", "")
    named = kit.person(asked) is not None
    shown = [f"{name} {kit.cut(value, 120)}" for name, value in facts if not (named and name == "asked by")]
    elements = [kit.plain("  ·  ".join(shown))] if shown else []
    if named:
        elements.append(kit.markdown(f"asked by <@{asked}>"))
    return kit.context(*elements)


def _code(words: str) -> str:
    return kit.escape(kit.cut(words, 200).replace("`", "'"))
