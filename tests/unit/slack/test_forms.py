"""Forms and the shortcut: what they offer, what becomes of what is sent, and what they refuse."""

from pydantic import SecretStr
from slack_bolt import BoltRequest
from sqlalchemy import update
from support.deadline import until
from support.fake_slack import BOT_USER, Channel, Failure, FakeSlack
from support.log_acts import all_runs, noted
from support.slack_front import SlackBot, opened, said
from support.slack_payloads import click, command, in_view, shortcut, submission
from support.slack_texts import texts_in
from unit.slack.conftest import MakeRun

from bot.slack.side import slack_side
from bot.slack.views import ids
from shared.blobs import BlobStore
from shared.log import choices, tables
from shared.log.engine import Log
from shared.settings import Settings

CSV = b"age,income,churned\n30,10,yes\n40,20,no\n"


def test_train_without_words_is_a_form(bot: SlackBot, slack: FakeSlack, log: Log, settings: Settings) -> None:
    """`/lml train` opens a form at once; its data follow, and what it is sent with becomes words and a run."""
    settings.datasets_folder.mkdir(parents=True)
    (settings.datasets_folder / "churn.csv").write_bytes(CSV)
    slack.share("march.csv", CSV)
    slack.share("predictions.csv", CSV, user=BOT_USER)  # what the bot put into a thread is no dataset
    assert bot.answered(command("train", trigger_id=slack.trigger())) == {}
    view = opened(slack)
    assert "march.csv" in texts_in(view)
    assert "predictions.csv" not in texts_in(view)
    assert "churn.csv" in texts_in(view)
    chosen = bot.answered(in_view(ids.DATASET, view, selected="churn.csv"))
    assert chosen == {}
    until(lambda: "churned" in texts_in(slack.modal().body))
    values = {ids.DATASET: "churn.csv", ids.TARGET: "churned", ids.MODEL: "gbdt", ids.BUDGET: "60s"}
    assert bot.answered(submission(opened(slack), values)) == {}
    (run,) = all_runs(log)
    assert run.words == "train churn.csv target=churned model=gbdt budget=60s"
    assert (run.channel_id, run.visibility, run.requested_by) == ("C0GENERAL", "team", "U0ADA")

    def remembered() -> bool:
        with log.read() as connection:
            kept = choices.last_choice(connection, team_id="T0TEAM", user_id="U0ADA") or {}
        return kept.get("target") == "churned"

    until(remembered)


def test_errors_stand_at_their_fields(bot: SlackBot, slack: FakeSlack, log: Log) -> None:
    """What the grammar refuses is said at the field that it is about, and the form stays open."""
    bot.send(command("train", trigger_id=slack.trigger()))
    view = opened(slack)
    values = {ids.DATASET: "churn.csv", ids.MODEL: "auto", ids.BUDGET: "soon", ids.SEED: "-1", ids.MORE: "lr=0"}
    answer = bot.answered(submission(view, values))
    assert answer["response_action"] == "errors"
    assert set(answer["errors"]) >= {ids.BUDGET, ids.SEED, ids.MORE}
    assert "needs a number above 0" in answer["errors"][ids.MORE]
    nothing = bot.answered(submission(view, {ids.MODEL: "auto"}))
    assert "A dataset is needed" in nothing["errors"][ids.DATASET]
    assert all_runs(log) == []


def test_a_form_sent_twice_is_one_run(bot: SlackBot, slack: FakeSlack, log: Log) -> None:
    """The same view, sent again by Slack or a proxy, writes nothing twice."""
    bot.send(command("train", trigger_id=slack.trigger()))
    sent = submission(opened(slack), {ids.DATASET: "churn.csv", ids.MODEL: "auto"})
    assert bot.answered(sent) == {}
    assert bot.answered(sent) == {}
    assert len(all_runs(log)) == 1


def test_an_uploaded_file_is_the_dataset(bot: SlackBot, slack: FakeSlack, log: Log, make_run: MakeRun) -> None:
    """A file that was uploaded in the form is known by its id, whatever it is called."""
    number = trained(log, make_run)
    bot.send(click(ids.OPEN_PREDICT, str(number), trigger_id=slack.trigger()))
    file = slack.share("new rows.csv", CSV, channel="")
    sent = submission(opened(slack), {ids.FILE: [{"id": file["id"], "name": file["name"]}]})
    assert bot.answered(sent) == {}
    run = all_runs(log)[0]
    assert run.words == f'predict {number} "new rows.csv"'
    assert run.dataset_source == {"slack_file": file["id"], "name": "new rows.csv"}


