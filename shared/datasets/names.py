"""What a dataset is called: a plain file name, whatever it was called elsewhere."""

import unicodedata

MOST_LETTERS = 255
"""No file system holds a longer name."""


def plain_name(name: str) -> str:
    r"""A file's name without the folders before it and without letters that nobody sees; `dataset` where none is left.

    >>> plain_name("/tmp/../churn 2026.csv"), plain_name("C:\\data\\a\u202e.csv"), plain_name("..")
    ('churn 2026.csv', 'a.csv', 'dataset')
    """
    seen = "".join(letter for letter in name if unicodedata.category(letter)[0] != "C")
    last = seen.replace("\\", "/").rstrip("/").rpartition("/")[2].strip()
    return last[:MOST_LETTERS] if last.strip(".") else "dataset"
