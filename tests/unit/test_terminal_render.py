"""A card in a terminal, and exactly one line of JSON where that was asked for."""

import json
import re
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from support.sample_cards import EVENTS, _run, hostile_card, sample_cards

from bot.answers import envelope
from bot.cards import Card, Step, StepState, Table, problem_card
from bot.desk import Answer
from bot.terminal.follow import View
from bot.terminal.main import run as run_command
from bot.terminal.render import TerminalCard
from bot.terminal.screen import Progress, Screen
from shared.errors import LmlError, Problem, RefusedWords, unavailable
from shared.log.forecast import Forecast
from shared.log.runs import RunState

MARKUP = "[bold]b[/bold] [/] [red [link=http://evil]x[/link] :fire: \\[x]"
CONTROLS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def console(*, width: int = 100, colours: bool = False) -> Console:
    """A console that is read back."""
    return Console(
        file=StringIO(),
        width=width,
        force_terminal=colours,
        highlight=False,
        markup=False,
        emoji=False,
        soft_wrap=False,
    )


def drawn(card: Card, *, width: int = 100) -> str:
    """A card as it stands in a terminal without colours."""
    on = console(width=width)
    on.print(TerminalCard(card))
    assert isinstance(on.file, StringIO)
    return on.file.getvalue()


def flat(shown: str) -> str:
    """The words of a drawn card, without its frame and its line breaks."""
    return " ".join(re.sub(r"[│╭╮╰╯─]", " ", shown).split())


@pytest.mark.parametrize("name", [name for name in sample_cards() if name != "hostile"])
@pytest.mark.parametrize("width", [100, 40])
def test_everything_on_a_card_is_drawn(name: str, width: int) -> None:
    """Whatever a card says stands in the terminal, in a narrow one too."""
    card = sample_cards()[name]
    shown = re.sub(r"\s", "", flat(drawn(card, width=width)))
    texts = [card.headline, *card.notes, *card.more]
    texts += [text for step in card.steps for text in (step.title, step.detail)]
    texts += [text for label, value in card.facts for text in (label, value)]
    texts += [card.problem.message, card.problem.hint] if card.problem else []
    if width == 100:
        texts += [cell for table in card.tables for row in (table.header, *table.rows) for cell in row]
        texts += [card.title, card.state]
    for text in texts:
        assert re.sub(r"\s", "", text) in shown
    assert max(len(line) for line in drawn(card, width=width).splitlines()) <= width


@pytest.mark.parametrize(
    ("state", "mark"),
    [
        (StepState.PENDING, "○"),
        (StepState.IN_PROGRESS, "●"),
        (StepState.COMPLETE, "✓"),
        (StepState.ERROR, "✗"),
    ],
)
def test_each_state_of_a_step_has_its_mark(state: StepState, mark: str) -> None:
    """How far a step is can be read without colours."""
    assert f"{mark} Train  epoch 3" in drawn(Card(title="x", steps=(Step("Train", state, "epoch 3"),)))


def test_nothing_in_a_card_is_markup() -> None:
    """Texts are drawn as they stand: brackets, links and emoji codes of others format nothing."""
    table = Table(MARKUP, (MARKUP, "n"), ((MARKUP, MARKUP),))
    card = Card(
        title=MARKUP,
        headline=MARKUP,
        steps=(Step(MARKUP, StepState.COMPLETE, MARKUP),),
        facts=((MARKUP, MARKUP),),
        tables=(table,),
        notes=(MARKUP,),
        problem=Problem("x", MARKUP, MARKUP),
        more=(MARKUP,),
    )
    assert flat(drawn(card, width=400)).count(MARKUP) == 14 - 1  # a table that is called like its card says so once


def test_files_are_whole_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """Where the artifacts lie stands below the card, each path on a line of its own that can be copied."""
    path = "/home/ada/[bold]/" + "deep/" * 60 + "model.onnx"
    Screen(json=False).answer(Answer(card=Card(title="x"), envelope={}), files=[path, "/b"])
    out, _ = lines_of(capsys)
    assert out[-2:] == [f"  {path}", "  /b"]


