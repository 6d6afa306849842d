"""What the run pages read of the log, on both engines: no more than they show."""

from pathlib import Path

import pytest
from support.pages_runs import ADA, compare, train

from shared.blobs import BlobStore
from shared.events import EpochDone
from shared.log import pages, runs, tables
from shared.log.boards import of_dataset
from shared.log.engine import Log
from shared.search import Order, Query


@pytest.fixture
def store(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path / "store")


def test_long_curves_are_thinned_and_later_attempts_count(log: Log, store: BlobStore) -> None:
    """Of thousands of epochs some hundred are read, the first and the last among them; what was done again counts."""
    number = train(log, store)
    with log.write() as connection:
        rows = [
            {"run_id": number, "attempt": attempt, "series": "long.train_loss", "step": step, "value": float(attempt)}
            for attempt, steps in ((1, range(1, 3001)), (2, range(2001, 5004)))
            for step in steps
        ]
        connection.execute(tables.metric_points.insert(), rows)
    with log.read() as connection:
        found = dict(pages.curves(connection, number)["long.train_loss"])
    assert 150 <= len(found) <= 250
    assert {1, 5003} <= set(found)
    assert all(value == (1.0 if step <= 2000 else 2.0) for step, value in found.items())


def test_of_many_epochs_the_last_are_told(log: Log, store: BlobStore) -> None:
    """A card needs a run's stages and its last epochs, not each of thousands."""
    number = train(log, store)
    with log.write() as connection:
        for epoch in range(100):
            runs.append_event(
                connection, number, EpochDone(model="mlp", epoch=epoch, epochs=100, train_loss=0.1, validation_loss=0.2)
            )
    with log.read() as connection:
        events = pages.told_events(connection, number)
    epochs = [event.epoch for event in events if isinstance(event, EpochDone)]
    assert epochs == list(range(80, 100))
    assert {"queued", "started", "stage_started", "dataset_read", "succeeded"} <= {event.kind for event in events}


def test_runs_are_found_with_what_hangs_on_them(log: Log, store: BlobStore) -> None:
    """Lines in their order, relatives on both sides, the newest comparison of exactly these, a dataset's runs."""
    first, second = train(log, store), train(log, store)
    older, newer = compare(log, store, [first, second]), compare(log, store, [second, first])
    with log.read() as connection:
        lines = pages.listed(connection, ADA, Query(kinds=("train",), order=Order("run", descending=False)))
        assert [line.number for line in lines] == [first, second]
        assert lines[0].score == 0.9
        compared = pages.listed(connection, ADA, Query(kinds=("compare",)))
        assert [line.of_runs for line in compared] == [(second, first), (first, second)]
        parents, children = pages.related(connection, ADA, runs.get(connection, first))
        assert parents == []
        assert [one.number for one in children] == [newer, older]
        found = pages.comparison_of(connection, ADA, [first, second])
        assert found is not None
        assert found.id == newer
        assert pages.comparison_of(connection, ADA, [first, older]) is None
        dataset = of_dataset(connection, ADA, "churn.csv")
        assert pages.count_of_dataset(connection, ADA, dataset) == 2
        assert [line.number for line in pages.lines_of_dataset(connection, ADA, dataset, limit=1)] == [second]
        told = pages.newest_with_columns(connection, ADA, dataset)
        assert told is not None
        assert told.id == second