def test_compare_offers_runs_on_the_same_data(bot: SlackBot, slack: FakeSlack, log: Log, make_run: MakeRun) -> None:
    """Compare with... lists the other models of the same data; what is chosen becomes a comparison."""
    first, second, other = trained(log, make_run), trained(log, make_run), trained(log, make_run, content="other")
    bot.send(click(ids.OPEN_COMPARE, str(first), trigger_id=slack.trigger()))
    view = opened(slack)
    options = [one["value"] for block in view["blocks"] for one in block.get("element", {}).get("options", ())]
    assert str(second) in options
    assert str(other) not in options
    assert bot.answered(submission(view, {ids.RUNS: [str(second)]})) == {}
    assert all_runs(log)[0].words == f"compare {first} {second}"


def test_change_begins_with_what_the_run_had(bot: SlackBot, slack: FakeSlack, make_run: MakeRun) -> None:
    """Change... opens the form with the run's own words."""
    number = make_run("sales.csv")
    bot.send(click(ids.OPEN_CHANGE, str(number), trigger_id=slack.trigger()))
    assert "sales.csv" in texts_in(opened(slack))


def test_change_keeps_the_data_that_the_run_read(
    bot: SlackBot, slack: FakeSlack, log: Log, store: BlobStore, make_run: MakeRun
) -> None:
    """Its dataset means the bytes that the run read, whatever file is called so by now; another name means that."""
    number = trained(log, make_run, content=store.put_chunks([CSV]).sha256)
    slack.share("churn.csv", b"other,columns\n1,2\n")
    slack.share("march.csv", CSV)
    for dataset, source in (("churn.csv", {"sha256": store.put_chunks([CSV]).sha256}), ("march.csv", None)):
        slack.stacks["U0ADA"].clear()
        bot.send(click(ids.OPEN_CHANGE, str(number), trigger_id=slack.trigger()))
        view = opened(slack)
        assert "income" in texts_in(view)
        assert f"As run {number} read it" in texts_in(view)
        assert bot.answered(submission(view, {ids.DATASET: dataset, ids.MODEL: "mlp"})) == {}
        assert (all_runs(log)[0].words, all_runs(log)[0].dataset_source) == (f"train {dataset} model=mlp", source)


def test_change_of_a_run_whose_data_is_gone_looks_for_it_again(
    bot: SlackBot, slack: FakeSlack, log: Log, make_run: MakeRun
) -> None:
    """Bytes that the store holds no longer are not promised; the name means what it means to a command."""
    number = trained(log, make_run, content="0" * 64)
    bot.send(click(ids.OPEN_CHANGE, str(number), trigger_id=slack.trigger()))
    view = opened(slack)
    assert "read it" not in texts_in(view)
    assert bot.answered(submission(view, {ids.DATASET: "churn.csv", ids.MODEL: "mlp"})) == {}
    assert all_runs(log)[0].dataset_source is None


def test_the_last_choices_come_back(bot: SlackBot, slack: FakeSlack, log: Log) -> None:
    """The next form begins with what was sent last; a file that was uploaded is remembered by its name."""
    bot.send(command("Train", trigger_id=slack.trigger()))
    file = slack.share("mine.csv", CSV, channel="")
    values = {ids.FILE: [{"id": file["id"], "name": "mine.csv"}], ids.MODEL: "gbdt", ids.BUDGET: "90s", ids.SEED: "7"}
    assert bot.answered(submission(opened(slack), values)) == {}

    def remembered() -> bool:
        with log.read() as connection:
            return choices.last_choice(connection, team_id="T0TEAM", user_id="U0ADA") is not None

    until(remembered)
    slack.stacks["U0ADA"].clear()
    bot.send(command("train", trigger_id=slack.trigger()))
    fields = {
        block["element"]["action_id"]: block["element"] for block in opened(slack)["blocks"] if "element" in block
    }
    assert fields[ids.DATASET]["initial_option"]["value"] == "mine.csv"
    assert fields[ids.MODEL]["initial_option"]["value"] == "gbdt"
    assert (fields[ids.BUDGET]["initial_value"], fields[ids.SEED]["initial_value"]) == ("90s", "7")


def test_a_form_about_a_hidden_run_shows_nothing_of_it(bot: SlackBot, slack: FakeSlack, log: Log) -> None:
    """A form cannot be opened about a run that one may not see."""
    bot.send(command("train secret.csv", channel_id="D0ADA", channel_name="directmessage"))
    bot.send(click(ids.OPEN_CHANGE, "1", user="U0BOB", trigger_id=slack.trigger("U0BOB")))
    shown = texts_in(opened(slack, user="U0BOB"))
    assert "There is no run 1." in shown
    assert "secret" not in shown


