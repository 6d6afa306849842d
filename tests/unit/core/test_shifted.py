"""Rows whose cells moved by one column: scattered or in a block, to either side, in tables with gaps of their own."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import polars as pl
import pytest

from workers.core import shifted_fit
from workers.core.columns import understand
from workers.core.findings import Finding
from workers.core.numbers import PLAIN
from workers.core.shifted import shift_findings
from workers.core.table import Table

Row = list[str]
HOUSES = ("area", "rooms", "year", "price")


def _left(row: Row) -> Row:
    return [*row[1:], ""]


def _right(row: Row) -> Row:
    return ["", *row[:-1]]


def _around(row: Row) -> Row:
    return [*row[1:], row[0]]


SIDES = pytest.mark.parametrize("move", [_left, _right])


def _houses(rows: int, seed: int = 0) -> list[Row]:
    chance = np.random.default_rng(seed)
    area, rooms, year = chance.normal(120, 40, rows), chance.integers(1, 9, rows), chance.integers(1950, 2021, rows)
    price = 1000 * area + 5000 * rooms
    return [[f"{a:.1f}", str(r), str(y), f"{p:.0f}"] for a, r, y, p in zip(area, rooms, year, price, strict=True)]


def _chosen(rows: int, count: int, *, block: bool) -> set[int]:
    if block:
        return set(range(rows // 3, rows // 3 + count))
    return set(np.random.default_rng(1).choice(rows, count, replace=False).tolist())


def _moved(rows: Sequence[Row], chosen: Iterable[int], move: Callable[[Row], Row]) -> list[Row]:
    return [move(row) if k in chosen else row for k, row in enumerate(rows)]


def _found(rows: Sequence[Row], names: Sequence[str] = HOUSES) -> list[Finding]:
    columns = {name: list(cells) for name, cells in zip(names, zip(*rows, strict=True), strict=True)}
    table = Table([pl.DataFrame(columns, schema=dict.fromkeys(names, pl.String))])
    return shift_findings(table, understand(table, target=names[-1]), PLAIN)


@SIDES
@pytest.mark.parametrize("block", [True, False], ids=["block", "scattered"])
@pytest.mark.parametrize(("rows", "share"), [(300, 0.01), (300, 0.1), (300, 0.4), (2000, 0.05), (2000, 0.3)])
def test_any_share_of_shifted_rows_is_found(rows, share, block, move):
    """From three rows to two fifths of the table, all of them are named and no other."""
    chosen = _chosen(rows, round(rows * share), block=block)
    (finding,) = _found(_moved(_houses(rows), chosen, move))
    assert finding.facts == {"rows": len(chosen), "first_rows": [row + 1 for row in sorted(chosen)[:5]]}
    if block and len(chosen) >= 10:
        assert finding.sentence.startswith(f"Rows {min(chosen) + 1} to {max(chosen) + 1} have cells that stand")


@SIDES
def test_scattered_rows_whose_columns_differ_little_are_found(move):
    """All of them together show what none of them does."""
    chance = np.random.default_rng(2)
    means = np.array([0.0, 2.0, 0.5, 3.0, 1.0, 2.5])
    rows = [[f"{value:.3f}" for value in chance.normal(means)] for _ in range(1000)]
    chosen = _chosen(1000, 200, block=False)
    (finding,) = _found(_moved(rows, chosen, move), "abcdey")
    assert 190 <= finding.facts["rows"] <= 200


def test_rows_before_and_after_a_shifted_part_are_not_blamed():
    """Be it the first rows, some between, or two fifths of the table, with a gap at their end or without."""
    (finding,) = _found(_moved(_houses(2000), range(666, 766), _left))
    assert finding.sentence.startswith("Rows 667 to 766 have cells that stand one column beside")
    for start, stop in ((0, 60), (666, 766), (700, 1500)):
        (finding,) = _found(_moved(_houses(2000), range(start, stop), _around))
        assert finding.facts == {"rows": stop - start, "first_rows": list(range(start + 1, start + 6))}


def test_rows_that_shifted_to_both_sides_are_both_found():
    """One finding counts them all."""
    rows = _moved(_moved(_houses(1000), range(10, 1000, 20), _left), range(15, 1000, 20), _right)
    (finding,) = _found(rows)
    assert finding.facts == {"rows": 100, "first_rows": [11, 16, 31, 36, 51]}


@SIDES
def test_shifted_rows_are_told_from_those_with_gaps(move):
    """A fifth of the first and last cells is missing anyhow; only rows that moved are named."""
    chance = np.random.default_rng(3)
    gaps = chance.random((2000, 2)) < 0.2
    rows = [["" if a else row[0], *row[1:-1], "" if b else row[-1]]
            for row, (a, b) in zip(_houses(2000), gaps.tolist(), strict=True)]  # fmt: skip
    assert _found(rows) == []
    chosen = _chosen(2000, 100, block=False)
    (finding,) = _found(_moved(rows, chosen, move))
    assert 95 <= finding.facts["rows"] <= 100
    assert set(finding.facts["first_rows"]) <= {row + 1 for row in chosen}


@pytest.mark.parametrize("seed", range(30))
def test_missing_first_and_last_cells_are_no_shift(seed):
    """Whatever is missing: any cells, those of large or of late rows, or of one kind of record."""
    chance, rows = np.random.default_rng(seed), 400
    size, kind = chance.normal(size=rows), chance.integers(0, 3, rows)
    make = [
        lambda k: np.exp(1.5 * size + 0.3 * chance.normal(size=rows) + k),
        lambda k: chance.normal(10.0**kind * (k + 1), 10.0**kind / 3),
        lambda k: chance.normal(10.0 ** (k % 4), 1, rows),
        lambda k: np.where(chance.random(rows) < 0.8, 0, chance.exponential(10.0 ** (k % 3), rows)),
        lambda _: chance.integers(1, 6, rows),
    ][seed % 5]
    columns = [[f"{value:.4g}" for value in make(k)] for k in range(7)]
    for cells in (columns[0], columns[-1]):
        missing = [
            chance.random(rows) < chance.choice([0.01, 0.1, 0.6]),
            size > chance.normal(),
            kind == 1,
            np.arange(rows) >= chance.integers(100, 400),
        ][int(chance.integers(4))]
        cells[:] = ["" if is_missing else cell for cell, is_missing in zip(cells, missing.tolist(), strict=True)]
    assert _found(list(map(list, zip(*columns, strict=True))), "abcdefy") == []


@SIDES
def test_a_few_shifted_rows_of_a_large_table_are_found_and_counted(monkeypatch, move):
    """Where only pieces are looked at, those whose end is missing are, and all of them are counted."""
    monkeypatch.setattr(shifted_fit, "LOOKED_AT", 20_000)
    houses = _houses(12_000)
    for chosen in ({7, 6_234, 11_990}, set(range(8_010, 8_130))):
        (finding,) = _found(_moved(houses, chosen, move))
        assert finding.facts == {"rows": len(chosen), "first_rows": [row + 1 for row in sorted(chosen)[:5]]}


def test_a_count_from_a_sample_is_said_to_be_one(monkeypatch):
    """Cells that went around leave no gap to count."""
    monkeypatch.setattr(shifted_fit, "LOOKED_AT", 20_000)
    (finding,) = _found(_moved(_houses(12_000), range(0, 12_000, 50), _around))
    assert 200 <= finding.facts["rows"] <= 280
    assert finding.sentence.startswith(f"About {finding.facts['rows']} rows have cells under the wrong column, as ")
    assert "rows tell that were looked at, such as row 1, 51, 101, 151, 201: in row 1 `" in finding.sentence
