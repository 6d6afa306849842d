"""Nobody sees, uses or changes a run of a private channel or of a direct message that is not theirs, by any verb.

Every verb stands in `HIDDEN` with the words that would reach such a run: a new verb has to be added here.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from support.empty_logs import empty_log
from support.log_acts import ADA, PROBLEM, asked, change, everything
from support.past_runs import trained

from bot import submit
from bot.desk import Answer, Desk
from bot.grammar import VERB_NAMES, parse
from bot.named_runs import resolved
from bot.words import split_words
from shared import submission
from shared.access import CHAT, RULES, Entry, Principal, Role, Source, Visibility
from shared.blobs import BlobStore
from shared.errors import LmlError, NotAllowed, RefusedWords
from shared.log import beside, runs, tables
from shared.log.engine import Log
from shared.log.runs import NewRun, Run
from shared.permit import audited, permit
from shared.settings import Settings
from shared.specs import CompareSpec, EvaluateSpec, PredictSpec, TrainSpec
from shared.submission import Submission

HIDDEN: dict[str, tuple[str, ...]] = {
    "describe": ("describe {sha}", "describe {data}"),
    "train": ("train {sha}", "train {data}"),
    "evaluate": ("evaluate {run} open.csv", "evaluate {alias} open.csv", "evaluate {open} {sha}"),
    "compare": ("compare {run} {open}", "compare {open} {alias}", "compare {open} {other} on={sha}"),
    "predict": ("predict {run} open.csv", "predict {alias} open.csv", "predict {open} {sha}"),
    "submit": ("submit jobs.ndjson",),
    "status": ("status {run}", "status {alias}", "status"),
    "show": ("show {run}", "show {alias}"),
    "log": (
        "log",
        "log limit:1000",
        "log run:{run}",
        "log ds:hus",
        "log name:hushed",
        "log tag:hush-tag",
        "log hus",
        "log by:U0ADA",
        "log auc>0.5 sort:-auc",
        "log state:failed",
        "log state:queued",
        "log target:hush_target",
        "log kind:train sort:time",
    ),
    "data": ("data", "data hus"),
    "diff": ("diff {run} {open}", "diff {open} {alias}"),
    "history": ("history {data}", "history {sha}", "history open.csv"),
    "leaderboard": ("leaderboard {data}", "leaderboard open.csv", "leaderboard open.csv target=hush_target"),
    "note": ("note {run} seen", "note {alias} seen"),
    "tag": ("tag {run} seen", "tag {alias} -hush-tag"),
    "promote": ("promote {run}", "promote {alias} shadow"),
    "export": ("export {run}",),
    "forget": ("forget {open_data}",),
    "audit": ("audit decision:denied",),
    "cancel": ("cancel {run}",),
    "priority": ("priority {run} low", "priority {run} urgent"),
    "retry": ("retry {run}",),
    "resume": ("resume {run}",),
    "replay": ("replay {run}",),
    "help": ("help show",),
    "up": ("up",),
    "down": ("down",),
    "doctor": ("doctor",),
    "token": ("token list",),
}
"""Words that name a hidden run (`{run}`), its dataset or its alias, or that search where it would be found."""
ANSWERS = {"status", "log", "data", "history", "leaderboard", "forget", "audit", "help"}
"""Verbs that may answer, as long as nothing hidden stands in it; all others refuse."""
NOWHERE = 999_999
"""The number of a run that never was."""

STRANGERS = {
    "a trainer elsewhere": Principal("T1", "U0EVE", Source.SLACK, "C1", Role.TRAINER, Entry.COMMAND),
    "an operator elsewhere": Principal("T1", "U0EVE", Source.SLACK, "C1", Role.OPERATOR, Entry.BUTTON),
    "an admin elsewhere": Principal("T1", "U0EVE", Source.SLACK, "C1", Role.ADMIN, Entry.MODAL),
    "an admin at home": Principal("T1", "U0EVE", Source.SLACK, None, Role.ADMIN, Entry.HOME),
    "an admin in a message": Principal("T1", "U0EVE", Source.SLACK, "D0EVE", Role.ADMIN, Entry.MESSAGE),
    "an admin of another team": Principal("T2", "U0ADA", Source.SLACK, "C0HUSH", Role.ADMIN, Entry.MENTION),
    "its owner elsewhere": Principal("T1", "U0ADA", Source.SLACK, "C1", Role.ADMIN, Entry.SHORTCUT),
}
PLACES = {"private channel": ("C0HUSH", Visibility.CHANNEL), "direct message": ("D0ADA", Visibility.PRIVATE)}


@dataclass
class World:
    """A log with runs that everyone sees, and some that strangers must not."""

    desk: Desk
    log: Log
    open: tuple[int, int]
    hidden: dict[str, int]
    """The hidden runs by state: succeeded, failed, queued; and a second one that succeeded."""
    place: tuple[str, Visibility]
    """Where they are at home."""

    def words(self, template: str, run: int) -> str:
        """A command about a run."""
        first, other = self.open
        names = {"data": "hush.csv", "open_data": "open.csv", "sha": f"sha256:{'b' * 64}", "alias": "champion:hush"}
        return template.format(run=run, open=first, other=other, **names)

    def ask(self, text: str, by: Principal) -> Answer | Run:
        """Do what any entry does with words: understand, ask the gate, answer or write a run and prepare it."""
        desk = replace(self.desk, principal=by)
        command = parse(split_words(text))
        permit(self.log, by, command.verb.name, words=text)
        with audited(self.log, by, command.verb.name, words=text):
            command = resolved(desk, command)
            if command.verb.answer is not None:
                return command.verb.answer(desk, command.request)
            number, _ = submit.write(desk, command)
        submit.prepare(desk, number)
        with self.log.read() as connection:
            return runs.get(connection, number)

    def without_audit(self) -> dict[str, list[Any]]:
        """Every row that is not the audit's."""
        return {name: rows for name, rows in everything(self.log).items() if name != "audit"}


