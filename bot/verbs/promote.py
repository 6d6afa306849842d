"""`promote RUN [ALIAS]`: give a run's model a name of its dataset, such as `champion:churn`."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.grammar import Key, Verb, Words
from bot.search_words import shown
from bot.verbs.runs_in_words import run_in
from shared.errors import refused

if TYPE_CHECKING:
    from bot.desk import Answer, Desk
    from shared.log.runs import Artifact, Run

_ALIAS = re.compile(r"[a-z][a-z0-9_-]{0,39}")


@dataclass(frozen=True)
class Promote:
    """Which run, the alias that it gets, and why."""

    run: int
    alias: str = "champion"
    why: str | None = None


def build(words: Words) -> Promote:
    """The request."""
    alias = words.plain[1].lower() if len(words.plain) > 1 else Promote.alias
    if not _ALIAS.fullmatch(alias):
        raise refused(
            "bad_value",
            f"An alias has 1 to 40 letters, digits, - or _, and begins with a letter; met `{alias[:100]}`.",
            "Such as champion or shadow; the dataset follows from the run.",
        )
    return Promote(run=run_in(words.plain[0]), alias=alias, why=words.values.get("why"))


def answer(desk: "Desk", request: Promote) -> "Answer":
    """What the alias stands for now, and what it stood for before."""
    from bot.beside import promoted_answer
    from shared.access import authorize
    from shared.log import beside, runs

    with desk.log.write() as connection:
        found = runs.find(connection, desk.principal, request.run)
        authorize(desk.principal, "promote", owner=found.requested_by)
        _require_model(found, runs.artifacts_of(connection, found.id))
        before = beside.promoted(connection, desk.principal, request.alias, found.dataset_name or "")
        by = desk.principal.user_id
        made = beside.promote(connection, found, alias=request.alias, why=request.why, by=by)
    return promoted_answer(desk, made, before)


def _require_model(run: "Run", artifacts: "list[Artifact]") -> None:
    if run.kind != "train":
        raise refused(
            "not_a_model", f"Only train runs have a model; run {run.id} is {run.kind}.", "`log kind:train` lists them."
        )
    if not any(artifact.name == "model.onnx" for artifact in artifacts):
        raise refused(
            "no_model_yet",
            f"Only a train run that succeeded has a model; run {run.id} is {run.state.value}.",
            "Train again, and use the new run." if run.state.ended else f"`show {run.id}` says where it stands.",
        )


VERB = Verb(
    name="promote",
    summary="Give a run's model an alias of its dataset: `predict champion:churn new.csv` then uses it.",
    plain="RUN [ALIAS]",
    keys=(Key("why", "...", "the reason, for the history of the dataset", shown),),
    examples=("promote 42", "promote 42 shadow why='better on new customers'"),
    build=build,
    answer=answer,
)
