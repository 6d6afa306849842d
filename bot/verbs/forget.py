"""`forget DATASET`: erase a dataset and what quotes it; the models made from it stay."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bot import values
from bot.grammar import Key, Verb, Words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bot.desk import Answer, Desk


@dataclass(frozen=True)
class Forget:
    """Which dataset, why, and whether it is meant."""

    dataset: str
    confirm: bool = False
    why: str | None = None


def build(words: Words) -> Forget:
    """The request."""
    return Forget(dataset=words.plain[0], **words.values)


def answer(desk: "Desk", request: Forget) -> "Answer":
    """What was erased; without `confirm=yes` what would be."""
    from bot.answers import envelope
    from bot.cards import Card
    from bot.desk import Answer
    from shared import forgetting

    if not request.confirm:
        with desk.log.read() as connection:
            planned = forgetting.plan(connection, desk.principal, request.dataset)
        readers = [run.id for run in planned.runs]
        seen = _seen(desk, readers)
        every = [{"run": run, "name": artifact.name, "sha256": artifact.sha256} for run, artifact in planned.files]
        files = [file for file in every if file["run"] in seen]
        facts = _facts(planned.sha256, forgetting.in_words(readers, seen), files, len(every) - len(files))
        card = Card(
            title=f"Forget {planned.dataset}?",
            headline="nothing was erased yet",
            facts=facts,
            notes=("Reports and cards are made anew without what quotes cells. " + _STAYS, _BEYOND),
            more=(f"{desk.prefix} forget {planned.sha256[:12]} confirm=yes why=...",),
        )
        more: dict[str, Any] = {
            "dataset": {"name": planned.dataset, "sha256": planned.sha256},
            "files": files,
            "forgotten": False,
        }
        return Answer(card, envelope("forget", "succeeded", runs=sorted(seen), **more))
    done = forgetting.forget(desk.log, desk.store, desk.settings, desk.principal, request.dataset, why=request.why)
    seen = _seen(desk, done.runs)
    files = [file for file in done.erased if file["run"] in seen]
    card = Card(
        title=f"{done.dataset} is forgotten",
        headline=done.sentence(),
        facts=_facts(done.sha256, forgetting.in_words(done.runs, seen), files, len(done.erased) - len(files)),
        notes=(_STAYS, _BEYOND),
    )
    more = {"dataset": {"name": done.dataset, "sha256": done.sha256}, "files": files, "forgotten": True}
    return Answer(card, envelope("forget", "succeeded", runs=sorted(seen), **more))


def _seen(desk: "Desk", runs: "Sequence[int]") -> set[int]:
    """The runs that may be told of: what is erased may be of private channels too."""
    from shared.log import forgotten

    with desk.log.read() as connection:
        return forgotten.seen_among(connection, desk.principal, runs)


_STAYS = "Rows of the log, figures and plans stay, and models, which hold the words of their classes and categories."
_BEYOND = (
    "Not touched: the file that the dataset came from, and what was sent elsewhere (threads, webhooks, MLflow, "
    "exports, backups). "
    "The same bytes may come in again, by a new command that brings them."
)


def _facts(sha256: str, runs: str, files: "Sequence[Mapping[str, object]]", hidden: int) -> tuple[tuple[str, str], ...]:
    names = [f"{file['name']} of {file['run']}" for file in files[:12]]
    more = max(len(files) - 12, 0) + hidden
    listed = ", ".join(names) + (f" and {more} more" if names and more else f"{more} files" if more else "")
    return ("sha256", sha256), ("Runs", runs), ("Files", listed or "the dataset only")


VERB = Verb(
    name="forget",
    summary="Erase a dataset, the predictions made from it and what quotes it; models stay. For admins.",
    plain="DATASET",
    keys=(
        Key("confirm", "yes", "do it; without it the answer says what would be erased", values.yes_or_no),
        Key("why", "...", "the reason, which the log keeps", values.title),
    ),
    examples=("forget churn.csv", 'forget churn.csv confirm=yes why="a customer asked for it"', "forget 3f44a073f4a6"),
    build=build,
    answer=answer,
)
