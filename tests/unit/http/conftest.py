"""A door with its server, in this process: a log in a temporary folder, a service, and a client with its token."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.empty_logs import empty_log
from support.http_client import Client
from support.log_acts import OUTCOME

from bot.http.app import web_app
from bot.http.door import Door
from bot.http.metrics import Metrics
from bot.http.server import Server, listen
from shared.blobs import BlobStore
from shared.log import attempts
from shared.log.attempts import Outcome
from shared.log.engine import Log
from shared.log.quotas import Quota
from shared.log.runs import Artifact
from shared.log.services import SCOPES, make_token, save_service
from shared.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = Settings(home=tmp_path, http_port=0, team_id="T1", redis_url="redis://127.0.0.1:1/0")  # type: ignore[arg-type]
    made.datasets_folder.mkdir()
    (made.datasets_folder / "churn.csv").write_bytes(b"a,b\n1,2\n")
    return made


@pytest.fixture
def log(settings: Settings) -> Log:
    return empty_log(settings.log_url)


@pytest.fixture
def store(settings: Settings) -> BlobStore:
    return BlobStore(settings.store_folder)


MakeClient = Callable[..., Client]


@pytest.fixture
def written() -> list[bool]:
    """One entry for each time that the preparer was woken."""
    return []


@pytest.fixture
def address(settings: Settings, log: Log, store: BlobStore, written: list[bool]) -> Iterator[str]:
    door = Door(settings, log, store, written=lambda: written.append(True))
    server = Server(web_app(Metrics(log, redis_url=settings.require_redis_url()), door=door), listen(settings))
    server.start()
    yield server.address
    server.stop()
    door.close()


@pytest.fixture
def make_client(log: Log, address: str) -> MakeClient:
    """Services with a token each."""

    def make(
        name: str = "billing",
        *,
        team: str = "T1",
        scopes: tuple[str, ...] = SCOPES,
        webhook: str | None = None,
        **quota: int,
    ) -> Client:
        with log.write() as connection:
            save_service(connection, name, team_id=team, quota=Quota(**quota), webhook_url=webhook)
            return Client(address, make_token(connection, name, scopes=scopes, by="ada"))

    return make


@pytest.fixture
def client(make_client: MakeClient) -> Client:
    return make_client()


@pytest.fixture
def succeed(log: Log, store: BlobStore) -> Callable[[], None]:
    """Ends the run that waits first, well, with a report and a model as its files."""

    def succeed() -> None:
        files = {"report.json": json.dumps({"rows": 7}).encode(), "model.onnx": b"\x08\x09" * 100_000}
        made = [
            Artifact(name=name, sha256=blob.sha256, size_bytes=blob.size_bytes)
            for name, blob in ((name, store.put_chunks([data])) for name, data in files.items())
        ]
        with log.write() as connection:
            taken = attempts.claim(connection, worker="w", lease_s=60)
            assert taken is not None
            outcome = Outcome(result=OUTCOME.result, metrics=OUTCOME.metrics, artifacts=made)
            attempts.succeed(connection, taken[0], outcome)

    return succeed
