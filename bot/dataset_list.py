"""The list of datasets that can be named, for people and for machines."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from bot.answers import envelope
from bot.cards import Card, Table, number_text
from bot.desk import Answer, Desk
from bot.grammar import quoted
from bot.tables import size_text
from bot.verbs.data import Data
from shared.access import Source
from shared.datasets.address import listed
from shared.datasets.folder import FolderFile, files_of
from shared.log import datasets
from shared.log.datasets import Known

_NONE = "–"


@dataclass(frozen=True)
class Listed:
    """A dataset by its name: the file of the datasets folder, what runs know of it, or both."""

    name: str
    file: FolderFile | None
    known: Known | None

    @property
    def size_bytes(self) -> int | None:
        """Of the file that would be read now."""
        if self.file is not None:
            return self.file.size_bytes
        return None if self.known is None else self.known.size_bytes

    @property
    def shape(self) -> tuple[int | None, int | None]:
        """Rows and columns as a run has read them; not known of a file that is of another size by now."""
        if self.known is None or self.size_bytes != self.known.size_bytes:
            return None, None
        return self.known.rows, self.known.columns


def data_answer(desk: Desk, asked: Data) -> Answer:
    """A page of the datasets whose names hold a word, the one with the newest run first."""
    word, page, limit = asked.word, asked.page, asked.limit
    files = {file.name: file for file in files_of(desk.settings.datasets_folder)}
    with desk.log.read() as connection:
        had = datasets.names(connection, desk.principal)
        names = [name for name in dict.fromkeys([*had, *files]) if word.casefold() in name.casefold()]
        shown = [
            Listed(name, files.get(name), datasets.known(connection, desk.principal, name))
            for name in names[(page - 1) * limit : page * limit]
        ]
    items = [_plain(one) for one in shown]
    body = envelope("data", "succeeded", items=items, page=page, total=len(names))
    more = [_words_of(replace(asked, page=page + 1))] if page * limit < len(names) else []
    card = _card(desk, shown, word=word, first=(page - 1) * limit, total=len(names), more=more)
    return Answer(card=card, envelope=body)


def _words_of(asked: Data) -> str:
    """The command as a person would have typed it."""
    word = [quoted(asked.word)] if asked.word else []
    limit = [f"limit={asked.limit}"] if asked.limit != Data.limit else []
    return " ".join(["data", *word, f"page={asked.page}", *limit])


def _card(desk: Desk, shown: list[Listed], *, word: str, first: int, total: int, more: list[str]) -> Card:
    title = f"Datasets with `{word}` in their names" if word else "Datasets"
    if not shown:
        met = f"There are {total:,}, on earlier pages." if total else "None." if word else "None yet."
        return Card(title=title, notes=(met, *_ways(desk)))
    header = ("dataset", "rows", "columns", "size", "newest run", "best", "where")
    rows = tuple(
        (
            one.name,
            *map(_count, one.shape),
            _NONE if one.size_bytes is None else size_text(one.size_bytes),
            _NONE if one.known is None else str(one.known.newest),
            _best(one.known),
            "folder" if one.file is not None else "earlier runs",
        )
        for one in shown
    )
    span = f"{first + 1} to {first + len(shown)} of {total:,}" if total > len(shown) else f"{total:,}"
    return Card(
        title=title,
        tables=(Table(caption=f"{title}: {span}", header=header, rows=rows),),
        notes=tuple(_ways(desk)),
        more=tuple(f"{desk.prefix} {words}" for words in (f"describe {quoted(shown[0].name)}", *more)),
    )


def _ways(desk: Desk) -> Iterator[str]:
    """What else can be named here."""
    if desk.principal.source is Source.SLACK:
        yield "A file that is shared in this channel can be named too; it comes before others of its name."
    elif desk.principal.source is Source.SHELL:
        yield "A file can be named by its path too."
    places = [f"https://{host}/..." for host in listed(desk.settings.dataset_hosts)]
    places += [f"s3://{bucket.rstrip('/')}/..." for bucket in listed(desk.settings.dataset_buckets)]
    if places:
        yield f"So can addresses: {', '.join(places)}."


def _best(known: Known | None) -> str:
    if known is None or known.best is None:
        return _NONE
    return f"run {known.best}, {known.metric} {number_text(known.score)}"


def _count(count: int | None) -> str:
    return _NONE if count is None else f"{count:,}"


def _plain(one: Listed) -> dict[str, Any]:
    known = one.known
    return {
        "dataset": one.name,
        "in_folder": one.file is not None,
        "size_bytes": one.size_bytes,
        "rows": one.shape[0],
        "columns": one.shape[1],
        "newest_run": None if known is None else known.newest,
        "best": None
        if known is None or known.best is None
        else {"run": known.best, "metric": known.metric, "score": known.score},
    }
