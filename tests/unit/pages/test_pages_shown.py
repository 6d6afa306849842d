"""What stands on the pages, and that nothing on them can do harm."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from sqlalchemy import insert
from support.log_acts import OUTCOME, claimed, queued
from support.pages_runs import ADA, HOSTILE, compare, done, evaluate, regression, stored, train, waiting
from unit.pages.conftest import Get

from shared.access import Visibility
from shared.blobs import BlobStore
from shared.errors import Problem
from shared.log import attempts, beside, runs, tables
from shared.log.engine import Log
from shared.log.runs import NewRun
from shared.specs import TrainSpec

EVERY = ("/runs", "/runs/1", "/compare/1...2", "/datasets/churn.csv", "/runs/99", "/runs?q=foo:bar")


class Tags(HTMLParser):
    """The tags and attributes of a document."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.feed(document)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]


def test_a_train_run_is_shown_whole(see: Get, log: Log, store: BlobStore) -> None:
    """Its state, words, metrics with intervals, classes, curves, calibration, matrix, files, spec and plan."""
    number = train(log, store, title="first try")
    with log.write() as connection:
        beside.add_tags(connection, number, ["baseline"], by="U0ADA")
        beside.add_note(connection, number, "Too good to be true?", by="U0BOB")
    page = see(f"/runs/{number}").text
    for words in (
        "Run 1 · train churn.csv (first try)",
        'class="state succeeded"',
        "<code>train churn.csv</code>",
        "0.80 to 0.95",
        "Classes on the test rows",
        "Loss of mlp",
        "Calibration",
        "18 of 20 test rows are predicted right.",
        f'href="/runs/{number}/files/test_predictions.csv"',
        "baseline",
        "Too good to be true?",
        "<summary>plan</summary>",
        "0.002",
        "<summary>environment</summary>",
    ):
        assert words in page, words
    assert page.count('class="chart"') == 2
    assert page.count("As a table") == 2


def test_a_quick_run_shows_its_own_plot(see: Get, log: Log, store: BlobStore) -> None:
    """Where few epochs were reported, the plot that the run itself made of all of them stands in their place."""
    spec = NewRun(spec=TrainSpec(dataset="a.csv"), words="train a.csv", principal=ADA, dataset_name="a.csv")
    number = done(log, store, spec, {"model": "mlp"}, [], epochs=3)
    assert "Loss of mlp" in see(f"/runs/{number}").text
    plot = stored(store, "loss_curve.png", b"png")
    with log.write() as connection:
        connection.execute(insert(tables.artifacts).values(run_id=number, **plot.model_dump()))
    page = see(f"/runs/{number}").text
    assert "Loss of mlp" not in page
    assert f'src="/runs/{number}/files/loss_curve.png" alt="The loss by epoch' in page


def test_numbers_are_drawn_as_predicted_and_true(see: Get, log: Log, store: BlobStore) -> None:
    """A regression has its residuals in place of a matrix."""
    page = see(f"/runs/{regression(log, store)}").text
    assert "Predicted and true" in page
    assert 'class="matrix"' not in page


def test_an_evaluation_shows_its_worst_slices(see: Get, log: Log, store: BlobStore) -> None:
    """Slices are drawn with their intervals, told in a table, and lead back to the run that was evaluated."""
    first = train(log, store)
    page = see(f"/runs/{evaluate(log, store, first)}").text
    assert "Difference of accuracy of the worst slices" in page
    assert f'made from <a href="/runs/{first}">train {first}</a>' in page


def test_a_run_that_failed_says_why(see: Get, log: Log) -> None:
    """The page of a failed run tells the reason and what to do."""
    number = waiting(log, Visibility.TEAM)
    with log.write() as connection:
        runs.fail_waiting(connection, number, Problem("target_missing", "There is no column `x`.", "Name another."))
    page = see(f"/runs/{number}").text
    assert "There is no column `x`." in page
    assert "Name another." in page


def test_a_run_that_waits_says_where_it_stands(see: Get, log: Log) -> None:
    """The page of a run that has not ended shows its steps."""
    assert "number 1 in the queue" in see(f"/runs/{waiting(log, Visibility.TEAM)}").text


