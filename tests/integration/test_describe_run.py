"""`describe` from a shell, through a real worker, to the file that it writes."""

from collections.abc import Callable
from pathlib import Path

from support.place import Place


def test_a_table_is_described_and_written(make_place: Callable[..., Place], tmp_path: Path) -> None:
    """The answer holds the columns, the table lies where it was asked for, and asking again does not overwrite it."""
    place = make_place()
    place.start_worker()
    data, clean = tmp_path / "sales.csv", tmp_path / "clean.csv"
    data.write_text("Sales of May\n\nday;units\n" + "".join(f"{k:02d}.05.2024;{k % 7},5\n" for k in range(1, 32)))
    code, answer = place.shell.run("describe", str(data), "--write", str(clean))
    assert (code, answer["error"], answer["state"]) == (0, None, "succeeded")
    assert [(column["name"], column["kind"]) for column in answer["columns"]] == [("day", "date"), ("units", "number")]
    assert answer["dialect"]["delimiter"] == ";"
    assert (answer["dataset"]["rows"], answer["target"], answer["task"]) == (31, "units", "regression")
    assert sorted(artifact["name"] for artifact in answer["artifacts"]) == ["clean.csv", "report.json"]
    assert answer["written"] == str(clean)
    assert clean.read_text().splitlines()[:2] == ["day,units", '01.05.2024,"1,5"']
    code, again = place.shell.run("describe", str(data), "--write", str(clean))
    assert (code, again["state"], again["error"]["code"]) == (2, "refused", "write_exists")
    code, listed = place.shell.run("log", "kind=describe")
    assert [item["run"] for item in listed["items"]] == [answer["run"]]
