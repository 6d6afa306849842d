"""What cells mean: missing words, numbers, booleans and dates, in one place.

Both ways of reading a cell follow from these tables and patterns: the encoder that prepares training (Polars) and the
graph that is exported (RE2 inside ONNX Runtime). So the patterns keep to what both engines understand alike: ASCII, no
look-around.
"""

import re

BLANK = r"[ \t\r\n\f\v]"
SPACE = " \t\r\n\f\v"

# The bounds keep every match inside the range of a double: the graph's cast refuses what overflows or underflows.
NUMBER = r"[+-]?([0-9]{1,100}(\.[0-9]{0,180})?|\.[0-9]{1,180})([eE][+-]?0{0,2}[0-9]{1,2})?"
# Numbers beyond that range, which are told as such.
FAR_NUMBER = r"[+-]?([0-9]{1,100}(\.[0-9]{0,180})?|\.[0-9]{1,180})[eE][+-]?[1-9][0-9]{2}"
INTEGER = r"[+-]?[0-9]{1,100}"
TIME = r"([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,9})?)?"
DATE = rf"[0-9]{{4}}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])([ T]{TIME}Z?)?"
UUID = r"(?i)[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


def whole(pattern: str) -> str:
    """The pattern as Polars wants it to match whole cells."""
    return rf"\A(?:{pattern})\z"


def padded(pattern: str) -> str:
    """The pattern with blanks allowed around it."""
    return rf"{BLANK}*(?:{pattern}){BLANK}*"


# "None", "nan" and "<NA>" are also what clients of the exported model send for a missing value.
MISSING_WORDS = (
    "", "NA", "na", "N/A", "n/a", "NaN", "nan", "NAN", "Nan", "null", "NULL", "Null",
    "None", "none", "NONE", "?", "-", "--",
    "<NA>", "#N/A", "#NA", "nil", "NIL", "NaT", ".",
)  # fmt: skip

# English, German, French, Spanish (with and without its accent), Italian, Portuguese, Dutch.
BOOLEAN_PAIRS = (
    ("true", "false"), ("yes", "no"), ("y", "n"), ("t", "f"), ("on", "off"), ("ja", "nein"), ("oui", "non"),
    ("si", "no"), ("sí", "no"), ("sì", "no"), ("sim", "não"), ("ja", "nee"),
)  # fmt: skip
TRUE_WORDS = tuple(dict.fromkeys(true for true, _ in BOOLEAN_PAIRS))
FALSE_WORDS = tuple(dict.fromkeys(false for _, false in BOOLEAN_PAIRS))


def with_blanks(word: str) -> tuple[str, ...]:
    """A word as files pad it. The graph cannot trim, so these spellings are keys of their own, for both ways of
    reading.
    """
    return (word, f" {word}", f"{word} ", f" {word} ")


def spellings(word: str) -> tuple[str, ...]:
    """The ways a boolean word is written: as it is, lower, upper and capitalised, each with blanks around it."""
    return tuple(cell for form in (word.lower(), word.upper(), word.capitalize()) for cell in with_blanks(form))


def missing_pattern() -> str:
    """Any of the missing words, with blanks around it."""
    return padded("|".join(re.escape(word) for word in MISSING_WORDS))