def test_a_comparison_is_the_newest_of_exactly_these(see: Get, log: Log, store: BlobStore) -> None:
    """Runs beside each other show the comparison that was run, in any order; of others they plainly say no test."""
    first, second, third = (train(log, store) for _ in range(3))
    made = compare(log, store, [first, second])
    for path in (f"/compare/{first}...{second}", f"/compare/{second}...{first}"):
        page = see(path).text
        assert "cannot be told apart on 100 rows" in page
        assert f'href="/runs/{made}"' in page
    page = see(f"/compare/{first}...{second}...{third}").text
    assert "This is no paired test." in page
    assert f"lml compare {first} {second} {third}" in page
    assert "on the same test rows" in page
    other = see(f"/compare/{first}...{regression(log, store)}").text
    assert "not known to be the same" in other
    assert "What differs in what was asked" in other


@pytest.mark.parametrize(
    "path",
    [
        "/compare/1",
        "/compare/1...1",
        "/compare/1...x",
        "/compare/0...1",
        "/compare/" + "...".join(map(str, range(1, 12))),
    ],
)
def test_a_comparison_takes_two_to_ten_runs(see: Get, path: str) -> None:
    """Anything else is no page, and says what one looks like."""
    reply = see(path)
    assert reply.status == 404
    assert "/compare/41...42" in reply.text


def test_a_dataset_has_its_runs_its_best_and_its_columns(see: Get, log: Log, store: BlobStore) -> None:
    """By its name, the name without its ending, or the beginning of its hash."""
    numbers = [train(log, store) for _ in range(2)]
    for name in ("churn.csv", "churn", "abab" * 3):
        page = see(f"/datasets/{name}").text
        assert "2 runs" in page
        assert "Target churned, by accuracy" in page
        assert "Columns" in page
        assert all(f'href="/runs/{number}"' in page for number in numbers)


def test_the_log_is_paged_by_number(see: Get, log: Log, store: BlobStore) -> None:
    """Fifty to a page, newest first; the links go on from the last number, so nothing moves while one reads."""
    first = train(log, store)
    with log.write() as connection:
        named = ", ".join(column.name for column in tables.runs.columns if column.name not in ("id", "trigger_id"))
        for _ in range(119):
            connection.exec_driver_sql(f"INSERT INTO runs ({named}) SELECT {named} FROM runs WHERE id = {first}")
    seen: list[int] = []
    path = "/runs"
    while path:
        page = see(path).text
        seen += [int(number) for number in re.findall(r'scope="row"><a href="/runs/(\d+)"', page)]
        older = re.search(r'href="(/runs\?[^"]*)" rel="next"', page)
        path = older[1].replace("&amp;", "&") if older else ""
    assert seen == list(range(first + 119, first - 1, -1))


def test_the_search_takes_the_words_of_log(see: Get, log: Log, store: BlobStore) -> None:
    """Conditions find, mistakes are named in place, and what was typed stands in the box again."""
    train(log, store)
    number = regression(log, store)
    page = see("/runs?q=r2%3E0.5+sort:-r2").text
    assert f'href="/runs/{number}"' in page
    assert 'href="/runs/1"' not in page
    assert 'value="r2&gt;0.5 sort:-r2"' in page
    wrong = see("/runs?q=acuracy%3E0.9+stat:failed")
    assert wrong.status == 400
    assert "Did you mean" in wrong.text
    assert see("/runs?q=%22open").status == 400
    assert "No run fits." in see("/runs?q=ds:nowhere").text


def test_a_hostile_name_can_do_nothing(see: Get, log: Log, store: BlobStore) -> None:
    """Columns, classes, datasets, names, words, notes, tags and searches of others are text on every page."""
    classes = (HOSTILE, "ok\x07\u202e</td><svg onload=alert(1)>")
    name = "x'><script>alert(1)</script>.csv"
    number = train(log, store, classes=classes, name=name, title="<b>t</b>", words=f"train {HOSTILE}")
    train(log, store, name=name)
    run = evaluate(log, store, number)
    with log.write() as connection:
        beside.add_tags(connection, number, ["<i>tag</i>"], by="U0ADA")
        beside.add_note(connection, number, "<script>alert(2)</script>", by="<u>eve</u>")
    paths = ["/runs", f"/runs/{number}", f"/runs/{run}", f"/compare/{number}...{number + 1}", "/datasets/abab"]
    paths += [f"/datasets/{'ab' * 32}", "/runs?q=%3Cscript%3Ealert(1)%3C/script%3E", "/datasets/%3Cb%3E"]
    for path in paths:
        page = see(path).text
        met = Tags(page)
        assert not {"script", "b", "i", "u", "iframe", "object"} & set(met.tags), path
        assert "img" not in met.tags, path
        assert not [name for name, _ in met.attributes if name.startswith("on") or name == "style"], path
        assert not re.search("[\x00-\x08\u202a-\u202e]", page), path
        links = [value for name, value in met.attributes if name in ("href", "src", "action")]
        assert all(link.startswith(("/", "#")) and not link.startswith("//") for link in links), path


