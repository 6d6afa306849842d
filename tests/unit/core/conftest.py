"""What the tests of the core share: tables written to a file, and runs with nobody watching."""

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from shared.specs import TrainSpec
from workers.core.train import train

torch.set_num_threads(1)

SHARED_DATA = Path(os.environ.get("LML_SHARED_DATA", Path(__file__).parents[4] / "shared" / "data"))


def quiet(_: Any) -> None:
    """A report that nobody reads."""


def never() -> bool:
    """Nobody asks for a stop."""
    return False


@pytest.fixture
def line_table() -> Callable[..., str]:
    """Writes x = 1, 2, ... and y = 2x."""
    return _line_table


@pytest.fixture
def mixed_table() -> Callable[..., str]:
    """Writes a table with columns of most kinds."""
    return _mixed_table


@pytest.fixture
def shared_data() -> Path:
    """The folder of real tables that are never part of the repository; the test is skipped where there is none."""
    if not (SHARED_DATA / "index.json").is_file():
        pytest.skip(f"no shared datasets at {SHARED_DATA}; name their folder in LML_SHARED_DATA")
    return SHARED_DATA


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes text or bytes to a file without a suffix, as the dataset store keeps them."""

    def write_file(content: str | bytes, name: str = "data") -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write_file


@pytest.fixture
def fit(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Trains on a file into `tmp_path/out` and returns the report."""

    def run(data: Path, *, out: str = "out", **words: Any) -> dict[str, Any]:
        spec = TrainSpec(dataset="data", **words)
        return train(data, spec, out=tmp_path / out, report=quiet, should_stop=never)

    return run


def _line_table(rows: int = 100) -> str:
    """The design document's table: x = 1, 2, ... and y = 2x."""
    return "x,y\n" + "".join(f"{k},{2 * k}\n" for k in range(1, rows + 1))


def _mixed_table(rows: int = 240, *, header: bool = True, seed: int = 1) -> str:
    """Numbers with gaps, words, yes and no, dates, an identifier, and a class that follows from them, noisily."""
    chance = random.Random(seed)
    lines = ["user_id,size,color,active,since,kind"] if header else []
    for k in range(rows):
        size, color = chance.gauss(0, 1), chance.choice(("red", "green", "blue"))
        active, year = chance.random() < 0.5, chance.randint(2015, 2024)
        score = size + (color == "red") - active + (year - 2020) / 4 + chance.gauss(0, 0.3)
        shown = "" if chance.random() < 0.1 else f"{size:.3f}"
        since = f"{year}-{chance.randint(1, 12):02d}-{chance.randint(1, 28):02d}"
        lines.append(f"u{k:04d},{shown},{color},{'yes' if active else 'no'},{since},{'good' if score > 0 else 'bad'}")
    return "\n".join(lines) + "\n"