@pytest.fixture(params=PLACES)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    """Ada's runs in a private channel, or in her direct messages, beside two of hers that the team sees."""
    settings = Settings(home=tmp_path, team_id="T1")
    settings.datasets_folder.mkdir()
    (settings.datasets_folder / "open.csv").write_bytes(b"a,b\n1,2\n")
    log, store = empty_log(settings.log_url), BlobStore(settings.store_folder)
    first, other = trained(log, dataset="open.csv"), trained(log, 0.8, dataset="open.csv")
    channel, visibility = PLACES[request.param]
    there = replace(ADA, channel_id=channel)
    hidden = {
        "succeeded": trained(
            log,
            0.99,
            dataset="hush.csv",
            data="b",
            target="hush_target",
            name="hushed",
            by=there,
            visibility=visibility,
            tags=("hush-tag",),
        )
    }
    new = NewRun(
        spec=TrainSpec(dataset="hush.csv", name="hushed"),
        words="train hush.csv",
        principal=there,
        visibility=visibility,
        dataset_name="hush.csv",
        tags=("hush-tag",),
    )
    hidden["failed"], hidden["queued"] = asked(log, new), asked(log, new)
    change(log, lambda connection: runs.fail_waiting(connection, hidden["failed"], PROBLEM))
    change(log, lambda connection: runs.queue(connection, hidden["queued"], dataset_sha256="b" * 64))
    with log.write() as connection:
        done = runs.get(connection, hidden["succeeded"])
        beside.promote(connection, done, alias="champion", why="hush", by="U0ADA")
        beside.add_note(connection, done.id, "hush note", by="U0ADA")
        # It read what the team has too: its place in histories and leaderboards of open.csv would be the first.
        also = {"dataset_name": "open.csv", "dataset_sha256": "a" * 64, "content_sha256": "a" * 64}
        second = runs.create(connection, replace(new, spec=TrainSpec(dataset="open.csv", name="hushed")))[0]
        facts = {"state": "succeeded", "score": 0.999, "headline": "roc_auc", "target": "churned", "model": "mlp"}
        connection.execute(
            update(tables.runs)
            .where(tables.runs.c.id == second)
            .values(**also, **facts, task="binary", split_sha256="5" * 64, result=done.result, ended_at=done.ended_at)
        )
    store.put_chunks([b"a,b\n1,2\n"])
    return World(
        Desk(settings, log, store, ADA, prefix="/lml"),
        log,
        (first, other),
        {**hidden, "second": second},
        PLACES[request.param],
    )


def told(answer: Answer | Run) -> str:
    """Everything that an answer says, for people and for machines."""
    if isinstance(answer, Run):
        return repr(answer.problem)
    return f"{answer.card!r}\n{json.dumps(answer.envelope, default=repr)}"


def unsaid(typed: str, said: str) -> str:
    """What was said without the words that were typed, and the values in them."""
    for part in sorted({*typed.split(), *re.split(r"[\s:=]+", typed)}, key=len, reverse=True):
        said = said.replace(part, "") if len(part) > 3 else said
    return said


def numbers_in(answer: Answer) -> set[int]:
    """The runs that an answer names, wherever it names one."""
    found: set[int] = set()

    def look(value: Any) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                if key in ("run", "runs", "best", "newest", "id") and isinstance(inner, int | list):
                    found.update(inner if isinstance(inner, list) else [inner])
                look(inner)
        elif isinstance(value, list):
            for inner in value:
                look(inner)

    look(answer.envelope)
    for table in answer.card.tables:
        column = table.header.index("run") if "run" in table.header else None
        found.update(int(row[column]) for row in table.rows if column is not None and row[column].isdigit())
    return {one for one in found if isinstance(one, int)}