@pytest.mark.parametrize("path", EVERY)
def test_every_answer_is_locked_down(see: Get, get: Get, log: Log, store: BlobStore, path: str) -> None:
    """No script, frame, referrer, guess of a type or copy in a cache; and nothing from elsewhere."""
    for _ in range(2):
        train(log, store)
    for reply in (see(path), get(path)):
        policy = reply.headers["content-security-policy"]
        assert policy.startswith("default-src 'self'; script-src 'none'")
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["referrer-policy"] == "no-referrer"
        assert reply.headers["cache-control"] == "private, no-store"
        assert not re.search(r"(src|href)=\"(https?:)?//", reply.text)
        assert "<style" not in reply.text


def test_files_are_saved_not_opened(see: Get, log: Log, store: BlobStore) -> None:
    """An artifact comes as an attachment with a type that is not guessed again; one that is not there is a page."""
    number = train(log, store)
    reply = see(f"/runs/{number}/files/test_predictions.csv")
    assert reply.status == 200
    assert reply.headers["content-disposition"].startswith("attachment")
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.text.startswith("row,")
    assert see(f"/runs/{number}/files/..%2F..%2Fsecret.key").status == 404
    assert see(f"/runs/{number}/files/nothing").status == 404


def test_the_style_sheet_is_kept_for_ever(get: Get) -> None:
    """Its name holds its hash; without a way in it is still there, for the page that says so."""
    name = re.search(r'href="(/pages/pages\.[0-9a-f]{12}\.css)"', get("/runs").text)
    assert name
    reply = get(name[1])
    assert reply.status == 200
    assert reply.headers["content-type"].startswith("text/css")
    assert "immutable" in reply.headers["cache-control"]
    assert get("/pages/other.css").status == 404
    assert get("/pages/..%2Fsite.py").status == 404


def test_bytes_that_are_gone_break_no_page(see: Get, log: Log, store: BlobStore) -> None:
    """Where predictions were erased, the page stands without what was drawn from them."""
    number = train(log, store)
    for file in store.folder.rglob("*"):
        if file.is_file():
            file.unlink()
    reply = see(f"/runs/{number}")
    assert reply.status == 200
    assert 'class="matrix"' not in reply.text


def test_a_bug_of_ours_is_a_page_that_tells_nothing(
    see: Get, log: Log, store: BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What breaks is logged; whoever asked gets a page without the reason."""
    number = train(log, store)

    def broken(*_: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("bot.pages.run_page.folded", broken)
    reply = see(f"/runs/{number}")
    assert reply.status == 500
    assert "secret detail" not in reply.text
    assert see("/runs", principal=replace(ADA, channel_id=None)).status == 200


def test_a_run_with_seeds_links_to_them_and_back(see: Get, log: Log) -> None:
    """Its page has a row for each seed, with a link; that of a seed leads to its run; lists have means with spreads."""
    spec = TrainSpec(dataset="a.csv", seeds=2)
    parent = queued(log, NewRun(spec=spec, words="train a.csv seeds=2", principal=ADA, dataset_name="a.csv"))
    page = see(f"/runs/{parent}").text
    assert 'class="state gathering"' in page
    assert "0 of 2 seeds trained" in page
    one = {"headline": "roc_auc", "metrics": {"test": {"roc_auc": 0.9}}}
    entries = [{"seed": k, "run": 2 + k, "state": "succeeded", "metrics": one["metrics"]} for k in (0, 1)]
    kept = {"seed": 1, "run": 3, "by": "roc_auc", "validation": None}
    gathered = {**one, "sd": {"test": {"roc_auc": 0.0042}}, "seeds": entries, "kept": kept}
    for result in (one, one, gathered):
        attempt = claimed(log)
        with log.write() as connection:
            attempts.succeed(connection, attempt, replace(OUTCOME, result=result))
    page = see(f"/runs/{parent}").text
    assert "roc_auc 0.9000 ± 0.0042 over 2 seeds" in page
    for seed in (2, 3):
        assert f'<a href="/runs/{seed}">{seed}</a>' in page
        assert f'<a href="/runs/{parent}">run {parent}</a>' in see(f"/runs/{seed}").text
    assert "Related runs" not in page
    listed = see("/runs").text
    assert "roc_auc 0.9000 ± 0.0042" in listed
    assert "train a.csv, 2 seeds" in listed
    assert 'href="/runs/2"' not in listed
    assert "train a.csv seed 0 of run 1" in see(f"/runs?q=parent:{parent}").text
