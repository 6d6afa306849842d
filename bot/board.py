"""The history and the leaderboard of a dataset, for people and for machines."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from bot.answers import envelope, run_envelope, runs_answer
from bot.beside import promotion_plain
from bot.cards import Card, Table, duration_text, number_text
from bot.desk import Answer, Desk
from bot.grammar import quoted
from bot.scored import are_overlapping, interval_of, on_test
from bot.tables import interval_text, spread_text
from shared.access import Principal
from shared.log import boards
from shared.log.beside import Promotion
from shared.log.boards import Board, Comparison, Record
from shared.log.runs import Run

MOST_BOARDS = 3
"""Other targets, splits and contents have boards of their own; so many are shown at once."""

BEST, WAS_BEST = "★ best", "☆ best then"


@dataclass(frozen=True)
class Standing:
    """A board, how many runs it has, the best of them, and the comparisons of the very best."""

    board: Board
    size: int
    ranked: Sequence[Run]
    comparisons: Sequence[Comparison] = ()


@dataclass(frozen=True)
class Tie:
    """Whether a run can be told apart from the best, and what says so."""

    tied: bool
    comparison: int | None = None
    """The run that compared them; None where only their intervals tell."""


def history_answer(
    desk: Desk, names: Sequence[str], found: Sequence[Run], records: Sequence[Record], promotions: Sequence[Promotion]
) -> Answer:
    """The runs on a dataset, newest first, and its promotions."""
    still = {record.question: record for record in records}
    marks = {record.run: WAS_BEST for record in records} | {record.run: BEST for record in still.values()}
    title = "History of " + (", ".join(names[:3]) or "a dataset")
    plain = runs_answer("history", found, title=title, expected={}, empty="No run.")
    (table,) = plain.card.tables
    rows = tuple((*row, marks.get(run.id, "")) for row, run in zip(table.rows, found, strict=True))
    tables = [Table(caption=title, header=(*table.header, "mark"), rows=rows)]
    if promotions:
        tables.append(_promotions_table(promotions))
    notes = [
        f"Best so far: run {record.run}, {record.metric} {number_text(record.score)}"
        + (f", target {record.target}." if record.target else ".")
        for record in list(still.values())[-3:]
    ]
    more = (f"{desk.prefix} leaderboard {quoted(names[0])}",) if names and records else ()
    card = Card(title=title, tables=tuple(tables), notes=tuple(notes), more=more)
    best = {record.run for record in still.values()}
    items = [{**run_envelope(run), "best": run.id in best, "was_best": marks.get(run.id) == WAS_BEST} for run in found]
    promoted = [{"run": made.run, **promotion_plain(made)} for made in promotions]
    return Answer(card=card, envelope=envelope("history", "succeeded", items=items, promotions=promoted))


def standings(
    connection: Connection, principal: Principal, dataset: str, *, target: str | None = None, limit: int = 10
) -> tuple[list[Standing], int]:
    """The boards of a dataset as this principal sees them, the one with the newest run first, and how many more it has.

    Raises `RefusedWords` `dataset_not_run` when this principal sees no run on it.
    """
    of = boards.of_dataset(connection, principal, dataset)
    found = boards.boards(connection, principal, of, target=target)
    shown = []
    for board in found[:MOST_BOARDS]:
        size, ranked = boards.ranking(connection, principal, board, limit=limit)
        compared = boards.comparisons(connection, principal, ranked[0].id) if len(ranked) > 1 else []
        shown.append(Standing(board, size, ranked, compared))
    return shown, len(found) - len(shown)


def leaderboard_answer(
    desk: Desk, dataset: str, standings: Sequence[Standing], *, others: int, target: str | None
) -> Answer:
    """A table for each board."""
    title = f"Leaderboard of {dataset}"
    if not standings:
        about = f" with target {target}" if target else ""
        empty = Card(title=title, notes=(f"No model was trained on it{about} and measured on test rows yet.",))
        return Answer(card=empty, envelope=envelope("leaderboard", "succeeded", items=[]))
    tables: list[Table] = []
    notes: list[str] = []
    items: list[dict[str, Any]] = []
    for standing in standings:
        ties = ties_of(standing)
        tables.append(_board_table(standing, ties))
        notes += _tie_notes(standing, ties)
        items.append(_board_plain(standing, ties))
    if others:
        older = "1 older board is" if others == 1 else f"{others:,} older boards are"
        notes.append(f"{older} not shown: of another content, target, score or test rows; target=COLUMN narrows.")
    best = standings[0].ranked
    more = [f"{desk.prefix} compare {' '.join(str(run.id) for run in best[:3])}"] if len(best) > 1 else []
    more.append(f"{desk.prefix} promote {best[0].id}")
    card = Card(title=title, tables=tuple(tables), notes=tuple(notes), more=tuple(more))
    return Answer(card=card, envelope=envelope("leaderboard", "succeeded", items=items))


def ties_of(standing: Standing) -> dict[int, Tie]:
    """For each run but the best: whether it can be told apart from that; runs of which nothing is known are left out.

    The newest comparison that holds both counts; where there is none, whether their 95 % intervals overlap. It is of
    single models, and says nothing of a mean over seeds. Intervals tie nobody with the best who reached less than a
    run that a comparison could tell apart from it.
    """
    best, *rest = standing.ranked
    found: dict[int, Tie] = {}
    apart = False
    for run in rest:
        several = best.seeds is not None or run.seeds is not None
        tie = None if several else _compared(standing, best.id, run.id)
        if tie is None:
            overlap = _overlap(standing.board.metric, best, run)
            tie = overlap and Tie(overlap.tied and not apart)
        if tie is not None:
            found[run.id] = tie
            apart = apart or not tie.tied
    return found


def _compared(standing: Standing, best: int, other: int) -> Tie | None:
    for comparison in standing.comparisons:
        if comparison.result.get("rows_of") == "dataset":
            continue  # it looked at other rows than the board does
        if comparison.result.get("headline", standing.board.metric) != standing.board.metric:
            continue
        tied = _says(comparison.result, best, other)
        if tied is not None:
            return Tie(tied, comparison.run)
    return None


def _says(result: dict[str, Any], best: int, other: int) -> bool | None:
    """Whether a comparison says that two runs are tied; None where it says nothing of both, as earlier ones do."""
    return next((bool(pair["tied"]) for pair in result.get("pairs") or () if set(pair["runs"]) == {best, other}), None)


def _overlap(metric: str, best: Run, other: Run) -> Tie | None:
    mine, theirs = interval_of(best.result, metric), interval_of(other.result, metric)
    return None if mine is None or theirs is None else Tie(are_overlapping(mine, theirs))


def ranks(standing: Standing, ties: dict[int, Tie]) -> Iterator[str]:
    """1, 2, 3 ...; whatever cannot be told apart from the best shares its rank."""
    shared = any(tie.tied for tie in ties.values())
    for place, run in enumerate(standing.ranked, start=1):
        first = place == 1 or (run.id in ties and ties[run.id].tied)
        yield "1=" if first and shared else str(place)


def _board_table(standing: Standing, ties: dict[int, Tie]) -> Table:
    board = standing.board
    rows = tuple(
        (
            rank,
            str(run.id),
            run.model or "–",
            spread_text(run.score, on_test(run.result, "sd").get(board.metric)),
            interval_text(interval_of(run.result, board.metric)),
            _seeds_text(run),
            run.requested_by,
            _seconds_text(_trained_s(run)),
            _seconds_text(_gpu_s(run)),
        )
        for rank, run in zip(ranks(standing, ties), standing.ranked, strict=True)
    )
    header = ("rank", "run", "model", board.metric, "95 % interval", "seeds", "by", "training", "GPU")
    shown = f"the best {len(rows)} of {standing.size:,} runs" if standing.size > len(rows) else _runs_text(len(rows))
    what = f"{', '.join(board.names[:2])}, target {board.target or '–'}"
    return Table(caption=f"{what}: {shown} on the same test rows", header=header, rows=rows)


def _tie_notes(standing: Standing, ties: dict[int, Tie]) -> Iterator[str]:
    best = standing.ranked[0].id
    compared = [
        f"{run} (run {tie.comparison} compared them)" for run, tie in ties.items() if tie.tied and tie.comparison
    ]
    overlapping = [str(run) for run, tie in ties.items() if tie.tied and not tie.comparison]
    several = {run.id for run in standing.ranked if run.seeds is not None}
    over_seeds = [run for run in overlapping if {best, int(run)} & several]
    overlapping = [run for run in overlapping if run not in over_seeds]
    if compared:
        yield f"Cannot be told apart from run {best} on their test rows: {', '.join(compared)}."
    if overlapping:
        yield (
            f"Not compared with run {best} yet, and their 95 % intervals overlap, so they count as tied:"
            f" {', '.join(overlapping)}."
        )
    if over_seeds:
        yield (
            "Means over seeds are told apart by their 95 % intervals, which hold seeds and test rows; those of run "
            f"{best} and these overlap, so they count as tied: {', '.join(over_seeds)}."
        )


def _board_plain(standing: Standing, ties: dict[int, Tie]) -> dict[str, Any]:
    board = standing.board
    rows = []
    for rank, run in zip(ranks(standing, ties), standing.ranked, strict=True):
        tie = ties.get(run.id)
        rows.append(
            {
                "rank": int(rank.rstrip("=")),
                "tied": rank.endswith("="),
                "compared_by": tie.comparison if tie else None,
                "run": run.id,
                "model": run.model,
                "score": run.score,
                "sd": on_test(run.result, "sd").get(board.metric),
                "interval": interval_of(run.result, board.metric),
                "seeds": _seeds(run),
                "by": run.requested_by,
                "train_s": _trained_s(run),
                "gpu_seconds": _gpu_s(run),
            }
        )
    return {
        "datasets": list(board.names),
        "content_sha256": board.content_sha256,
        "dataset_sha256": board.dataset_sha256,
        "target": board.target,
        "task": board.task,
        "split_sha256": board.split_sha256,
        "metric": board.metric,
        "size": standing.size,
        "rows": rows,
    }


def _runs_text(count: int) -> str:
    return "1 run" if count == 1 else f"{count:,} runs"


def _promotions_table(promotions: Sequence[Promotion]) -> Table:
    rows = tuple(
        (f"{made.alias}:{made.dataset}", str(made.run), made.by, f"{made.at:%Y-%m-%d %H:%M} UTC", made.why or "–")
        for made in promotions
    )
    return Table(caption="Promotions, the newest first", header=("alias", "run", "by", "when", "why"), rows=rows)


def _seeds(run: Run) -> list[int]:
    """The seeds that a run's score is the mean of."""
    several, one = (run.result or {}).get("seeds"), getattr(run.spec, "seed", None)
    if isinstance(several, list):
        return [entry["seed"] for entry in several if entry["state"] == "succeeded"]
    return [] if one is None else [one]


def _seeds_text(run: Run) -> str:
    return str(len(_seeds(run)) or "–")


def _trained_s(run: Run) -> float | None:
    return ((run.result or {}).get("timing_s") or {}).get("train")


def _gpu_s(run: Run) -> float | None:
    return (run.result or {}).get("gpu_seconds")


def _seconds_text(seconds: float | None) -> str:
    return duration_text(seconds) if seconds else "–"