def test_no_verb_is_left_out() -> None:
    """A new verb says here with which words it would reach a run that it must not."""
    assert set(HIDDEN) == set(VERB_NAMES)


@pytest.mark.parametrize("verb", VERB_NAMES)
def test_hidden_runs_do_not_exist_for_others(world: World, verb: str) -> None:
    """Whatever the role and the entry: a hidden run is answered like a number that was never given out, stands in no
    list, no search and no hint, and stays as it is.
    """
    before = world.without_audit()
    for template in HIDDEN[verb]:
        for stranger in STRANGERS.values():
            for number in world.hidden.values() if "{run}" in template else [world.hidden["succeeded"]]:
                text = world.words(template, number)
                try:
                    answer = world.ask(text, stranger)
                except LmlError as error:
                    _is_silent(world, template, number, stranger, error)
                else:
                    assert verb in ANSWERS or isinstance(answer, Run), f"{text} was answered to {stranger}"
                    assert "hush" not in unsaid(text, told(answer)), (text, stranger)
                    if isinstance(answer, Answer):
                        assert numbers_in(answer) & set(world.hidden.values()) == set(), (text, stranger)
                    else:
                        assert answer.problem is not None, f"{text} has found its dataset"
                        assert answer.problem.code == "dataset_missing"
    if verb not in ("train", "describe"):
        assert world.without_audit() == before


def _is_silent(world: World, template: str, number: int, stranger: Principal, error: LmlError) -> None:
    """A refusal says nothing but what was typed, and the same as of a run that never was."""
    typed = world.words(template, number)
    assert "hush" not in unsaid(typed, str(error)), (typed, str(error))
    if "{run}" not in template:
        return
    with pytest.raises(LmlError) as never:
        world.ask(world.words(template, NOWHERE), stranger)
    assert type(error) is type(never.value), typed
    assert str(error) == str(never.value).replace(str(NOWHERE), str(number)), typed


@pytest.mark.parametrize("verb", [verb for verb in VERB_NAMES if not RULES[verb].entries & CHAT])
def test_verbs_of_the_shell_are_shut_from_slack(world: World, verb: str) -> None:
    """What sees or writes past the visibility of runs is for shells alone, for admins of Slack too."""
    for stranger in STRANGERS.values():
        with pytest.raises(NotAllowed):
            world.ask(world.words(HIDDEN[verb][0], world.hidden["succeeded"]), stranger)


def test_where_it_is_at_home_a_run_is_seen(world: World) -> None:
    """The tests above would fail if they looked wrongly: in its own place, its owner sees each of these runs."""
    channel, visibility = world.place
    ada = replace(ADA, channel_id=channel, role=Role.VIEWER)
    for number in world.hidden.values():
        answer = world.ask(f"show {number}", ada)
        assert isinstance(answer, Answer)
        assert numbers_in(answer) >= {number}
    listed = world.ask("log limit:100", ada)
    assert isinstance(listed, Answer)
    assert numbers_in(listed) >= set(world.hidden.values())
    colleague = replace(ada, user_id="U0EVE")
    if visibility is Visibility.CHANNEL:
        world.ask(f"show {world.hidden['succeeded']}", colleague)
    else:
        with pytest.raises(RefusedWords):
            world.ask(f"show {world.hidden['succeeded']}", colleague)


Spec = Callable[[int, int], Any]


@pytest.mark.parametrize(
    "spec",
    [
        lambda run, _: EvaluateSpec(run=run, dataset="open.csv"),
        lambda run, _: PredictSpec(run=run, dataset="open.csv"),
        lambda run, open_: CompareSpec(runs=(run, open_)),
    ],
    ids=["evaluate", "predict", "compare"],
)
@pytest.mark.parametrize("entry", [Entry.HTTP, Entry.QUEUE])
def test_services_reach_no_hidden_run(world: World, spec: Spec, entry: Entry) -> None:
    """Another service's spec that names a hidden run, or its dataset by hash, is refused like an unknown one."""
    service = Principal("T1", "service:billing", Source.SERVICE, entry=entry)
    for run in world.hidden.values():
        asking = Submission(spec=spec(run, world.open[0]), principal=service, words="")
        with pytest.raises(RefusedWords) as met, world.log.write() as connection:
            submission.write(connection, world.desk.settings, asking)
        assert met.value.code == "unknown_run"
        with pytest.raises(RefusedWords), world.log.read() as connection:
            runs.find(connection, service, run)
    by_hash = Submission(spec=TrainSpec(dataset=f"sha256:{'b' * 64}"), principal=service, words="")
    with pytest.raises(RefusedWords) as met, world.log.write() as connection:
        submission.write(connection, world.desk.settings, by_hash)
    assert met.value.code == "dataset_unknown"
