"""What people add to runs and ask of many of them: notes, tags, aliases, differences, histories, leaderboards."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.log_acts import ADA, SHELL, change
from support.past_runs import EVE, compared, failed, trained

from bot import submit
from bot.desk import Answer, Desk
from bot.grammar import parse
from bot.named_runs import resolved
from bot.terminal.main import run
from bot.words import split_words
from shared.access import Principal, Visibility
from shared.blobs import BlobStore
from shared.errors import RefusedWords
from shared.log import beside, runs
from shared.log.engine import Log
from shared.settings import Settings

Ask = Callable[..., Answer]


@pytest.fixture
def desk(log: Log, tmp_path: Path) -> Desk:
    """The desk of someone in Slack."""
    settings = Settings(home=tmp_path)
    return Desk(settings, log, BlobStore(settings.store_folder), ADA)


@pytest.fixture
def ask(desk: Desk) -> Ask:
    """Types a command; returns its answer."""

    def ask(text: str, by: Principal = ADA) -> Answer:
        here = replace(desk, principal=by)
        command = resolved(here, parse(split_words(text)))
        assert command.verb.answer is not None
        return command.verb.answer(here, command.request)

    return ask


def refusal(ask: Ask, text: str, by: Principal = ADA) -> tuple[str, str]:
    """The code of a refusal, and its sentence."""
    with pytest.raises(RefusedWords) as met:
        ask(text, by)
    return met.value.code, str(met.value)


def test_notes_and_tags_stand_beside_a_run(ask: Ask, log: Log) -> None:
    """Whoever sees a run may tag it and write notes to it; `show` has them, with who and when, and the run stays."""
    number = trained(log)
    with log.read() as connection:
        before = runs.get(connection, number)
    ask(f'note {number} for 50% of the customers: "it\'s fine"', EVE)
    ask(f"tag {number} Baseline q3 draft", EVE)
    ask(f"tag {number} baseline -draft -never")
    met = ask(f"show {number}")
    assert met.envelope["tags"] == ["baseline", "q3"]
    assert [(note["text"], note["by"]) for note in met.envelope["notes"]] == [
        ("for 50% of the customers: it's fine", "U0EVE")
    ]
    assert ("tags", "baseline, q3") in met.card.facts
    assert met.card.notes[-1].startswith("U0EVE, 20")
    assert met.card.notes[-1].endswith(" UTC: for 50% of the customers: it's fine")
    assert ask(f"tag {number} -baseline -q3").card.facts == ()
    assert ask(f"tag {trained(log)} -never").card.facts == (("tags", "none"),)
    with log.read() as connection:
        assert runs.get(connection, number) == before


def test_a_hidden_run_is_one_that_does_not_exist(ask: Ask, log: Log) -> None:
    """What may be done to a run that is seen is answered for a hidden one as for a number that nothing has."""
    shown, hidden = trained(log), trained(log, 0.99, visibility=Visibility.PRIVATE, dataset="secret.csv", data="e")
    ask(f"promote {hidden}")
    ask(f"note {hidden} mine")
    for words in (
        f"note {hidden} x",
        f"tag {hidden} x",
        f"promote {hidden}",
        f"diff {shown} {hidden}",
        f"show {hidden}",
    ):
        code, said = refusal(ask, words, EVE)
        assert (code, said) == (
            "unknown_run",
            f"There is no run {hidden}. The newest run is {shown}; `log` lists them.",
        )
    for verb in ("history", "leaderboard"):
        assert refusal(ask, f"{verb} secret.csv", EVE)[0] == "dataset_not_run"
        assert refusal(ask, f"{verb} {'e' * 12}", EVE)[0] == "dataset_not_run"
    assert refusal(ask, "show champion:secret", EVE) == (
        "unknown_alias",
        "No run has the alias `champion:secret`. Give it to a run with `promote RUN`.",
    )
    assert ask("show champion:secret").envelope["run"] == hidden


def test_an_alias_is_typed_where_a_run_is_asked(ask: Ask, desk: Desk, log: Log) -> None:
    """`champion:churn` is the run that was promoted last, in every verb; the spec that is written has its number."""
    first, second = trained(log, 0.8), trained(log, 0.9)
    assert ask(f"promote {first}").card.headline == f"champion:churn is run {first} now."
    assert ask(f"promote {first}").card.headline == f"champion:churn is run {first} already."
    with log.read() as connection:
        assert len(beside.promotions_of(connection, desk.principal, "churn")) == 1
    met = ask(f"promote {second} why='better by ten points'", EVE)
    assert met.card.headline == f"champion:churn is run {second} now; it was run {first}."
    assert {name: met.envelope[name] for name in ("run", "before", "alias", "dataset", "why", "by")} == {
        "run": second,
        "before": first,
        "alias": "champion",
        "dataset": "churn",
        "why": "better by ten points",
        "by": "U0EVE",
    }
    ask(f"promote {first} Shadow")
    for words in (
        "predict champion:churn new.csv",
        "evaluate Champion:Churn.CSV new.csv",
        "compare shadow:churn champion:churn",
    ):
        command = resolved(desk, parse(split_words(words)))
        number, created = submit.write(desk, command)
        with log.read() as connection:
            run = runs.get(connection, number)
        assert created
        assert run.words == words
        assert getattr(run.spec, "run", None) or getattr(run.spec, "runs", None) in (second, (first, second))
    assert ask("show champion:churn").envelope["aliases"] == ["champion:churn"]
    assert ("alias", "shadow:churn") in ask(f"show {first}").card.facts
    history = ask("history churn").envelope["promotions"]
    assert [(made["run"], made["alias"], made["why"]) for made in history] == [
        (first, "shadow", None),
        (second, "champion", "better by ten points"),
        (first, "champion", None),
    ]


def test_every_alias_that_nobody_has_is_named(ask: Ask, log: Log) -> None:
    """Aliases that stand for no run are refused together, the nearest one with each."""
    ask(f"promote {trained(log)}")
    code, said = refusal(ask, "diff champion:chrun shadow:sales")
    assert code == "unknown_alias"
    assert said.splitlines() == [
        "No run has the alias `champion:chrun`. Did you mean `champion:churn`?",
        "No run has the alias `shadow:sales`. There are: champion:churn.",
    ]


def test_only_a_model_is_promoted(ask: Ask, log: Log) -> None:
    """A comparison and a run that failed have no model, so no alias."""
    first, second, broken = trained(log), trained(log), failed(log)
    both = compared(log, first, second)
    assert refusal(ask, f"promote {both}")[0] == "not_a_model"
    assert refusal(ask, f"promote {broken}") == (
        "no_model_yet",
        f"Only a train run that succeeded has a model; run {broken} is failed. Train again, and use the new run.",
    )


def test_a_private_champion_hides_no_other(ask: Ask, log: Log) -> None:
    """Who promotes a run that others do not see changes the alias for those who see it only."""
    ours, mine = trained(log), trained(log, visibility=Visibility.PRIVATE)
    ask(f"promote {ours}")
    ask(f"promote {mine}")
    assert ask("show champion:churn").envelope["run"] == mine
    assert ask("show champion:churn", EVE).envelope["run"] == ours
    assert ask(f"show {ours}", EVE).envelope["aliases"] == ["champion:churn"]
    assert ask(f"show {ours}").envelope["aliases"] == []


def test_what_differs_between_two_runs(ask: Ask, log: Log) -> None:
    """Only what differs is listed, by its place; a value that one of them lacks stands there as none."""
    first = trained(log, 0.8, plan={"epochs": 5, "lr": 0.1}, environment={"torch": "2.13.0", "host": "a"})
    second = trained(log, 0.9, data="b", model="gbdt", plan={"epochs": 7, "lr": 0.1}, environment={"torch": "2.14.0"})
    met = ask(f"diff {first} {second}")
    differ = {item["name"]: item["values"] for item in met.envelope["items"]}
    expected = {
        "dataset.sha256": ["a" * 64, "b" * 64],
        "model": ["mlp", "gbdt"],
        "plan.epochs": [5, 7],
        "environment.torch": ["2.13.0", "2.14.0"],
        "environment.host": ["a", None],
        "metrics.test.roc_auc": [0.8, 0.9],
    }
    assert {name: differ.get(name) for name in expected} == expected
    assert not {"plan.lr", "target", "kind", "dataset.name"} & set(differ)
    (table,) = met.card.tables
    assert table.header == ("", f"run {first}", f"run {second}")
    assert ("environment.host", "a", "–") in table.rows


def test_the_history_of_a_dataset(ask: Ask, log: Log) -> None:
    """All runs on a dataset by its name, its name without the suffix, or a hash; what was the best, and what is."""
    numbers = [trained(log, score) for score in (0.7, 0.9, 0.8)] + [failed(log)]
    trained(log, dataset="other.csv", data="b")
    for name in ("churn.csv", "CHURN", "in/churn.csv"):
        met = ask(f"history {name}")
        assert [item["run"] for item in met.envelope["items"]] == numbers[::-1]
    assert [item["run"] for item in ask(f"history {'a' * 8}").envelope["items"]] == numbers[2::-1]
    assert [item["best"] for item in met.envelope["items"]] == [False, False, True, False]
    assert [row[-1] for row in met.card.tables[0].rows] == ["", "", "★ best", "☆ best then"]
    assert met.card.notes == (f"Best so far: run {numbers[1]}, roc_auc 0.9000, target churned.",)
    assert refusal(ask, "history chrun.csv") == (
        "dataset_not_run",
        "Nothing was run on a dataset `chrun.csv`. Did you mean `churn.csv`?",
    )
    assert len(ask("history churn limit=2").envelope["items"]) == 2


def board(ask: Ask, words: str, by: Principal = ADA) -> list[tuple[Any, ...]]:
    """The first board of an answer: rank, whether it is shared, run, and the comparison that says so."""
    (first, *_) = ask(words, by).envelope["items"]
    return [(row["rank"], row["tied"], row["run"], row["compared_by"]) for row in first["rows"]]


def test_ties_by_intervals(ask: Ask, log: Log) -> None:
    """Runs whose intervals overlap that of the best share its rank, and it is said that they were not compared."""
    low, close, best = trained(log, 0.8), trained(log, 0.895), trained(log, 0.9)
    assert board(ask, "leaderboard churn.csv") == [
        (1, True, best, None),
        (1, True, close, None),
        (3, False, low, None),
    ]
    met = ask("leaderboard churn.csv")
    assert met.card.notes == (
        f"Not compared with run {best} yet, and their 95 % intervals overlap, so they count as tied: {close}.",
    )
    assert [row[:5] for row in met.card.tables[0].rows] == [
        ("1=", str(best), "mlp", "0.9000", "0.89 to 0.91"),
        ("1=", str(close), "mlp", "0.8950", "0.89 to 0.91"),
        ("3", str(low), "mlp", "0.8000", "0.79 to 0.81"),
    ]
    assert met.card.more == (f"lml compare {best} {close} {low}", f"lml promote {best}")


def pairs(of: int, tied: dict[int, bool]) -> list[dict[str, Any]]:
    """What a comparison says of one run beside others."""
    return [{"runs": [of, other] if ties else [other, of], "tied": ties} for other, ties in tied.items()]


def test_a_comparison_counts_more_than_intervals(ask: Ask, log: Log) -> None:
    """What the newest comparison of two runs on their test rows found out decides whether they share a rank."""
    apart, tied, best = trained(log, 0.895), trained(log, 0.8), trained(log, 0.9)
    compared(log, best, tied, apart, pairs=pairs(best, {tied: False, apart: True}))
    newest = compared(log, best, tied, apart, pairs=pairs(best, {tied: True, apart: False}))
    compared(log, tied, apart, pairs=pairs(apart, {tied: False}))
    compared(log, best, tied, pairs=pairs(best, {tied: False}), rows_of="dataset")
    compared(log, best, tied, pairs=pairs(best, {tied: False}), headline="accuracy")
    assert board(ask, "leaderboard churn.csv") == [
        (1, True, best, None),
        (2, False, apart, newest),
        (1, True, tied, newest),
    ]
    assert ask("leaderboard churn.csv").card.notes == (
        f"Cannot be told apart from run {best} on their test rows: {tied} (run {newest} compared them).",
    )


def test_a_comparison_that_says_nothing_of_ties(ask: Ask, log: Log) -> None:
    """An older comparison names the best alone: the intervals decide then; without any, nothing is a tie."""
    first, second = trained(log, 0.9, half=None), trained(log, 0.895)
    compared(log, first, second, best=first, rows_shared=10)
    assert board(ask, "leaderboard churn.csv") == [(1, False, first, None), (2, False, second, None)]


def test_boards_never_mix_questions(ask: Ask, log: Log) -> None:
    """Other data, another target, other test rows or another score are another board; the same data by another name
    is the same one.
    """
    first = trained(log, 0.9)
    same = trained(log, 0.8, dataset="again.csv")
    other = trained(log, 0.7, target="price")
    rows = trained(log, 0.99, split_sha256="6" * 64)
    error = trained(log, 0.6, headline="log_loss")
    worse = trained(log, 0.5, headline="log_loss")
    met = ask("leaderboard churn.csv limit=5").envelope["items"]
    assert [[row["run"] for row in item["rows"]] for item in met] == [[error, worse], [rows], [other]]
    assert [[row["run"] for row in item["rows"]] for item in ask("leaderboard again").envelope["items"]] == [
        [first, same]
    ]
    assert "1 older board is not shown" in ask("leaderboard churn.csv").card.notes[-1]
    (item,) = ask("leaderboard churn target=price").envelope["items"]
    assert [row["run"] for row in item["rows"]] == [other]
    empty = ask("leaderboard churn target=nothing")
    assert empty.card.notes == ("No model was trained on it with target nothing and measured on test rows yet.",)


def test_a_board_shows_what_may_be_seen(ask: Ask, log: Log) -> None:
    """A private run is ranked for whoever may see it, and a shell sees all."""
    ours, mine = trained(log, 0.8), trained(log, 0.95, visibility=Visibility.PRIVATE)
    assert [row[2] for row in board(ask, "leaderboard churn.csv")] == [mine, ours]
    assert [row[2] for row in board(ask, "leaderboard churn.csv", EVE)] == [ours]
    assert [row[2] for row in board(ask, "leaderboard churn.csv", SHELL)] == [mine, ours]


def test_a_board_of_runs_from_before_contents_were_known(ask: Ask, log: Log) -> None:
    """Runs without a hash of their content are ranked by that of their bytes."""
    first = trained(log, 0.9, content=None)
    assert [row[2] for row in board(ask, "leaderboard churn.csv")] == [first]


def test_tags_of_services_are_rows_too(log: Log) -> None:
    """A tag that came with a run is found like one that was given afterwards, in lower case."""
    number = trained(log, tags=("Nightly", "nightly", "a b"))
    with log.read() as connection:
        assert beside.tags_of(connection, number) == ["a b", "nightly"]
        assert runs.get(connection, number).tags == ("Nightly", "nightly", "a b")
    change(log, lambda c: beside.add_tags(c, number, ["nightly", "new"], by="U0EVE"))
    with log.read() as connection:
        assert beside.tags_of(connection, number) == ["a b", "new", "nightly"]


def test_a_shell_resolves_aliases_and_searches(
    log: Log, log_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a shell, an alias stands for its run, a search may be quoted, and who asks is `me`."""
    number = trained(log, 0.95, by=replace(SHELL, user_id="ada"))
    monkeypatch.setenv("LML_HOME", str(tmp_path))
    monkeypatch.setenv("LML_DATABASE_URL", log_url)
    monkeypatch.setattr("getpass.getuser", lambda: "ada")

    def shell(*words: str) -> dict[str, Any]:
        run([*words, "--json"])
        met: dict[str, Any] = json.loads(capsys.readouterr().out)
        return met

    assert shell("promote", str(number), "why=it's the best")["why"] == "it's the best"
    assert shell("note", "champion:churn", "auc > 0.9 -- fine")["notes"][0]["text"] == "auc > 0.9 -- fine"
    assert [item["run"] for item in shell("log", "auc>0.9", "by:me", "fine")["items"]] == [number]
    assert shell("log", "auc<0.9")["items"] == []
    assert shell("cancel", "champion:churn")["error"]["code"] == "run_ended"
    assert shell("cancel", "shadow:churn")["error"]["code"] == "unknown_alias"
