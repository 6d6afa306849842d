"""A card in a terminal."""

import unicodedata

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table as RichTable
from rich.text import Text

from bot.cards import Card, Step, StepState, Table
from shared.errors import Problem

_STATE_STYLE = {
    "succeeded": "bold green",
    "failed": "bold red",
    "refused": "bold red",
    "cancelled": "bold yellow",
    "running": "bold cyan",
    "gathering": "bold cyan",
}
_STEP_MARKS = {
    StepState.PENDING: ("○", "dim"),
    StepState.IN_PROGRESS: ("●", "cyan"),
    StepState.COMPLETE: ("✓", "green"),
    StepState.ERROR: ("✗", "red"),
}


class TerminalCard:
    """A card as rich draws it. Its texts are drawn as they stand: nothing in them is markup."""

    def __init__(self, card: Card) -> None:
        self.card = card

    def __rich_console__(self, _console: Console, _options: ConsoleOptions) -> RenderResult:
        card = self.card
        parts: list[RenderableType] = []
        if card.headline:
            parts.append(_text(card.headline, style="bold"))
        parts += [_step(step) for step in card.steps]
        if card.problem is not None:
            parts.append(_problem(card.problem))
        parts += [Padding(_table(table, of=card), (1, 0, 0, 0)) for table in card.tables]
        if card.facts:
            facts = " · ".join(f"{label}: {value}" for label, value in card.facts)
            parts.append(Padding(_text(facts, style="dim"), (1 if card.tables else 0, 0, 0, 0)))
        parts += [_text(f"• {note}") for note in card.notes]
        if card.more:
            parts.append(Padding(_text("Next: " + "   ".join(card.more), style="cyan"), (1, 0, 0, 0)))
        title = _text(card.title, style="bold")
        if card.state:
            title.append(f"  {card.state}", style=_STATE_STYLE.get(card.state, "bold"))
        yield Panel(Group(*parts), title=title, title_align="left", border_style="dim", expand=False, padding=(0, 1))


def _step(step: Step) -> Text:
    mark, style = _STEP_MARKS[step.state]
    text = _text(f"{mark} ", style=style)
    text.append(step.title, style="dim" if step.state is StepState.PENDING else "default")
    if step.detail:
        text.append(f"  {step.detail}", style="dim")
    return text


def _problem(problem: Problem) -> Text:
    text = _text(problem.message, style="red")
    if problem.hint:
        text.append(f"\n{problem.hint}", style="default")
    return text


def _table(table: Table, *, of: Card) -> RichTable:
    caption = None if table.caption == of.title else table.caption
    drawn = RichTable(title=caption, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for index, name in enumerate(table.header):
        drawn.add_column(
            _text(name), justify="left" if index == 0 or not _numbers(table, index) else "right", overflow="fold"
        )
    for row in table.rows:
        drawn.add_row(*(_text(cell) for cell in row))
    return drawn


def _numbers(table: Table, index: int) -> bool:
    return all(row[index][:1].isdigit() or row[index][:1] in "-–" for row in table.rows)


def _text(text: str, style: str = "default") -> Text:
    """Text as it stands, but for characters that would move, colour or turn around what a terminal shows."""
    return Text(plain(text), style=style)


def plain(text: str) -> str:
    """Text with a mark in place of each control and formatting character; lines stay lines."""
    return "".join(
        letter if letter == "\n" or unicodedata.category(letter) not in ("Cc", "Cf", "Cs") else "\ufffd"
        for letter in text
    )
