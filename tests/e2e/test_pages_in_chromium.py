"""The run pages of a real bot, as a person meets them in a browser, on a phone and on a desk."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.browser import CHROMIUM, opened
from support.http_client import Client, bot_process
from support.pages_runs import ADA, HOSTILE, compare, evaluate, regression, train

from bot.pages.links import signed_path
from shared.blobs import BlobStore
from shared.log.engine import open_log
from shared.settings import Settings

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed (apt-get install chromium)")

PHONE, DESK = 360, 1280
SAID = "The run pages are served at "


@dataclass(frozen=True)
class Site:
    """A bot that serves pages of some runs, and the link that leads in."""

    address: str
    link: str
    paths: dict[str, str]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, redis_url: str) -> Iterator[Site]:
    home = tmp_path_factory.mktemp("pages")
    settings = Settings(home=home, redis_url=redis_url, team_id="T1", pages_url="http://127.0.0.1")  # type: ignore[arg-type]
    log, store = open_log(settings.log_url), BlobStore(settings.store_folder)
    long_classes = (HOSTILE, "a_class_with_a_very_long_name_in_one_word_0123456789", "c")
    first, second = train(log, store), train(log, store)
    hostile = train(log, store, classes=long_classes, name=f"{'long_' * 20}{HOSTILE}.csv", title="x" * 80)
    numbers, evaluation = regression(log, store), evaluate(log, store, first)
    made = compare(log, store, [first, second])
    paths = {
        "log": "/runs",
        "search": "/runs?q=kind:train",
        "wrong search": "/runs?q=kin:train",
        "classes": f"/runs/{first}",
        "hostile": f"/runs/{hostile}",
        "numbers": f"/runs/{numbers}",
        "evaluation": f"/runs/{evaluation}",
        "comparison": f"/runs/{made}",
        "compared": f"/compare/{first}...{second}",
        "beside": f"/compare/{first}...{hostile}...{numbers}",
        "dataset": "/datasets/churn.csv",
    }
    with bot_process(settings, LML_PAGES_URL="http://127.0.0.1", LML_TEAM_ID="T1") as process:
        assert process.stdout is not None
        said = next(line for line in process.stdout if SAID in line)
        address = said.removeprefix(SAID).strip().removesuffix("/runs.")
        yield Site(address, address + signed_path(settings, ADA, "/runs"), paths)


def seen(site: Site, width: int, **more: Any) -> dict[str, dict[str, Any]]:
    """Every page at a width, after the link has led in."""
    pages = [{"url": site.link, "width": width}]
    pages += [{"url": site.address + path, "width": width, **more} for path in site.paths.values()]
    return dict(zip(("link", *site.paths), opened(pages), strict=True))


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_pages_fit_and_make_no_errors(site: Site, width: int) -> None:
    """No console error, nothing from another host, no scrolling sideways, nothing that stands out, no image unnamed."""
    for name, met in seen(site, width).items():
        errors = [error for error in met["errors"] if not (name == "wrong search" and "400" in error)]
        assert errors == [], name
        assert met["outside"] == [], name
        assert met["scrollWidth"] <= width, name
        assert met["beyond"] == [], name
        assert met["unnamed"] == 0, name
        assert met["h1"], name


def test_charts_are_drawn_and_told(site: Site) -> None:
    """Curves, calibration, residuals, slices and comparisons are there, each with a sentence for who cannot see it."""
    met = seen(site, DESK)
    assert [alt.split(" ")[0] for alt in met["classes"]["charts"]] == ["Loss", "Observed"]
    assert met["numbers"]["charts"][1].startswith("Predicted over true values of price")
    assert any("plan" in alt for alt in met["evaluation"]["charts"])
    assert len(met["compared"]["charts"]) == 1
    assert len(met["dataset"]["charts"]) == 1
    assert "cannot be told apart" in met["compared"]["text"]
    assert "no paired test" in met["beside"]["text"]


def test_light_and_dark_follow_the_reader(site: Site) -> None:
    """The colours follow what the reader's system asks for."""
    light = opened([{"url": site.link, "width": DESK}, {"url": site.link, "width": DESK, "dark": True}])
    assert [met["background"] for met in light] == ["rgb(255, 255, 255)", "rgb(20, 23, 28)"]


def test_a_page_is_used_by_keyboard(site: Site) -> None:
    """Tab goes to the content, the log, the search and the runs, and where it is can be seen."""
    focus = seen(site, DESK, tabs=8)["log"]["focus"]
    assert [one["text"] for one in focus[:2]] == ["Skip to the content", "LML runs"]
    assert [one["tag"] for one in focus[2:5]] == ["INPUT", "BUTTON", "SUMMARY"]
    assert focus[5]["tag"] == "A"
    assert all(one["outline"] == "solid 3px" for one in focus)


def test_pages_open_no_door(site: Site) -> None:
    """A bot that serves pages alone answers no other service."""
    assert Client(site.address, None).get("/v1/openapi.json").status == 404


def test_without_the_link_there_is_no_page(site: Site, tmp_path: Path) -> None:
    """A browser that was never led in sees the way to a link, and no run."""
    [met] = opened([{"url": site.address + "/runs/1", "width": PHONE}])
    assert "No way in" in met["text"]
    assert "churn" not in met["text"]
