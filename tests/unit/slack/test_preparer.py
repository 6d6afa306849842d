"""What happens behind the acknowledgement: bytes into the store, the doorbell, and no run left preparing."""

from collections.abc import Callable

import pytest
from sqlalchemy import update
from support.deadline import until
from support.fake_slack import Channel, FakeSlack

from bot.delivery.preparer import Preparer
from bot.slack.channel_files import ChannelFiles
from shared.blobs import BlobStore
from shared.errors import unavailable
from shared.log import runs, tables
from shared.log.engine import Log
from shared.log.preparing import keep_preparing, take_preparing
from shared.log.runs import Run
from shared.settings import Settings

CSV = b"a,b\n1,2\n"


class Bell:
    """A doorbell that remembers, or does not ring."""

    def __init__(self, *, away: bool = False) -> None:
        self.rung: list[int] = []
        self.away = away

    def ring(self, run: int) -> None:
        if self.away:
            raise unavailable("redis_unavailable", "Redis at nowhere does not answer: refused.", "Start it.")
        self.rung.append(run.id)


@pytest.fixture
def bell() -> Bell:
    return Bell()


@pytest.fixture
def make_preparer(settings: Settings, log: Log, store: BlobStore, bell: Bell) -> Callable[[], Preparer]:
    files = ChannelFiles(settings)

    def make() -> Preparer:
        return Preparer(
            settings,
            log,
            store,
            doorbell=bell,  # type: ignore[arg-type]  # it has the one method that is used
            fetch=lambda run, beat: files.fetch(run, beat=beat),
            poll_s=0.01,
        )

    return make


def run_of(log: Log, number: int) -> Run:
    with log.read() as connection:
        return runs.get(connection, number)


def test_a_shared_file_is_stored_and_queued(
    slack: FakeSlack,
    log: Log,
    store: BlobStore,
    bell: Bell,
    make_preparer: Callable[[], Preparer],
    make_run: Callable[..., int],
) -> None:
    """A file that was shared in the channel lies in the store by its hash, the run waits, and the doorbell has rung."""
    slack.share("churn.csv", CSV)
    number = make_run()
    preparer = make_preparer()
    assert preparer.prepare_next()
    assert not preparer.prepare_next()
    run = run_of(log, number)
    assert run.state == "queued"
    assert store.path_of(run.dataset_sha256 or "").read_bytes() == CSV
    assert bell.rung == [number]


def test_a_file_of_the_folder_is_taken(
    settings: Settings, log: Log, make_preparer: Callable[[], Preparer], make_run: Callable[..., int]
) -> None:
    """What nobody shared is looked for in the datasets folder."""
    settings.datasets_folder.mkdir(parents=True)
    (settings.datasets_folder / "churn.csv").write_bytes(CSV)
    number = make_run()
    make_preparer().prepare_next()
    assert run_of(log, number).state == "queued"


def test_a_missing_dataset_ends_the_run(
    log: Log, bell: Bell, make_preparer: Callable[[], Preparer], make_run: Callable[..., int]
) -> None:
    """A dataset that is nowhere ends the run as failed, with what to do; nobody is rung for."""
    number = make_run()
    make_preparer().prepare_next()
    run = run_of(log, number)
    assert run.state == "failed"
    assert run.problem is not None
    assert run.problem.code == "dataset_missing"
    assert bell.rung == []


