"""Makes the pictures of docs/pages.md from real runs: `PYTHONPATH=tests .venv/bin/python -m support.page_images`.

It trains, evaluates and compares on an example table in a home of its own, serves the pages, and takes a screenshot
of each kind.
"""

import csv
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from bot.pages.links import signed_path
from shared.access import Principal, Source
from shared.blobs import BlobStore
from shared.log.engine import open_log
from shared.settings import Settings
from support.browser import opened
from support.pages_site import pages_site

REPOSITORY = Path(__file__).parents[2]
IMAGES = REPOSITORY / "docs" / "images"
READER = Principal("local", "ada", Source.SLACK)


def main() -> None:
    """Run, serve, take the pictures."""
    with tempfile.TemporaryDirectory(prefix="lml-images-") as folder:
        home = Path(folder) / "home"
        _run(home, Path(folder))
        settings = Settings(home=home, http_port=0, pages_url="http://127.0.0.1")
        with pages_site(settings, open_log(settings.log_url), BlobStore(settings.store_folder)) as address:
            _take(address, settings)


def _run(home: Path, folder: Path) -> None:
    churn, seen = REPOSITORY / "examples" / "churn.csv", folder / "churn.csv"
    seen.write_bytes(churn.read_bytes())
    later = _later(churn, folder / "churn_in_march.csv")
    for words in (
        ("describe", seen.name),
        ("train", seen.name, "model=mlp"),
        ("train", seen.name, "model=gbdt"),
        ("train", seen.name, "model=linear"),
        ("compare", "2", "3"),
        ("evaluate", "2", later.name),
        ("train", seen.name, "target=churn_date"),
    ):
        command = [sys.executable, "-m", "bot.terminal.main", *words]
        subprocess.run(command, cwd=folder, env={**os.environ, "LML_HOME": str(home)}, check=False)


def _later(source: Path, to: Path) -> Path:
    """The same table as a later month may be: dearer, with more calls, and on the islands everything turned round."""
    with source.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    turned = {"yes": "no", "no": "yes"}
    for row in rows:
        row["monthly_charge"] = f"{float(row['monthly_charge'] or 0) * 1.3 + 5:.2f}"
        if row["region"] == "islands":
            row["churned"] = turned.get(row["churned"], row["churned"])
    with to.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return to


def _take(address: str, settings: Settings) -> None:
    kinds = {
        "pages_log": ("/runs", 900, False, 900),
        "pages_run": ("/runs/2", 1100, False, 1700),
        "pages_run_phone": ("/runs/2", 360, True, 1300),
        "pages_evaluation": ("/runs/6", 1100, False, 1500),
        "pages_compare": ("/compare/2...3", 900, False, 1100),
        "pages_dataset": ("/datasets/churn.csv", 900, False, 1300),
    }
    pages: list[dict[str, object]] = [{"url": address + signed_path(settings, READER, "/runs"), "width": 900}]
    for name, (path, width, dark, whole) in kinds.items():
        file = str(IMAGES / f"{name}.png")
        pages.append({"url": address + path, "width": width, "dark": dark, "whole": whole, "screenshot": file})
    for page, met in zip(pages, opened(pages), strict=True):
        print(page["url"], met["h1"], met["errors"], met["scrollWidth"])  # noqa: T201 - a script tells what it does


if __name__ == "__main__":
    main()