def test_numbers_stand_right_and_words_left() -> None:
    """Columns of numbers are aligned at their ends, the others at their beginnings."""
    shown = drawn(Card(title="x", tables=(Table("Metrics", ("m", "test"), (("r2", "0.5"), ("rmse", "12,345.67"))),)))
    lines = [line.strip("│ ") for line in shown.splitlines()]
    assert "r2          0.5" in lines
    assert "rmse  12,345.67" in lines


def test_a_hostile_card_can_do_nothing() -> None:
    """Names, classes and errors cannot colour, move or turn around anything in the terminal of whoever looks."""
    bad = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202egnp.exe"
    shown = drawn(Card(title=bad, notes=(bad,), problem=Problem("x", bad), facts=(("target", bad),)))
    assert CONTROLS.findall(shown) == []


@pytest.mark.parametrize("width", [20, 100])
def test_a_hostile_card_is_drawn(width: int) -> None:
    """A card of the worst texts is drawn without an error, however narrow the terminal is."""
    card = hostile_card()
    short = tuple(replace(table, rows=table.rows[:2]) for table in card.tables)  # rich is slow on thousands of cells
    assert flat(drawn(replace(card, tables=short), width=width)).count("<!channel>") > 50 or width == 20


any_text = st.text(max_size=60)


@settings(max_examples=60, deadline=None)
@given(
    st.builds(
        Card,
        title=any_text,
        state=any_text,
        headline=any_text,
        steps=st.lists(st.builds(Step, any_text, st.sampled_from(StepState), any_text), max_size=4).map(tuple),
        facts=st.lists(st.tuples(any_text, any_text), max_size=4).map(tuple),
        tables=st.lists(
            st.builds(
                Table,
                any_text,
                st.tuples(any_text, any_text),
                st.lists(st.tuples(any_text, any_text), max_size=4).map(tuple),
            ),
            max_size=2,
        ).map(tuple),
        notes=st.lists(any_text, max_size=4).map(tuple),
        files=st.lists(any_text, max_size=4).map(tuple),
        more=st.lists(any_text, max_size=4).map(tuple),
    ),
    st.integers(10, 200),
)
def test_any_card_can_be_drawn(card: Card, width: int) -> None:
    """Whatever a card holds and however wide the terminal is, it is drawn."""
    assert drawn(card, width=width)


# The screen -----------------------------------------------------------------------------------------------------------


def lines_of(capsys: pytest.CaptureFixture[str]) -> tuple[list[str], list[str]]:
    """The lines on stdout and on stderr."""
    met = capsys.readouterr()
    return met.out.splitlines(), met.err.splitlines()


def test_json_is_one_line_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    """With --json an answer is one line, an object, whatever its texts hold, and nothing else is on stdout."""
    body = envelope("help", "succeeded", text="two\nlines\u2028“é”\r\x1b[31m")
    screen = Screen(json=True)
    screen.say("Waiting ...")
    screen.answer(Answer(card=Card(title="x"), envelope=body))
    out, err = lines_of(capsys)
    assert [json.loads(line) for line in out] == [body]
    assert err == ["Waiting ..."]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_json_never_says_nan(capsys: pytest.CaptureFixture[str], value: float) -> None:
    """A number that JSON has no word for is never printed: a mistake of ours shows as one."""
    with pytest.raises(ValueError, match="not JSON compliant"):
        Screen(json=True).answer(Answer(card=Card(title="x"), envelope=envelope("train", "succeeded", x=value)))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("error", "state", "title"),
    [
        (RefusedWords(Problem("a", "Wrong.", "Do so."), Problem("b", "Bad.")), "refused", "Refused"),
        (unavailable("redis_unavailable", "Redis is away.", "Start it."), "failed", "Not possible now"),
    ],
)
def test_problems_are_shown_to_people_and_machines(
    capsys: pytest.CaptureFixture[str], error: Any, state: str, title: str
) -> None:
    """What went wrong before there was a run is a card for people, and one line for machines, with all of it."""
    Screen(json=True).problems("train", error)
    out, _ = lines_of(capsys)
    assert [json.loads(line)["state"] for line in out] == [state]
    Screen(json=False).problems("train", error)
    shown = flat("\n".join(lines_of(capsys)[0]))
    assert title in shown
    for problem in error.problems:
        assert problem.message in shown
        assert problem.hint in shown


