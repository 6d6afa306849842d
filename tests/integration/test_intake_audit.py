"""What other services queue stands in the audit, before its runs are written."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.intake_door import PROBE, IntakeDoor
from support.own_redis import OwnRedis

from shared.access import Principal, Source
from shared.log import audit
from shared.log.audit import AuditQuery
from shared.log.engine import open_log
from shared.settings import Settings


@pytest.fixture
def door(tmp_path: Path) -> Iterator[IntakeDoor]:
    """A door with a real intake behind it."""
    (tmp_path / "redis").mkdir()
    redis = OwnRedis(tmp_path / "redis", "requirepass owner")
    redis.start()
    settings = Settings(home=tmp_path / "home", redis_url=redis.url)
    settings.datasets_folder.mkdir(parents=True)
    made = IntakeDoor(settings, open_log(settings.log_url))
    made.start()
    yield made
    made.stop()
    redis.stop()


def test_every_run_of_a_message_is_noted(door: IntakeDoor) -> None:
    """A signed message leaves a row for each of its runs, with its id; one that nobody has signed leaves none."""
    both = door.ask({"runs": [PROBE["spec"], PROBE["spec"]]})
    assert len(door.answer(both)["runs"]) == 2
    forged = door.ask(PROBE, signature="v1,AAAA")
    last = door.asked(PROBE)
    with door.log.read() as connection:
        rows = audit.find(connection, Principal("T1", "ada", Source.SHELL), AuditQuery())
    assert [(row.by, row.team_id, row.entry, row.verb, row.decision) for row in rows] == [
        ("service:billing", "T1", "queue", "probe", "allowed")
    ] * 3
    assert [row.trigger_id for row in rows] == [last["id"], both, both]
    assert forged not in {row.trigger_id for row in rows}
