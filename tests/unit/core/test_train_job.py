"""The job of a train run: what it leaves beside the files of the core."""

from pathlib import Path

import yaml

from shared.specs import TrainSpec
from workers.jobs import Bench
from workers.jobs.train import work


def test_a_train_run_leaves_its_cards(tmp_path: Path, write, mixed_table):
    """A model card whose front matter has the run's figures, and a data card with the dataset's name and hash."""
    spec = TrainSpec(dataset="in/table.csv", name="March", model="linear", time_s=1)
    bench = Bench(
        spec=spec,
        data=write(mixed_table()),
        models={},
        out=tmp_path / "out",
        report=lambda _: None,
        should_stop=lambda: False,
        data_sha256="d" * 64,
    )
    bench.out.mkdir()
    report = work(bench)
    model, data = ((bench.out / name).read_text(encoding="utf-8") for name in ("model_card.md", "data_card.md"))
    facts = yaml.safe_load(model.split("---\n")[1])
    (result,) = facts["model-index"][0]["results"]
    assert facts["model-index"][0]["name"] == "March"
    figures = {one["type"]: one["value"] for one in result["metrics"]}
    assert figures == {name: value for name, value in report["metrics"]["test"].items() if value is not None}
    assert "# Data card of table.csv" in data
    assert "d" * 64 in data
    assert all(f"`{column['name']}`" in data for column in report["columns"])
