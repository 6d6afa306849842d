"""The door for queued messages: real Redis, real intake processes, messages good, bad and cut off."""

import base64
import importlib.util
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import NoPermissionError
from sqlalchemy import create_engine, text
from support import install_emulator
from support.deadline import until
from support.intake_door import PROBE, SERVICE, IntakeDoor, codes, frame, framed
from support.own_redis import OwnRedis
from support.place import Place

from shared.access import Source
from shared.intake_message import MOST_BYTES
from shared.log.engine import open_log
from shared.log.quotas import Quota
from shared.log.runs import RunState
from shared.settings import Settings
from workers.intake_list import EMPTY_KEY, HAND_LIST

REPOSITORY = Path(__file__).parents[2]
CLIENT = REPOSITORY / "tests" / "support" / "celery_node_client.js"


def fill(template: str, password: str) -> str:
    """The ACL file that we hand out, with the owner's password put in."""
    return (REPOSITORY / template).read_text(encoding="utf-8").replace("CHANGE-ME-lml", password)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnRedis]:
    """A Redis with the ACLs of deploy/redis-acl.conf."""
    folder = tmp_path_factory.mktemp("redis")
    (folder / "acl.conf").write_text(fill("deploy/redis-acl.conf", "owner"))
    made = OwnRedis(folder, f'include "{folder / "acl.conf"}"')
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def running(server: OwnRedis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[IntakeDoor]:
    """A door whose intake runs, for tests that leave it so."""
    made = door_at(server.url, tmp_path_factory.mktemp("home"))
    made.start()
    yield made
    made.stop()


@pytest.fixture
def own(tmp_path: Path) -> Iterator[OwnRedis]:
    """A Redis that a test may break."""
    (tmp_path / "redis").mkdir()
    made = OwnRedis(tmp_path / "redis", "requirepass owner")
    made.start()
    yield made
    made.stop()


@pytest.fixture
def fragile(own: OwnRedis, tmp_path: Path) -> Iterator[IntakeDoor]:
    """A door that a test may break; no intake runs yet."""
    made = door_at(own.url, tmp_path / "home")
    yield made
    made.stop()


def door_at(redis_url: str, home: Path, database_url: str | None = None) -> IntakeDoor:
    """A door with a log of its own."""
    settings = Settings(home=home, redis_url=redis_url, database_url=database_url)
    settings.datasets_folder.mkdir(parents=True)
    return IntakeDoor(settings, open_log(settings.log_url))


def test_a_celery_client_that_may_only_push_is_answered_with_a_run(
    server: OwnRedis, running: IntakeDoor, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The example, which holds none of our code, queues a run by name as a user who may push and read its answer."""
    (running.settings.datasets_folder / "churn.csv").write_text("a,b\n1,2\n")
    spec = importlib.util.spec_from_file_location("submit_by_celery", REPOSITORY / "examples/submit_by_celery.py")
    assert spec is not None
    assert spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    monkeypatch.setenv("INTAKE_REDIS_URL", server.url_of(SERVICE, "CHANGE-ME-billing"))
    monkeypatch.setenv("INTAKE_SECRET", running.secret)
    monkeypatch.setattr("sys.argv", ["submit_by_celery.py", SERVICE, "churn.csv"])
    assert example.main() == 0
    answer = json.loads(capsys.readouterr().out)
    [run] = [run for run in running.runs() if run.id == answer["runs"][0]]
    assert (run.source, run.requested_by, run.team_id) == (Source.SERVICE, "service:billing", "T1")
    assert (run.words, run.priority.word, run.tags) == ("train churn.csv model=linear", "normal", ("example",))
    until(
        lambda: next(one for one in running.runs() if one.id == run.id).state is RunState.QUEUED,
        what="the run waits for a worker",
    )
    assert running.redis.llen(HAND_LIST) == 0


@pytest.mark.parametrize("protocol", ["2", "1"])
def test_celery_node_is_understood(server: OwnRedis, running: IntakeDoor, protocol: str) -> None:
    """The npm package celery-node queues a run, in both of Celery's protocols, as the user of the ACL file."""
    if not install_emulator.installed(install_emulator.CELERY_NODE):
        pytest.skip("celery-node is not installed: run `python tests/support/install_emulator.py`.")
    node = str(install_emulator.node_folder() / "node")
    url = server.url_of(SERVICE, "CHANGE-ME-billing")
    client = subprocess.run(
        [node, str(CLIENT), url, SERVICE, running.secret, json.dumps(PROBE), protocol],
        env={**os.environ, "NODE_PATH": str(install_emulator.modules_of(install_emulator.CELERY_NODE))},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert running.answer(client.stdout.strip())["state"] == "taken"


def test_a_producer_can_push_and_nothing_else(server: OwnRedis) -> None:
    """The user of the ACL file reaches one list with one command; what matters is refused, each by name."""
    producer = Redis.from_url(server.url_of("reporting", "CHANGE-ME-reporting"))
    refused: dict[str, Callable[[], Any]] = {
        "read the list": lambda: producer.lrange("lml.intake", 0, -1),
        "take from the list": lambda: producer.rpop("lml.intake"),
        "push elsewhere": lambda: producer.lpush("lml:lml.runs", "x"),
        "ring for workers": lambda: producer.lpush("lml:lml.auto.long", "x"),
        "see the refused": lambda: producer.lrange("lml.rejected", 0, -1),
        "read an answer": lambda: producer.get("lml.answer:billing:x"),
        "list keys": producer.keys,
        "publish": lambda: producer.publish("x", "y"),
        "erase": producer.flushall,
        "run a script": lambda: producer.eval("return 1", 0),
        "configure": lambda: producer.config_get("*"),
    }
    for what, act in refused.items():
        with pytest.raises(NoPermissionError):
            pytest.fail(f"may {what}: {act()}")
    other = Redis.from_url(server.url_of(SERVICE, "CHANGE-ME-billing"))
    with pytest.raises(NoPermissionError):
        other.get("lml.answer:reporting:x")


BAD: dict[str, tuple[str, str, Callable[[IntakeDoor], str | bytes]]] = {
    "nothing": ("message_not_json", "is not JSON", lambda door: b""),
    "not JSON": ("message_not_json", "is not JSON", lambda door: "run my job"),
    "not UTF-8": ("message_not_json", "UTF-8", lambda door: b'{"body": "\xff\xfe"}'),
    "nested": ("message_not_json", "nested too deeply", lambda door: "[" * 200_000),
    "a long number": ("message_not_json", "digits", lambda door: f'{{"body": {"9" * 5000}}}'),
    "NaN": ("message_not_json", "NaN is no JSON", lambda door: '{"body": NaN}'),
    "a list": ("message_malformed", "a JSON object; met a list", lambda door: "[1, 2]"),
    "without headers": ("message_malformed", "no task and no id", lambda door: framed([{}], headers=None)),
    "without id": ("message_malformed", "no id", lambda door: framed([{}], headers={"task": "lml.submit"})),
    "an id that is a number": (
        "message_malformed",
        "no id",
        lambda door: framed([{}], headers={"task": "lml.submit", "id": 7}),
    ),
    "another task": (
        "message_malformed",
        "met `os.system`",
        lambda door: framed([{}], headers={"task": "os.system", "id": "1"}),
    ),
    "without body": ("message_malformed", "The body is a text; met nothing", lambda door: frame(None)),
    "a body of numbers": ("message_malformed", "The body is a text; met a list", lambda door: frame([1, 2])),
    "wrong base64": ("message_malformed", "it is not:", lambda door: frame("%%%not base64%%%")),
    "base64 of no JSON": ("message_not_json", "The body is not JSON", lambda door: frame(encoded(b"\x80\x04K\x01."))),
    "pickle": (
        "message_malformed",
        "met application/x-python-serialize",
        lambda door: framed([{}], **{"content-type": "application/x-python-serialize"}),
    ),
    "another encoding": (
        "message_malformed",
        "met rot13",
        lambda door: framed([{}], properties={"body_encoding": "rot13"}),
    ),
    "compressed": (
        "message_malformed",
        "names a compression",
        lambda door: framed([{}], headers={"task": "lml.submit", "id": "1", "compression": "application/x-gzip"}),
    ),
    "two elements": ("message_malformed", "met 2 elements", lambda door: frame(encoded(b"[[], {}]"))),
    "a million elements": (
        "message_too_large",
        "this one has 2,",
        lambda door: frame("[" + "0," * 1_000_000 + "0]", properties={}),
    ),
    "a hundred thousand elements": (
        "message_malformed",
        "met 100,001 elements",
        lambda door: frame("[" + "0," * 100_000 + "0]", properties={}),
    ),
    "too large": ("message_too_large", f"at most {MOST_BYTES:,} bytes", lambda door: "x" * (5 * MOST_BYTES)),
    "no argument": ("message_malformed", "met 0 of them", lambda door: framed([])),
    "two arguments": ("message_malformed", "met 2 of them", lambda door: framed([{}, {}])),
    "keyword arguments": ("message_malformed", "no keyword arguments", lambda door: framed([{}], {"spec": {}})),
    "an argument of text": ("message_malformed", "met a text", lambda door: framed(["train"])),
    "an unknown version": ("unknown_version", "met '2'", lambda door: framed([door.signed(PROBE, version=2)])),
    "no version": ("unknown_version", "met 'None'", lambda door: framed([{"service": SERVICE}])),
    "a missing key": ("bad_value", "`message.body`: Field required", lambda door: framed([without(door, "body")])),
    "an unknown key": (
        "unknown_key",
        "`message.colour`: there is no such key",
        lambda door: framed([door.signed(PROBE, colour="red")]),
    ),
    "a body that is an object": (
        "bad_value",
        "`message.body`: Input should be a valid string",
        lambda door: framed([door.signed(PROBE) | {"body": PROBE}]),
    ),
    "half a letter": ("bad_value", "`message.body`", lambda door: framed([door.signed(PROBE) | {"body": "\ud800"}])),
    "a service without form": (
        "bad_value",
        "`message.service`",
        lambda door: framed([door.signed(PROBE, service="../../etc")]),
    ),
    "an unknown service": (
        "unknown_service",
        "there is no `nobody`",
        lambda door: framed([door.signed(PROBE, service="nobody")]),
    ),
    "a bad signature": (
        "bad_signature",
        "secret of `billing`",
        lambda door: framed([door.signed(PROBE, signature="v1,AAAA")]),
    ),
    "another body": (
        "bad_signature",
        "secret of `billing`",
        lambda door: framed([door.signed(PROBE) | {"body": '{"spec": {"kind": "probe", "seconds": 9}}'}]),
    ),
    "another time": (
        "bad_signature",
        "secret of `billing`",
        lambda door: framed([door.signed(PROBE) | {"timestamp": int(time.time()) + 1}]),
    ),
    "an old message": (
        "message_stale",
        "at most 300 s before it is queued",
        lambda door: framed([door.signed(PROBE, timestamp=int(time.time()) - 320)]),
    ),
    "a message of tomorrow": (
        "message_stale",
        "at most 300 s before it is queued",
        lambda door: framed([door.signed(PROBE, timestamp=int(time.time()) + 86_400)]),
    ),
    "a body that is no JSON": ("bad_value", "Invalid JSON", lambda door: framed([door.signed("train churn.csv")])),
    "a NUL": (
        "bad_value",
        "holds no NUL character",
        lambda door: framed([door.signed({"spec": {"kind": "probe"}, "tags": ["a\0b"]})]),
    ),
    "wrong types": (
        "bad_value",
        "`spec.train.epochs`: Input should be a valid integer",
        lambda door: framed([door.signed({"spec": {"kind": "train", "dataset": "a.csv", "epochs": "many"}})]),
    ),
    "an unknown kind": ("bad_value", "`spec`", lambda door: framed([door.signed({"spec": {"kind": "shell"}})])),
    "neither spec nor runs": (
        "bad_value",
        "exactly one of `spec` and `runs`",
        lambda door: framed([door.signed({"tags": ["a"]})]),
    ),
    "words that fight": (
        "words_conflict",
        "`spec`: ",
        lambda door: framed(
            [door.signed({"spec": {"kind": "train", "dataset": "a.csv", "optimizer": "gd", "batch": 8}})]
        ),
    ),
    "a dataset that is not there": (
        "dataset_missing",
        "There is no dataset `nothing.csv`",
        lambda door: framed([door.signed({"spec": {"kind": "train", "dataset": "nothing.csv"}})]),
    ),
    "a dataset outside": (
        "dataset_outside",
        "`../../etc/passwd` is outside",
        lambda door: framed([door.signed({"spec": {"kind": "train", "dataset": "../../etc/passwd"}})]),
    ),
    "a run that is not there": (
        "unknown_run",
        "There is no run 2000000000",
        lambda door: framed([door.signed({"spec": {"kind": "evaluate", "run": 2_000_000_000, "dataset": "a.csv"}})]),
    ),
    "a deadline that has passed": (
        "deadline_passed",
        "A deadline lies in the future",
        lambda door: framed([door.signed({**PROBE, "deadline": "2020-01-01T00:00:00Z"})]),
    ),
    "a deadline without a zone": (
        "bad_value",
        "timezone",
        lambda door: framed([door.signed({**PROBE, "deadline": "2020-01-01T00:00:00"})]),
    ),
    "a webhook to a file": (
        "bad_value",
        "`webhook`",
        lambda door: framed([door.signed({**PROBE, "webhook": "file:///etc/passwd"})]),
    ),
}


def encoded(plain: bytes) -> str:
    """In base64."""
    return base64.b64encode(plain).decode()


def without(door: IntakeDoor, name: str) -> dict[str, Any]:
    """A signed message that lacks a key."""
    return {key: value for key, value in door.signed(PROBE).items() if key != name}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_message_is_kept_aside_with_its_reason_and_stops_nothing(running: IntakeDoor, name: str) -> None:
    """Whatever is pushed ends in `lml.rejected` with a code, a sentence and its beginning; the next one is taken."""
    code, sentence, make = BAD[name]
    raw = make(running)
    known, before = len(running.rejected()), len(running.runs())
    running.push(raw)
    assert running.asked(PROBE)["state"] == "taken"
    refused = running.rejected()
    assert len(refused) == known + 1
    plain = raw.encode() if isinstance(raw, str) else raw
    assert refused[0]["code"] == code
    assert sentence in refused[0]["message"]
    assert refused[0]["hint"]
    assert refused[0]["size_bytes"] == len(plain)
    assert refused[0]["raw"] == plain[:2048].decode("utf-8", "replace")
    assert len(running.runs()) == before + 1
    assert running.intakes[-1].exit_code() is None


def test_a_message_that_comes_twice_is_one_run(running: IntakeDoor) -> None:
    """The same bytes a second time are refused, and the first answer stays."""
    argument = running.signed(PROBE)
    raw = framed([argument])
    running.push(raw)
    first = running.answer(argument["id"])
    before = len(running.runs())
    running.push(raw, framed([argument]))  # the frame is Celery's own; what is signed counts
    until(lambda: [one["code"] for one in running.rejected()[:2]] == ["message_replayed"] * 2, what="both are refused")
    assert running.answer(argument["id"]) == first
    assert len(running.runs()) == before


def test_one_key_is_one_run_however_often_it_is_asked(running: IntakeDoor) -> None:
    """Messages with the same key and the same request get the same run; another request with it is refused."""
    first = running.asked({**PROBE, "key": "nightly-7"})
    assert running.asked({**PROBE, "key": "nightly-7"})["runs"] == first["runs"]
    other = running.asked({"spec": {"kind": "probe", "seconds": 1}, "key": "nightly-7"})
    assert (other["state"], codes(other["problems"])) == ("refused", ["key_reused"])
    assert running.asked({**PROBE, "key": "nightly-8"})["runs"] != first["runs"]


def test_a_batch_is_written_whole_or_not_at_all(running: IntakeDoor) -> None:
    """Every problem of every run is named with its place, and nothing is written; the mended batch is one of runs."""
    before = len(running.runs())
    bad = running.asked(
        {
            "runs": [
                {"kind": "probe"},
                {"kind": "train", "dataset": "nothing.csv"},
                {"kind": "evaluate", "run": 999_999, "dataset": "sha256:" + "0" * 64},
            ],
            "batch": "nightly",
        }
    )
    assert codes(bad["problems"]) == ["dataset_missing", "unknown_run"]
    assert [problem["message"].split(":")[0] for problem in bad["problems"]] == ["`runs.1`", "`runs.2`"]
    assert len(running.runs()) == before
    good = running.asked(
        {"runs": [{"kind": "probe"}, {"kind": "probe"}], "batch": "nightly", "priority": "low", "tags": ["a"]}
    )
    written = {run.id: run for run in running.runs()}
    assert len(good["runs"]) == 2
    for number in good["runs"]:
        run = written[number]
        assert (run.batch, run.priority.word, run.tags) == ("nightly", "low", ("a",))
    many = running.asked({"runs": [{"kind": "probe"}] * 101})
    assert "at most 100 items" in many["problems"][0]["message"]


def test_quotas_hold_at_this_door(fragile: IntakeDoor) -> None:
    """A service that may have two runs waiting is refused a third, and a batch of which one has no place."""
    fragile.save_service(Quota(max_waiting=2))
    fragile.start()
    assert fragile.asked(PROBE)["state"] == "taken"
    refused = fragile.asked({"runs": [{"kind": "probe"}, {"kind": "probe"}]})
    assert codes(refused["problems"]) == ["quota_waiting"]
    assert "At most 2 runs" in refused["problems"][0]["message"]
    assert fragile.asked(PROBE)["state"] == "taken"
    assert codes(fragile.asked(PROBE)["problems"]) == ["quota_waiting"]


def test_a_message_that_had_to_wait_is_not_old(fragile: IntakeDoor) -> None:
    """What was queued while no intake ran is taken however long it waited; what was old when it came is not."""
    now = int(time.time())
    fragile.redis.set(EMPTY_KEY, now - 3600)  # nobody has read the list for an hour
    waited = fragile.ask(PROBE, timestamp=now - 1800)
    old = fragile.signed(PROBE, timestamp=now - 3600 - 301)
    fragile.push(framed([old]))
    fragile.start()
    assert fragile.answer(waited)["state"] == "taken"
    until(fragile.rejected, what="the old one is refused")
    assert [one["code"] for one in fragile.rejected()] == ["message_stale"]


def test_an_intake_that_is_killed_with_a_message_in_hand_loses_nothing(fragile: IntakeDoor) -> None:
    """Killed between reading and committing, its message is taken by the next intake: once, before later ones."""
    fragile.start()
    fragile.asked(PROBE)
    with fragile.log.write():  # nobody else can commit now
        first = fragile.ask(PROBE)
        until(lambda: fragile.redis.llen(HAND_LIST) == 1, what="it is in hand")
        second = fragile.ask({"spec": {"kind": "probe", "seconds": 0.5}})
        fragile.kill()
    assert len(fragile.runs()) == 1
    fragile.start()
    numbers = [fragile.answer(message)["runs"][0] for message in (first, second)]
    assert numbers == [2, 3]
    assert len(fragile.runs()) == 3
    assert (fragile.rejected(), fragile.redis.llen(HAND_LIST)) == ([], 0)


def test_a_redis_that_dies_after_the_commit_doubles_nothing(own: OwnRedis, fragile: IntakeDoor) -> None:
    """The message is still in hand when Redis is back, and finds its run in the log."""
    intake = fragile.start()
    fragile.asked(PROBE)
    with fragile.log.write():
        message = fragile.ask(PROBE)
        until(lambda: fragile.redis.llen(HAND_LIST) == 1, what="it is in hand")
        own.stop()
    until(lambda: len(fragile.runs()) == 2, what="it is committed")
    own.start()
    assert fragile.answer(message)["runs"] == [2]
    assert fragile.asked(PROBE)["runs"] == [3]
    assert (len(fragile.runs()), fragile.rejected(), intake.exit_code()) == (3, [], None)


def test_a_frozen_redis_only_delays(own: OwnRedis, fragile: IntakeDoor) -> None:
    """An intake whose Redis stops answering, and answers again, has lost and doubled nothing."""
    fragile.start()
    fragile.asked(PROBE)
    assert own.process is not None
    checked = exists_calls(fragile)
    with fragile.log.write():
        message = fragile.ask(PROBE)
        until(lambda: exists_calls(fragile) > checked, what="it is in hand, and waits for the log alone")
        own.process.send_signal(19)  # SIGSTOP
    until(lambda: len(fragile.runs()) == 2, what="it is committed")
    time.sleep(6)  # longer than the intake waits for an answer
    own.process.send_signal(18)  # SIGCONT
    assert fragile.answer(message)["runs"] == [2]
    assert fragile.asked(PROBE)["runs"] == [3]
    assert len(fragile.runs()) == 3


def exists_calls(door: IntakeDoor) -> int:
    """How often Redis was asked whether a message was answered before, the last question ahead of the log."""
    stats: Any = door.redis.info("commandstats")
    return int(stats.get("cmdstat_exists", {}).get("calls", 0))


def test_a_log_that_is_away_only_delays(own: OwnRedis, postgres_url: str, tmp_path: Path) -> None:
    """While the database answers nobody, messages wait; then each is one run, on Postgres as on SQLite."""
    door = door_at(own.url, tmp_path / "home", postgres_url)
    try:
        intake = door.start()
        door.asked(PROBE)
        url = Settings(database_url=postgres_url).log_url
        name = door.log.url.database
        admin = create_engine(url.replace(f"/{name}?", "/postgres?"), isolation_level="AUTOCOMMIT")
        rename(admin, str(name), f"{name}_away")
        messages = [door.ask(PROBE) for _ in range(3)]
        time.sleep(2.5)
        rename(admin, f"{name}_away", str(name))
        admin.dispose()
        assert [door.answer(message)["runs"] for message in messages] == [[2], [3], [4]]
        assert (len(door.runs()), door.rejected(), intake.exit_code()) == (4, [], None)
    finally:
        door.stop()


def rename(admin: Any, name: str, new: str) -> None:
    """Take a database away under its name."""
    with admin.connect() as connection:
        connection.execute(text(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false"))
        connection.execute(
            text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"), {"name": name}
        )
        connection.execute(text(f"ALTER DATABASE {name} RENAME TO {new}"))
        connection.execute(text(f"ALTER DATABASE {new} ALLOW_CONNECTIONS true"))


def test_of_several_intakes_one_works_and_another_takes_over(fragile: IntakeDoor) -> None:
    """Two intakes at one list answer each message once; when the one that works ends, the other goes on."""
    first = fragile.start()
    fragile.asked(PROBE)
    second = fragile.start("two")
    answers = [fragile.asked(PROBE)["runs"] for _ in range(3)]
    assert answers == [[2], [3], [4]]
    first.stop(grace_s=10)
    assert fragile.asked(PROBE)["runs"] == [5]
    assert second.exit_code() is None


def test_a_worker_brings_the_intake_and_the_run_succeeds(make_place: Callable[..., Place]) -> None:
    """With a service in the log `python -m workers` starts the intake; a queued table becomes a model, also by hash."""
    place = make_place()
    folder = place.settings.datasets_folder
    folder.mkdir(parents=True)
    rows = "".join(f"{n % 7},{(n * 13) % 11},{'yes' if n % 7 > 3 else 'no'}\n" for n in range(120))
    (folder / "table.csv").write_text(f"a,b,label\n{rows}")
    door = IntakeDoor(place.settings, open_log(place.settings.log_url))
    place.start_worker()
    [number] = door.asked({"spec": {"kind": "train", "dataset": "table.csv", "model": "linear"}})["runs"]
    done = until(lambda: ended(door, number), what="the run ends", within_s=90)
    assert done.state is RunState.SUCCEEDED, done.problem
    by_hash = f"sha256:{done.dataset_sha256}"
    [second] = door.asked({"spec": {"kind": "evaluate", "run": number, "dataset": by_hash}})["runs"]
    evaluated = until(lambda: ended(door, second), what="the second run ends", within_s=90)
    assert evaluated.dataset_sha256 == done.dataset_sha256
    assert evaluated.problem is None or evaluated.problem.code == "nothing_to_score"


def ended(door: IntakeDoor, number: int) -> Any:
    """The run, once it has ended."""
    run = next(run for run in door.runs() if run.id == number)
    return run if run.state.ended else None
