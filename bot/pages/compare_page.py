"""`/compare/41...42`: runs beside each other, by a comparison that was run, else by what each of them measured."""

import re
from collections.abc import Sequence
from typing import Any

from bot.cards import Table, run_card, run_title
from bot.desk import Desk
from bot.pages import figures
from bot.pages.charts import Chart
from bot.pages.html import Shown
from bot.pages.run_page import compared_chart
from bot.scored import interval_of, on_test
from bot.tables import interval_text, spread_text
from shared.errors import refused
from shared.log import pages, runs
from shared.log.runs import MOST_NUMBER, Run

_LEAST, _MOST = 2, 10


def numbers_in(word: str) -> list[int]:
    """The runs of a path such as `41...42...43`; raises `RefusedWords` `bad_run`."""
    parts = word.split("...")
    numbers = [int(part) for part in parts if re.fullmatch(r"[0-9]{1,10}", part) and 0 < int(part) <= MOST_NUMBER]
    if len(numbers) != len(parts) or not _LEAST <= len(set(numbers)) == len(numbers) <= _MOST:
        raise refused(
            "bad_run",
            f"Comparing takes {_LEAST} to {_MOST} different runs; met `{word[:100]}`.",
            "Write their numbers with three points between them: /compare/41...42.",
        )
    return numbers


def show(desk: Desk, numbers: Sequence[int]) -> Shown:
    """The newest comparison of exactly these runs, and the runs beside each other."""
    with desk.log.read() as connection:
        found = [runs.find(connection, desk.principal, number) for number in numbers]
        comparison = pages.comparison_of(connection, desk.principal, numbers)
    values: dict[str, Any] = {
        "runs": [(run, run_title(run)) for run in found],
        "title": f"Runs {', '.join(map(str, numbers[:-1]))} and {numbers[-1]}",
        "comparison": comparison,
        "card": run_card(comparison, ()) if comparison is not None else None,
        "charts": [],
        "tables": [],
        "words": f"lml compare {' '.join(map(str, numbers))}",
        "same_rows": _same_rows(found),
    }
    if comparison is not None:
        result = comparison.result or {}
        chart = compared_chart(result)
        values["tables"] = [] if "spec_differences" in result else [_specs(found)]
    else:
        chart = _chart(found)
        values["tables"] = [_metrics(found), _intervals(found), _specs(found)]
    values["charts"] = [chart] if chart is not None else []
    values["tables"] = [table for table in values["tables"] if table is not None]
    return Shown("compare.html", values)


def _same_rows(found: Sequence[Run]) -> bool:
    """Whether all were measured on the same test rows."""
    rows = {(run.content_sha256 or run.dataset_sha256, run.target, run.split_sha256) for run in found}
    return len(rows) == 1 and None not in next(iter(rows))


def _metrics(found: Sequence[Run]) -> Table | None:
    names = list(dict.fromkeys(name for run in found for name in on_test(run.result, "metrics")))
    if not names:
        return None
    rows = tuple((name, *(_mean_text(run, name) for run in found)) for name in names)
    over = ", means over seeds where there are several" if any(run.seeds is not None for run in found) else ""
    return Table(f"Each on its own test rows{over}", ("metric", *(f"run {run.id}" for run in found)), rows)


def _mean_text(run: Run, name: str) -> str:
    return spread_text(on_test(run.result, "metrics").get(name), on_test(run.result, "sd").get(name))


def _intervals(found: Sequence[Run]) -> Table | None:
    names = list(dict.fromkeys(name for run in found for name in on_test(run.result, "intervals")))
    if not names:
        return None
    rows = tuple((name, *(interval_text(interval_of(run.result, name)) for run in found)) for name in names)
    return Table("Their 95 % intervals", ("metric", *(f"run {run.id}" for run in found)), rows)


def _chart(found: Sequence[Run]) -> Chart | None:
    metrics = {run.headline for run in found}
    if len(metrics) != 1 or None in metrics:
        return None
    metric = str(found[0].headline)
    reached = [(str(run.id), run.score, interval_of(run.result, metric)) for run in found if run.score is not None]
    return figures.runs_chart(metric, reached)


def _specs(found: Sequence[Run]) -> Table | None:
    specs = [_asked(run) for run in found]
    keys = list(dict.fromkeys(key for spec in specs for key in spec))
    differ = [key for key in keys if len({repr(spec.get(key)) for spec in specs}) > 1]
    if not differ:
        return None
    rows = tuple((key, *(_text(spec.get(key)) for spec in specs)) for key in differ)
    return Table("What differs in what was asked", ("key", *(f"run {run.id}" for run in found)), rows)


def _asked(run: Run) -> dict[str, Any]:
    return {"kind": run.kind, **run.spec.model_dump(mode="json", exclude={"name"}), "dataset": run.dataset_name}


def _text(value: Any) -> str:
    return "–" if value in (None, [], {}) else str(value)[:200]
