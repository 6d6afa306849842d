"""Writes wine.csv, the wine table that comes with scikit-learn, with its class names as the last column.

python examples/make_wine.py
"""

import csv
from pathlib import Path

from sklearn.datasets import load_wine


def main() -> None:
    """Write the file beside this script."""
    wine = load_wine()
    with (Path(__file__).parent / "wine.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*(name.replace("/", "_") for name in wine.feature_names), "cultivar"])
        for cells, label in zip(wine.data, wine.target, strict=True):
            writer.writerow([*(f"{cell:g}" for cell in cells), wine.target_names[label]])


if __name__ == "__main__":
    main()
