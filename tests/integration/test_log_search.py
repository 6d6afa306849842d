"""Searches of the experiment log on both databases: what is found, in which order, and by whom."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import combinations

import pytest
from sqlalchemy import update
from support.log_acts import ADA, SHELL, change
from support.past_runs import EVE, compared, failed, trained

from bot.search_words import query_of
from bot.words import split_words
from shared.access import Principal, Visibility
from shared.log import beside, search, tables
from shared.log.engine import Log

Find = Callable[..., list[int]]


@pytest.fixture
def find(log: Log) -> Find:
    """Searches a log of nine runs as it is typed; returns the numbers."""
    trained(log, 0.70, tags=("Baseline",))  # 1
    trained(log, 0.80, by=EVE, name="March")  # 2
    trained(log, 0.90, dataset="100%_o'brien\\.csv", target="Price", data="b", model="gbdt", task="regression")  # 3
    failed(log)  # 4
    trained(log, 0.95, by=EVE, tags=("baseline", "q3"))  # 5
    compared(log, 1, 2)  # 6
    trained(log, None, dataset="100xyobrien.csv", data="c")  # 7
    failed(log, by=EVE, dataset="sales.csv")  # 8
    trained(log, 0.85, dataset="CHURN-late.csv", visibility=Visibility.PRIVATE)  # 9
    change(log, lambda c: beside.add_note(c, 2, "50% off for the Customer", by="U0ADA"))
    change(log, _make_two_old)

    def find(text: str, principal: Principal = ADA) -> list[int]:
        with log.read() as connection:
            return [run.id for run in search.find(connection, principal, query_of(split_words(text)))]

    return find


def _make_two_old(connection: object) -> None:
    runs = tables.runs
    old = {"created_at": runs.c.created_at, "ended_at": runs.c.ended_at}
    rows = connection.execute(runs.select().where(runs.c.id < 3)).all()  # type: ignore[attr-defined]
    for row in rows:
        values = {name: getattr(row, name) - timedelta(days=10) for name in old}
        values["started_at"] = values["ended_at"] - timedelta(hours=row.id)
        connection.execute(update(runs).where(runs.c.id == row.id).values(values))  # type: ignore[attr-defined]


FOUND = {
    "": [9, 8, 7, 6, 5, 4, 3, 2, 1],
    "ds:churn": [9, 5, 4, 2, 1],
    "dataset=churn.csv": [5, 4, 2, 1],
    "ds:100%_": [3],
    "ds:_": [3],
    "ds:%": [3],
    "ds:\\\\": [3],
    "ds:o'brien": [3],
    "kind:compare": [6],
    "kind:compare,train run:..6": [6, 5, 4, 3, 2, 1],
    "state:failed": [8, 4],
    "by:@U0EVE": [8, 5, 2],
    "by:me kind:train": [9, 7, 4, 3, 1],
    "by:me,<@U0EVE|eve> state:failed": [8, 4],
    "tag:baseline": [5, 1],
    "tag:BASELINE tag:q3": [5],
    "model:gbdt": [3],
    "task:binary": [9, 7, 5, 2, 1],
    "target:Price": [3],
    "name:March": [2],
    "run:2..4": [4, 3, 2],
    "run:8..": [9, 8],
    "run:999999999": [],
    "since:7d": [9, 8, 7, 6, 5, 4, 3],
    "since:2020-01-01": [9, 8, 7, 6, 5, 4, 3, 2, 1],
    "since:2120-01-01": [],
    "auc>0.8": [9, 5, 3],
    "auc>=0.8": [9, 5, 3, 2],
    "auc<0.8": [1],
    "auc<=0.8 by:@U0EVE": [2],
    "auc=0.8": [2],
    "auc:0.8..0.9": [9, 3, 2],
    "loss<0.11 acc>0.7": [5, 3],
    "march": [2],
    "customer": [2],
    "50% off": [2],
    "obrien": [7],
    "late": [9],
    "' OR 1=1 --": [],
    "sort:run limit:3": [1, 2, 3],
    "sort:-run limit:2": [9, 8],
    "sort:-auc": [5, 3, 9, 2, 1],
    "sort:loss limit:2": [5, 3],
    "sort:auc ds:churn": [1, 2, 9, 5],
    "sort:-auc tag:baseline": [5, 1],
    "sort:-auc state:failed": [],
    "sort:-time limit:2": [2, 1],
    "sort:started limit:2": [2, 1],
}


@pytest.mark.parametrize("few", [5_000, 1])
def test_each_condition_finds_what_fits(find: Find, monkeypatch: pytest.MonkeyPatch, few: int) -> None:
    """Every kind of condition and order finds the runs that fit, whichever way it goes about it; signs are signs."""
    monkeypatch.setattr(search, "_FEW", few)
    met = {}
    for words in FOUND:
        text = words if words != "' OR 1=1 --" else '"\' OR 1"'
        met[words] = find(text)
    assert met == FOUND


def test_conditions_narrow_each_other(find: Find) -> None:
    """Two conditions together find what each of them finds."""
    plain = {words: set(numbers) for words, numbers in FOUND.items() if words and "OR" not in words}
    single = {words: found for words, found in plain.items() if "sort" not in words and " " not in words}
    for (one, first), (other, second) in combinations(single.items(), 2):
        key, again = (words.replace("=", ":").split(":")[0].replace("dataset", "ds") for words in (one, other))
        if key == again and key != "tag":
            continue  # a key is given once, and several people, states and kinds widen the search
        assert set(find(f"{one} {other}")) == first & second, (one, other)


def test_what_is_hidden_is_not_found(find: Find) -> None:
    """A private run is found by whoever asked for it, where it was asked, and by a shell; other teams find nothing."""
    assert find("late") == find("late", SHELL) == [9]
    elsewhere, stranger = replace(ADA, channel_id="C2"), replace(ADA, team_id="T2")
    assert find("late", EVE) == find("late", elsewhere) == find("", stranger) == find("sort:-auc", stranger) == []
    assert find("sort:-auc", EVE) == [5, 3, 2, 1]


def test_long_and_strange_words_find_nothing(find: Find, log: Log) -> None:
    """Words of any length and kind are values, never a part of the question."""
    strange = ["x" * 200, "ды" * 100, "🙂", "%%%", "__", "\\%", ";--", "$1", ":a", "{}", "?", "ds:" + "'" * 199 + "x"]
    with log.read() as connection:
        assert [search.find(connection, ADA, query_of([word])) for word in strange] == [[] for _ in strange]
    assert len(find("")) == 9


def test_a_log_with_names_of_any_length(log: Log) -> None:
    """A dataset or a target with a name that no index takes is kept, and found by its beginning."""
    letters = "".join(chr(0x4E00 + (at * 7919) % 20_000) for at in range(3_000))
    number = trained(log, dataset=letters, target=letters)
    with log.read() as connection:
        for words in (f"ds:{letters[:100]}", f"target:{letters[:150]}"):
            (run,) = search.find(connection, ADA, query_of(split_words(words)))
            assert run.id == number


def test_metrics_of_the_runs_that_were_found(log: Log) -> None:
    """What was asked for is told of each run, as far as it has it."""
    first, second = trained(log, 0.75), trained(log, None)
    with log.read() as connection:
        met = search.metrics_of(connection, [first, second], ["roc_auc", "log_loss"])
    assert met == {first: {"roc_auc": 0.75, "log_loss": 0.25}, second: {}}
