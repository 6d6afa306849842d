"""The keys that say how a table is read: the same for every verb that meets a new one."""

from bot import values
from bot.grammar import Key

TASKS = ("binary", "multiclass", "regression")

TARGET_KEYS = (
    Key(
        "target",
        "COL",
        "the column to predict; else one named target, label, y or class, else the last",
        values.text,
        "What is predicted",
    ),
    Key(
        "task",
        "|".join(TASKS),
        "what is predicted; else inferred from the target",
        values.one_of(TASKS),
        "What is predicted",
    ),
)

COLUMN_KEYS = tuple(
    Key(name, "COL,COL", help_, values.columns, "Columns; what they hold is found out unless it is told")
    for name, help_ in (
        ("drop", "columns to leave out"),
        ("category", "columns to read as categories"),
        ("text", "columns to read as text"),
        ("date", "columns to read as dates"),
        ("number", "columns to read as numbers"),
    )
)

FILE_KEYS = (
    Key("header", "yes|no", "whether the first row names the columns", values.yes_or_no, "The file"),
    Key("sep", "X", "the character between cells, or comma, semicolon, tab, pipe, space", values.separator, "The file"),
    Key("encoding", "X", "the text encoding of the file", values.encoding, "The file"),
)
