"""The pages with their server in this process, a log in a temporary folder, and a reader."""

import http.client
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from support.empty_logs import empty_log
from support.pages_runs import ADA
from support.pages_site import pages_site

from bot.pages.links import COOKIE, Grant, cookie_text
from shared.access import Principal
from shared.blobs import BlobStore
from shared.log.engine import Log
from shared.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path, http_port=0, team_id="T1", pages_url="https://ml.example.com")


@pytest.fixture
def log(settings: Settings) -> Log:
    return empty_log(settings.log_url)


@pytest.fixture
def store(settings: Settings) -> BlobStore:
    return BlobStore(settings.store_folder)


@dataclass
class Reply:
    """What came back, with no redirect followed."""

    status: int
    headers: dict[str, str]
    text: str


Get = Callable[..., Reply]


@pytest.fixture
def address(settings: Settings, log: Log, store: BlobStore) -> Iterator[str]:
    with pages_site(settings, log, store) as address:
        yield address


@pytest.fixture
def get(address: str) -> Get:
    """Asks for a page as anybody may: without a link, a cookie or a proxy."""

    def get(path: str, *, method: str = "GET", **headers: str) -> Reply:
        connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=20)
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        text = answer.read().decode(errors="replace")
        connection.close()
        return Reply(answer.status, {name.lower(): value for name, value in answer.getheaders()}, text)

    return get


@pytest.fixture
def see(get: Get, settings: Settings) -> Get:
    """Asks for a page with the cookie of a principal, Ada unless another is named."""

    def see(path: str, *, principal: Principal = ADA, **headers: str) -> Reply:
        cookie = cookie_text(settings, Grant(principal, 2**40))
        return get(path, Cookie=f"{COOKIE}={cookie}", **headers)

    return see