def test_what_is_typed_into_a_form_is_answered_to_those_who_may(bot: SlackBot, slack: FakeSlack, log: Log) -> None:
    """Whoever has no role any more is offered no names of datasets, and that is noted."""
    bot.send(command("train churn.csv"))
    bot.send(command("train", trigger_id=slack.trigger()))
    typed = {**in_view(ids.DATASET, opened(slack)), "type": "block_suggestion", "action_id": ids.DATASET, "value": "ch"}
    assert "churn.csv" in texts_in(bot.answered(typed))
    slack.people["U0ADA"] = {"is_restricted": True}
    bot.desk.people.forget("U0ADA")
    assert bot.answered(typed) == {"options": []}
    assert ("U0ADA", "train", "denied") in noted(log)


def test_a_form_shows_nothing_of_a_file_that_was_not_shared_here(bot: SlackBot, slack: FakeSlack) -> None:
    """A file's id in a form is state, not proof: the columns of a stranger's file stay theirs."""
    slack.channels["C0SECRET"] = Channel(private=True)
    file = slack.share("bobs.csv", CSV, channel="C0SECRET", user="U0BOB")
    message = {"ts": "1.0", "files": [{"id": file["id"], "name": "bobs.csv"}]}
    bot.send(shortcut("train_on_file", message, trigger_id=slack.trigger()))
    shown = texts_in(opened(slack))
    assert "income" not in shown
    assert "neither" in shown


def test_a_429_holds_no_form_up(settings: Settings, slack: FakeSlack, log: Log, store: BlobStore) -> None:
    """Threads that answer people never sleep for as long as Slack asks: the form says why it has no columns."""
    file = slack.share("churn.csv", CSV)
    message = {"ts": "1.0", "files": [{"id": file["id"], "name": "churn.csv"}]}
    slack.fail("files.info", *(Failure(status=429, error="ratelimited", retry_after_s=30) for _ in range(5)))
    away = settings.model_copy(update={"redis_url": SecretStr("redis://127.0.0.1:1/0")})
    with slack_side(away, log, store, written=lambda: None) as side:
        body = shortcut("train_on_file", message, trigger_id=slack.trigger())
        assert side.app.dispatch(BoltRequest(body=body, mode="socket_mode")).status == 200
        assert "ratelimited" in texts_in(opened(slack))
    assert len(slack.called("files.info")) == 1


def test_a_viewers_form_is_refused_when_sent(bot: SlackBot, slack: FakeSlack, log: Log) -> None:
    """What a form holds is no proof: whoever became a guest meanwhile is refused when it is sent."""
    bot.send(command("train", trigger_id=slack.trigger()))
    view = opened(slack)
    slack.people["U0ADA"] = {"is_restricted": True}
    bot.desk.people.forget("U0ADA")
    answer = bot.answered(submission(view, {ids.DATASET: "churn.csv", ids.MODEL: "auto"}))
    assert answer["response_action"] == "errors"
    assert all_runs(log) == []


def test_the_shortcut_opens_the_form_about_the_file(bot: SlackBot, slack: FakeSlack, log: Log) -> None:
    """Train on this file: its columns stand in the form, and the run reads that very file."""
    file = slack.share("churn.csv", CSV)
    message = {"ts": "1.0", "files": [{"id": file["id"], "name": "churn.csv"}]}
    bot.send(shortcut("train_on_file", message, trigger_id=slack.trigger()))
    view = opened(slack)
    assert "income" in texts_in(view)
    assert bot.answered(submission(view, {ids.TARGET: "churned", ids.MODEL: "auto"})) == {}
    (run,) = all_runs(log)
    assert run.words == "train churn.csv target=churned"
    assert run.dataset_source == {"slack_file": file["id"], "name": "churn.csv"}


def test_the_shortcut_without_a_file_says_so(bot: SlackBot, slack: FakeSlack) -> None:
    """A message without a file cannot be trained on."""
    bot.send(shortcut("train_on_file", {"ts": "1.0"}, response_url=slack.response_url()))
    assert "this message has none" in said(slack)


def trained(log: Log, make_run: MakeRun, *, content: str = "same") -> int:
    """A train run that succeeded, as the log holds it."""
    number = make_run(card=False)
    values = {
        "state": "succeeded",
        "content_sha256": content,
        "dataset_sha256": content,
        "target": "churned",
        "task": "binary",
        "split_sha256": "split",
        "headline": "roc_auc",
        "score": 0.9,
        "model": "gbdt",
        "result": {"headline": "roc_auc", "metrics": {"test": {"roc_auc": 0.9}}},
    }
    with log.write() as connection:
        connection.execute(update(tables.runs).where(tables.runs.c.id == number).values(values))
    return number
