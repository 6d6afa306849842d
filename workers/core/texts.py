"""Texts as counts of words: which words count, and how often each occurs in a cell.

A cell is cut at blanks; a piece counts for a word when it is one of the word's spellings (other case, punctuation
around it). The spellings are a table that is listed in full, so the graph (`graph_cells.count_matrix`), which can cut
and look up but neither trim nor fold case, counts alike.
"""

from itertools import product

import numpy as np
import polars as pl
from scipy.sparse import csr_array, vstack

from workers.core.numbers import spread
from workers.core.words import MISSING_WORDS

MOST_TOKENS = 300
LEAST_ROWS = 5
_SAMPLE = 50_000
_CHUNK_ROWS = 200_000
_PUNCTUATION = ".,;:!?()[]{}\"'`*\t\r\n"
_BEFORE, _BEHIND = ("", "(", '"', "'"), ("", ",", ".", ";", ":", "!", "?", ")", '"', "'")


def find_tokens(cells: pl.Series, counts: np.ndarray | None = None, *, least: int | None = None) -> tuple[str, ...]:
    """The words that occur in the most cells, but in neither few nor nearly all of them; sorted.

    `counts` says how often each cell occurs, by default once. Looks at no more than 50,000 of them, spread over all. A
    word needs `least` cells, by default 5, and 50 where there are 10,000.
    """
    table = pl.DataFrame({"cell": cells, "count": np.ones(len(cells)) if counts is None else counts.astype(np.float64)})
    table = table.filter(~pl.col("cell").is_in(MISSING_WORDS)).with_row_index("row")
    table = table[spread(table["row"], _SAMPLE)]
    pieces = table.with_columns(pl.col("cell").str.split(" ")).explode("cell")
    token = pl.col("cell").str.strip_chars(_PUNCTUATION).str.to_lowercase()
    met = pieces.select("row", "count", token=token).unique().group_by("token").agg(pl.col("count").sum())
    total = float(table["count"].sum())
    least = least or int(max(LEAST_ROWS, min(total // 200, 10 * LEAST_ROWS)))
    kept = met.filter(pl.col("count").is_between(least, 0.98 * total), pl.col("token").str.len_bytes() > 0)
    ranked: list[str] = kept.sort("count", "token", descending=[True, False])["token"].head(MOST_TOKENS).to_list()
    return tuple(sorted(ranked))


def fit_tokens(cells: pl.Series) -> tuple[str, ...]:
    """The words of the rows that may be learnt from; at least one, also where they share none."""
    return find_tokens(cells) or find_tokens(cells, least=1) or ("none",)


def token_keys(tokens: tuple[str, ...]) -> tuple[tuple[str, int], ...]:
    """Every piece of a text that counts for a word, and the word's number."""
    keys: dict[str, int] = {}
    for k, token in enumerate(tokens):
        for form in (token, token.capitalize(), token.upper()):
            for before, behind in product(_BEFORE, _BEHIND):
                keys.setdefault(f"{before}{form}{behind}", k)
    # A word that stands in the list by itself is itself, not another one with punctuation.
    keys |= {token: k for k, token in enumerate(tokens)}
    return tuple(sorted(keys.items()))


def count_tokens(cells: pl.Series, keys: tuple[tuple[str, int], ...], width: int) -> csr_array:
    """[rows, width] float32: how often each word occurs in each cell."""
    table, blocks = dict(keys), []
    for start in range(0, len(cells), _CHUNK_ROWS):
        part = cells.slice(start, _CHUNK_ROWS)
        pieces = pl.DataFrame({"row": np.arange(len(part)), "piece": part.str.split(" ")}).explode("piece")
        token = pl.col("piece").replace_strict(table, default=None, return_dtype=pl.Int32)
        met = pieces.select("row", token=token).drop_nulls()
        place = (met["row"].to_numpy(), met["token"].to_numpy())
        counts = np.ones(met.height, dtype=np.float32)
        blocks.append(csr_array((counts, place), shape=(len(part), width)))  # equal places are summed
    return csr_array(vstack(blocks)) if blocks else csr_array((0, width), dtype=np.float32)
