"""Short columns are read side by side, and each says what it would say alone."""

import random

import numpy as np
import polars as pl
import pytest

from workers.core import encode, equal_cells
from workers.core.columns import Column, as_table, understand
from workers.core.equal_cells import cell_readings, frame_texts
from workers.core.kinds import Kind
from workers.core.numbers import NumberStyle


def mixed_frame(rows: int = 60) -> pl.DataFrame:
    """Numbers of several styles and sizes, with gaps and strays, dates, words, yes and no."""
    chance = random.Random(0)
    columns = dict[str, list[str]]()
    for k in range(6):
        columns[f"plain{k}"] = [f"{chance.gauss(0, 10**k):.{k}f}0" for _ in range(rows)]
        columns[f"whole{k}"] = [str(chance.randint(-(10**k) * 50, 10 ** (2 * k + 2))) for _ in range(rows)]
        columns[f"comma{k}"] = [f"{chance.gauss(0, 10):.2f}".replace(".", ",") for _ in range(rows)]
        columns[f"gaps{k}"] = [chance.choice(("", "NA", "-0", "1e30", f"{chance.random():.3f}")) for _ in range(rows)]
        columns[f"day{k}"] = [f"{chance.randint(1, 28)}.{k + 1}.2024" for _ in range(rows)]
        columns[f"word{k}"] = [chance.choice(("red ", "blue", "", "NULL")) for _ in range(rows)]
        columns[f"flag{k}"] = [chance.choice(("Yes", "no", "YES", "")) for _ in range(rows)]
    columns["y"] = [chance.choice("ab") for _ in range(rows)]
    return pl.DataFrame(columns)


@pytest.mark.parametrize("together", [1, 150, 1_000_000])
def test_texts_side_by_side_are_those_of_each_column(monkeypatch: pytest.MonkeyPatch, together: int) -> None:
    """What stands for the cells of a column does not depend on the columns beside it."""
    monkeypatch.setattr(equal_cells, "TOGETHER_CELLS", together)
    frame = mixed_frame()
    readings = cell_readings(as_table(frame), understand(frame, target="y"))
    frame = frame.select(list(readings))
    for said, (name, reading) in zip(frame_texts(frame, list(readings.values())), readings.items(), strict=True):
        assert said.equals(reading.texts(frame[name]), check_names=True)


def test_features_side_by_side_are_those_of_each_column(monkeypatch: pytest.MonkeyPatch) -> None:
    """Types and values of numbers do not depend on the columns beside them."""
    frame = mixed_frame()
    columns, learnt = understand(frame, target="y"), np.arange(60) < 40
    met = []
    for together in (1, 150, 1_000_000):
        monkeypatch.setattr(encode, "TOGETHER_CELLS", together)
        features = encode.fit_features(frame, columns, learnt)
        met.append((features, encode.encode(frame, features)))
    assert {feature.type for feature in met[0][0]} == {"tensor(float)", "tensor(double)", "tensor(string)"}
    for features, cells in met[1:]:
        assert features == met[0][0]
        for one, other in zip(cells.numbers, met[0][1].numbers, strict=True):
            np.testing.assert_array_equal(one, other)
            assert one.dtype == other.dtype


def test_a_thousand_columns_have_their_features_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The numbers of a wide table are read by a few queries, not by some for each column."""
    frame = pl.DataFrame({f"c{k}": [f"{k}.25", f"{k}.5", "7"] for k in range(1000)} | {"y": ["1", "2", "4"]})
    asked, read = list[int](), encode.read_numbers

    def counted(cells: pl.Series, style: NumberStyle) -> np.ndarray:
        asked.append(len(cells))
        return read(cells, style)

    monkeypatch.setattr(encode, "read_numbers", counted)
    columns = [Column(name, Kind.NUMBER, "", used=True) for name in frame.columns[:-1]]
    features = encode.fit_features(frame, columns, np.ones(3, dtype=bool))
    encode.encode(frame, features)
    assert asked == [3000, 3000]