def test_a_doorbell_that_fails_leaves_the_run_queued(
    slack: FakeSlack,
    log: Log,
    bell: Bell,
    make_preparer: Callable[[], Preparer],
    make_run: Callable[..., int],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """When Redis is away the run waits in the log for the sweep, and the reason is logged."""
    slack.share("churn.csv", CSV)
    bell.away = True
    number = make_run()
    make_preparer().prepare_next()
    assert run_of(log, number).state == "queued"
    assert "The doorbell of run 1 did not ring: Redis at nowhere does not answer" in caplog.text


def test_what_a_dead_bot_left_is_taken_up(
    slack: FakeSlack, log: Log, bell: Bell, make_preparer: Callable[[], Preparer], make_run: Callable[..., int]
) -> None:
    """A run whose preparer died is prepared by another one when its lease has passed, not before."""
    slack.share("churn.csv", CSV)
    number = make_run()
    with log.write() as connection:
        taken = take_preparing(connection, owner="dead", lease_s=60)
        assert taken is not None
        assert take_preparing(connection, owner="other", lease_s=60) is None
    assert not make_preparer().prepare_next()
    with log.write() as connection:
        connection.execute(update(tables.runs).values(lease_until=tables.runs.c.created_at))
    assert make_preparer().prepare_next()
    assert run_of(log, number).state == "queued"
    with log.write() as connection:
        assert not keep_preparing(connection, number, owner="dead", lease_s=60)


def test_runs_of_the_shell_are_left_alone(
    log: Log, make_preparer: Callable[[], Preparer], make_run: Callable[..., int]
) -> None:
    """A run of a shell is prepared by that shell, where its file lies."""
    make_run()
    with log.write() as connection:
        connection.execute(update(tables.runs).values(source="shell"))
    assert not make_preparer().prepare_next()


def test_a_break_of_our_own_ends_the_run(
    log: Log,
    make_preparer: Callable[[], Preparer],
    make_run: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An error that nobody foresaw ends the run with a code; it is never left preparing."""
    monkeypatch.setattr(ChannelFiles, "fetch", lambda *_args, **_more: 1 / 0)
    number = make_run()
    make_preparer().prepare_next()
    run = run_of(log, number)
    assert run.state == "failed"
    assert run.problem is not None
    assert run.problem.code == "preparing_failed"


def test_a_cancelled_run_stays_cancelled(
    slack: FakeSlack, log: Log, bell: Bell, make_preparer: Callable[[], Preparer], make_run: Callable[..., int]
) -> None:
    """A run that was cancelled while its dataset waited is not queued."""
    slack.share("churn.csv", CSV)
    number = make_run()
    with log.write() as connection:
        runs.cancel(connection, number, by="U0ADA")
    assert not make_preparer().prepare_next()
    assert run_of(log, number).state == "cancelled"
    assert bell.rung == []


def test_the_threads_wake_when_a_run_is_written(
    slack: FakeSlack, log: Log, bell: Bell, make_preparer: Callable[[], Preparer], make_run: Callable[..., int]
) -> None:
    """The threads prepare what was written before their start and after it, and stop when told to."""
    slack.share("churn.csv", CSV)
    slack.channels["C0OTHER"] = Channel()
    first = make_run()
    preparer = make_preparer()
    preparer.start()
    until(lambda: bell.rung == [first])
    second = make_run()
    preparer.wake()
    until(lambda: bell.rung == [first, second])
    preparer.stop()


def of_service(log: Log, number: int) -> None:
    """Let a run be one that a service asked for."""
    with log.write() as connection:
        connection.execute(
            update(tables.runs)
            .where(tables.runs.c.id == number)
            .values(source="service", requested_by="service:billing", channel_id=None)
        )


def test_runs_of_services_need_no_chat(
    settings: Settings, slack: FakeSlack, log: Log, make_preparer: Callable[[], Preparer], make_run: Callable[..., int]
) -> None:
    """A service's dataset is a file of the datasets folder: Slack is not asked for it."""
    settings.datasets_folder.mkdir(parents=True)
    (settings.datasets_folder / "churn.csv").write_bytes(CSV)
    number = make_run(card=False)
    of_service(log, number)
    assert make_preparer().prepare_next()
    assert run_of(log, number).state == "queued"
    assert slack.calls == []


def test_a_bot_without_a_chat_leaves_its_runs(
    settings: Settings, log: Log, store: BlobStore, bell: Bell, make_run: Callable[..., int]
) -> None:
    """A bot that does not reach Slack prepares runs of services only."""
    settings.datasets_folder.mkdir(parents=True)
    (settings.datasets_folder / "churn.csv").write_bytes(CSV)
    of_chat, mine = make_run(), make_run()
    of_service(log, mine)
    preparer = Preparer(settings, log, store, doorbell=bell)  # type: ignore[arg-type]  # it has the one method that is used
    assert preparer.prepare_next()
    assert not preparer.prepare_next()
    assert (run_of(log, of_chat).state, run_of(log, mine).state) == ("preparing", "queued")
    assert bell.rung == [mine]


def test_a_redis_that_is_away_is_left_alone_for_a_while(
    slack: FakeSlack, log: Log, bell: Bell, make_preparer: Callable[[], Preparer], make_run: Callable[..., int]
) -> None:
    """After a ring that failed the next runs are queued without one, so that none waits behind a Redis that hangs."""
    slack.share("churn.csv", CSV)
    numbers, preparer = [make_run(), make_run()], make_preparer()
    bell.away = True
    preparer.prepare_next()
    bell.away = False
    preparer.prepare_next()
    assert [run_of(log, number).state for number in numbers] == ["queued", "queued"]
    assert bell.rung == []


def test_a_name_that_is_nowhere_is_what_an_earlier_run_had(
    slack: FakeSlack, log: Log, store: BlobStore, make_preparer: Callable[[], Preparer], make_run: Callable[..., int]
) -> None:
    """A file that is gone from Slack is what a run here had by that name; a newer file of the channel comes first."""
    file = slack.share("churn.csv", CSV)
    preparer = make_preparer()
    first = make_run()
    preparer.prepare_next()
    del slack.files[file["id"]]
    second = make_run()
    preparer.prepare_next()
    assert run_of(log, second).dataset_sha256 == run_of(log, first).dataset_sha256
    assert (run_of(log, second).dataset_source or {})["run"] == first
    slack.share("churn.csv", b"a,b\n3,4\n")
    third = make_run()
    preparer.prepare_next()
    assert store.path_of(run_of(log, third).dataset_sha256 or "").read_bytes() == b"a,b\n3,4\n"
    assert run_of(log, third).dataset_source is None


def test_an_earlier_run_of_another_channel_is_not_told(
    slack: FakeSlack, log: Log, make_preparer: Callable[[], Preparer], make_run: Callable[..., int]
) -> None:
    """What a run of a private channel had is no dataset elsewhere, and the answer does not differ."""
    slack.channels["G0SECRET"] = Channel()
    slack.share("secret.csv", CSV, channel="G0SECRET")
    hidden, preparer = make_run("secret.csv", channel="G0SECRET"), make_preparer()
    with log.write() as connection:
        connection.execute(update(tables.runs).where(tables.runs.c.id == hidden).values(visibility="channel"))
    preparer.prepare_next()
    assert run_of(log, hidden).state == "queued"
    problems = []
    for name in ("secret.csv", "none.csv"):
        number = make_run(name)
        preparer.prepare_next()
        problem = run_of(log, number).problem
        assert problem is not None
        problems.append((problem.code, problem.message.replace(name, "NAME"), problem.hint))
    assert problems[0] == problems[1]
