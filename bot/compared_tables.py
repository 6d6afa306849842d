"""The tables of a comparison and of an evaluation beside those of every run: pairs, specs, slices and drift. Pure."""

from typing import Any

from bot.tables import Table, interval_text, number_text, spread_text

_MOST_ROWS = 12


def more_tables(kind: str, result: dict[str, Any]) -> tuple[Table, ...]:
    """What a run of this kind says beyond its scores; a part that the result lacks has no table."""
    found = {"compare": (_over_seeds, _pairs, _specs), "evaluate": (_slices, _drift)}.get(kind, ())
    return tuple(table for one in found if (table := one(result)) is not None)


def _pairs(result: dict[str, Any]) -> Table | None:
    """The difference in the headline score of each pair, and in accuracy where that is another one."""
    headline, pairs = result.get("headline"), result.get("pairs") or []
    names = [name for name in dict.fromkeys((headline, "accuracy")) if name]
    rows = []
    for name in names:
        for pair in pairs:
            told = pair["differences"].get(name)
            if told is not None:
                first, second = pair["runs"]
                rows.append(
                    (
                        f"{first} - {second}",
                        name,
                        number_text(told["difference"]),
                        interval_text(told["interval"]),
                        _p_text(told["p_corrected"]),
                        told["test"],
                    )
                )
    if not rows:
        return None
    corrected = f", p corrected for {len(pairs)} pairs" if len(pairs) > 1 else ""
    return Table(
        caption=_short(f"Differences{corrected}", len(rows)),
        header=("runs", "score", "difference", "95 % interval", "p", "test"),
        rows=tuple(rows[:_MOST_ROWS]),
    )


def _over_seeds(result: dict[str, Any]) -> Table | None:
    """What runs with seeds reached over them: means, beside which the scores of single models stand above."""
    told = [(entry["run"], entry["over_seeds"]) for entry in result.get("runs") or () if entry.get("over_seeds")]
    rows = [
        (
            str(run),
            str(one["seeds"]),
            name,
            spread_text(mean, one["sd"].get(name)),
            interval_text(one["intervals"].get(name)),
        )
        for run, one in told
        for name, mean in one["metrics"].items()
    ]
    if not rows:
        return None
    return Table(
        caption=_short("Over seeds, each run on all of its own test rows", len(rows)),
        header=("run", "seeds", "score", "mean ± sd", "95 % interval"),
        rows=tuple(rows[:_MOST_ROWS]),
    )


def _specs(result: dict[str, Any]) -> Table | None:
    """What was asked of each run where it is not the same."""
    differ = result.get("spec_differences") or {}
    if not differ:
        return None
    runs = [str(entry["run"]) for entry in result["runs"]]
    rows = tuple(
        (key, *(_value_text(told.get(run)) for run in runs)) for key, told in list(differ.items())[:_MOST_ROWS]
    )
    return Table(caption=_short("What was asked differently", len(differ)), header=("key", *runs), rows=rows)


def _slices(result: dict[str, Any]) -> Table | None:
    """The slices that are worse beyond chance, the worst first."""
    slices = result.get("slices") or {}
    worst = slices.get("worst")
    if not worst:
        return None
    return Table(
        caption=f"Worse slices, of {slices['looked_at']} looked at",
        header=("slice", "rows", slices["metric"], "from the whole", "95 % interval"),
        rows=tuple(
            (
                one["slice"].replace("`", ""),
                f"{one['rows']:,}",
                number_text(one["value"]),
                number_text(one["difference"]),
                interval_text(one["interval"]),
            )
            for one in worst[:_MOST_ROWS]
        ),
    )


def _drift(result: dict[str, Any]) -> Table | None:
    """The columns that drifted beyond chance, those that moved most first."""
    found = [one for one in (result.get("drift") or {}).get("columns", ()) if one["drift"] != "none"]
    if not found:
        return None
    return Table(
        caption=_short("Columns that drifted from the training data", len(found)),
        header=("column", "drift", "PSI", "KS", "p"),
        rows=tuple(
            (
                one["column"],
                one["drift"],
                f"{one['psi']:.3f}",
                "–" if one.get("ks") is None else f"{one['ks']:.3f}",
                _p_text(one["p_corrected"]),
            )
            for one in found[:_MOST_ROWS]
        ),
    )


def _p_text(p: float | None) -> str:
    if p is None:
        return "–"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _value_text(value: Any) -> str:
    if value is None or value == []:
        return "–"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _short(caption: str, total: int) -> str:
    return caption if total <= _MOST_ROWS else f"{caption}: the first {_MOST_ROWS} of {total}"