@pytest.mark.parametrize(
    ("arguments", "code", "state"),
    [
        (["trian", "a.csv", "--json"], 2, "refused"),
        (["--json", "train"], 2, "refused"),
        (["train", "a.csv", "lr=0", "taget=y", "--json"], 2, "refused"),
        (["help", "--json"], 0, "succeeded"),
        (["--json"], 0, "succeeded"),
        (["help", "train", "--json"], 0, "succeeded"),
        (["train", "“a.csv", "--json"], 2, "refused"),
    ],
)
def test_a_command_with_json_prints_one_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, state: str
) -> None:
    """Wherever --json stands, a command prints exactly one line with the promised keys, and exits with its code."""
    assert run_command(arguments) == code
    out, err = lines_of(capsys)
    (body,) = [json.loads(line) for line in out]
    assert {"run", "kind", "state", "artifacts", "error"} <= set(body)
    assert body["state"] == state
    assert (body["error"] is None) is (state == "succeeded")
    assert err == []


def test_refused_words_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    """Refused words are a card with every problem and what to do, and the exit code 2."""
    assert run_command(["train", "a.csv", "taget=y", "lr=0"]) == 2
    shown = flat(capsys.readouterr().out)
    assert "Refused" in shown
    assert "`train` knows no key `taget`. Did you mean `target`?" in shown
    assert "`lr=0`: needs a number above 0 to 10, such as 0.001 or 1e-3." in shown


def test_a_bug_of_ours_is_one_answer(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An error that nobody foresaw is one line of JSON like any other, with its trace on stderr."""
    monkeypatch.setenv("LML_HOME", str(tmp_path))
    monkeypatch.setattr("bot.terminal.commands.answer_at_once", lambda *_: 1 / 0)
    assert run_command(["log", "--json"]) == 1
    out, err = lines_of(capsys)
    (body,) = [json.loads(line) for line in out]
    assert (body["state"], body["error"]["code"]) == ("failed", "internal_error")
    assert body["error"]["message"] == "LML met an error of its own: ZeroDivisionError: division by zero"
    assert err[0] == "Traceback (most recent call last):"


def test_progress_without_a_terminal_says_each_thing_once() -> None:
    """Where no terminal is, each thing that changed is one line, and nothing is said twice."""
    on = console(width=30)
    progress = Progress(on, None)
    view = View(run=_run(RunState.RUNNING), events=tuple(EVENTS), expected=None)
    progress.show(
        View(run=_run(RunState.QUEUED), events=(), expected=Forecast(position=2, starts_in_s=None, ends_in_s=None))
    )
    progress.show(view)
    progress.show(view)
    assert isinstance(on.file, StringIO)
    assert on.file.getvalue().splitlines() == [
        "Run 42: Queue: number 2 in the queue",
        "Run 42: Queue: waited 2.0 s",
        "Run 42: Read the dataset: 3,000 rows, 9 columns",
        "Run 42: Train: mlp: epoch 12 of at most 40, validation loss 0.4382, about 38 s left",
    ]


def test_progress_of_json_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    """With --json the progress is on stderr, so that stdout holds the one line only."""
    with Screen(json=True).progress() as progress:
        progress.show(
            View(run=_run(RunState.QUEUED), events=(), expected=Forecast(position=2, starts_in_s=None, ends_in_s=None))
        )
    out, err = lines_of(capsys)
    assert (out, err) == ([], ["Run 42: Queue: number 2 in the queue"])


def test_refusals_have_their_own_colour() -> None:
    """The state of a card is coloured on a terminal that has colours, and in no other."""
    on = console(colours=True)
    on.print(TerminalCard(problem_card([Problem("x", "Wrong.")])))
    assert isinstance(on.file, StringIO)
    assert re.search(r"\x1b\[[\d;]*31m *refused", on.file.getvalue())
    assert "\x1b" not in drawn(problem_card([Problem("x", "Wrong.")]))


def test_a_command_answers_machines_once(capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever happens after the answer, stdout holds exactly one line."""
    screen = Screen(json=True)
    for code in ("first", "second"):
        screen.problems("train", LmlError(Problem(code, "Wrong.")))
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["error"]["code"] == "first"
