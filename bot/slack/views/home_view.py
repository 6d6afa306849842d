"""The home tab: my runs, the queue, workers and GPUs, the leaderboard of a dataset, and buttons. Pure."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bot.board import Standing, ranks, ties_of
from bot.cards import run_title, starts_text
from bot.scored import interval_of
from bot.slack import blocks as kit
from bot.slack.blocks import STATE_ICONS, Block, Element
from bot.slack.buttons import cancel_button, details_button, open_button, promote_button, words_button
from bot.slack.views import ids
from bot.slack.views.fields import MOST_OPTIONS, View, fits, option, select, told_by
from bot.tables import duration_text, interval_text, number_text
from shared.log.forecast import Forecast
from shared.log.runs import Run
from shared.log.states import RunState
from shared.work import Slot

MOST_MINE, MOST_QUEUE, MOST_RANKS = 8, 10, 10


@dataclass(frozen=True)
class Home:
    """What the tab shows; only what its person may see."""

    mine: Sequence[Run] = ()
    """My newest runs."""
    queue: Sequence[Run] = ()
    """What runs, and then what waits, the next one first."""
    queue_size: int = 0
    """How many there are, where not all of them are given."""
    expected: Mapping[int, Forecast] = field(default_factory=dict)
    slots: Sequence[Slot] = ()
    """Of the workers that live."""
    datasets: Sequence[str] = ()
    """Whose leaderboard can be shown."""
    dataset: str = ""
    """Whose leaderboard is shown."""
    standing: Standing | None = None
    pages: Mapping[int, str] = field(default_factory=dict)
    """The addresses of runs' pages."""


def home_view(home: Home) -> View:
    """The tab."""
    blocks = [_top(), *_mine(home), *_queue(home), *_workers(home.slots), *_board(home)]
    metadata = json.dumps({"dataset": home.dataset} if fits(home.dataset) else {})
    return {"type": "home", "callback_id": ids.HOME, "private_metadata": metadata, "blocks": blocks[: kit.VIEW_BLOCKS]}


def dataset_of_home(view: Mapping[str, Any]) -> str:
    """The dataset whose leaderboard a tab shows; '' where it shows none."""
    return str(told_by(view).get("dataset", ""))


def _top() -> Block:
    return {
        "type": "actions",
        "elements": [
            open_button("Train a model…", ids.OPEN_TRAIN, style="primary"),
            words_button("Experiment log", "log", "log"),
            words_button("Help", "help", "help"),
            open_button("Refresh", ids.HOME_REFRESH),
        ],
    }


def _mine(home: Home) -> Iterator[Block]:
    yield kit.header("My runs")
    if not home.mine:
        yield kit.section("None yet. “Train a model…” begins one, and so does `/lml train` in a channel.")
    for run in home.mine[:MOST_MINE]:
        yield from _run(run, home, whose=False)


def _queue(home: Home) -> Iterator[Block]:
    size = max(home.queue_size, len(home.queue))
    yield {"type": "divider"}
    yield kit.header(f"Running and waiting: {size:,}" if size else "Running and waiting")
    if not home.queue:
        yield kit.section("Nothing runs and nothing waits.")
    for run in home.queue[:MOST_QUEUE]:
        yield from _run(run, home, whose=True)
    left_out = size - min(len(home.queue), MOST_QUEUE)
    if left_out > 0:
        yield kit.context(kit.plain(f"… and {left_out:,} more; “/lml status” lists them"))


def _run(run: Run, home: Home, *, whose: bool) -> Iterator[Block]:
    """What it is, with the one thing to do about it; below it in grey, who asked and where it stands."""
    # The queue lists the runs of all, and may be looked at by whoever may not stop them.
    button = (
        details_button(run, home.pages.get(run.id, "")) if run.state.ended or whose else cancel_button(run, style="")
    )
    title = kit.section(kit.cut(f"{STATE_ICONS.get(run.state.value, '•')} {run_title(run)}", 200))
    yield {**title, "accessory": button}
    person = kit.person(run.requested_by)
    named = kit.markdown(f"<@{person}>") if person else kit.plain(run.requested_by, characters=100)
    where = kit.plain(_where(run, home.expected.get(run.id)), characters=300)
    yield kit.context(*([named] if whose else []), where)


def _where(run: Run, expected: Forecast | None) -> str:
    if run.state.ended:
        reached = f", {run.headline} {number_text(run.score)}" if run.headline and run.score is not None else ""
        why = f", {run.problem.code}" if run.problem is not None else ""
        when = f", {run.ended_at:%d %b %H:%M} UTC" if run.ended_at is not None else ""
        return f"{run.state.value}{reached}{why}{when}"
    if run.state is RunState.RUNNING:
        left = expected.ends_in_s if expected is not None else None
        return f"running{f', about {duration_text(left[1])} left' if left is not None else ''}"
    if expected is None or expected.position is None:
        return run.state.value
    when = starts_text(expected)
    return f"number {expected.position} in the queue{f', {when}' if when else ''}"


def _workers(slots: Sequence[Slot]) -> Iterator[Block]:
    if not slots:
        yield kit.context(kit.plain("⚠️ No worker lives: runs wait until one starts (lml up, or python -m workers)."))
        return
    gpus = [slot.gpu for slot in slots if slot.gpu is not None]
    others = len(slots) - len(gpus)
    counted = [f"{len(gpus)} on GPU{'s' if len(gpus) > 1 else ''} {', '.join(dict.fromkeys(gpus))}"] if gpus else []
    counted += [f"{others} on CPU{'s' if others > 1 else ''}"] if others else []
    yield kit.context(kit.plain(f"🖥️ {len(slots)} slot{'s' if len(slots) > 1 else ''} of workers: {', '.join(counted)}"))


def _board(home: Home) -> Iterator[Block]:
    names = [name for name in dict.fromkeys((home.dataset, *home.datasets)) if fits(name)][:MOST_OPTIONS]
    yield {"type": "divider"}
    yield kit.header("Leaderboard")
    if not names:
        yield kit.section("No model has been measured yet.")
        return
    chosen = select([option(name) for name in names], initial=home.dataset, placeholder="Choose a dataset")
    yield {"type": "actions", "elements": [{**chosen, "action_id": ids.HOME_DATASET}]}
    if home.standing is None or not home.standing.ranked:
        if home.dataset:
            yield kit.section("No model was trained on it and measured on test rows yet.")
        return
    yield from _ranked(home.standing)


def _ranked(standing: Standing) -> Iterator[Block]:
    board, ties = standing.board, ties_of(standing)
    lines = []
    shown = list(zip(ranks(standing, ties), standing.ranked, strict=True))[:MOST_RANKS]
    for rank, run in shown:
        interval = interval_of(run.result, board.metric)
        chance = f" ({interval_text(interval)})" if interval else ""
        line = [kit.words(f"{rank:<3} run {run.id}", bold=True), kit.words(f"  {run.model or '–'}  ·  ")]
        line += [kit.words(f"{number_text(run.score)}{chance}"), kit.words("  ·  "), kit.asker(run.requested_by)]
        lines.append(line)
    target = f", target {board.target}" if board.target else ""
    yield kit.context(kit.plain(f"{board.metric} on the same test rows{target}", characters=300))
    yield kit.rich_text(*lines)
    best = [run.id for _, run in shown]
    elements: list[Element] = [promote_button(best[0], ", ".join(board.names[:1]), numbered=True)]
    if len(best) > 1:
        told = " ".join(str(number) for number in best[:3])
        elements.append(words_button(f"Compare {told.replace(' ', ', ')}", "compare", f"compare {told}"))
    yield {"type": "actions", "elements": elements}
