"""How quick the run pages answer over HTTP when the log holds 10,000 runs.

    .venv/bin/python benchmarks/pages_speed.py --runs 10000

Each page is asked for with a cookie, as a browser does, on a connection of its own; two browsers ask at a time.
"""

import argparse
import random
import statistics
import tempfile
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from log_size import ADA, DATASETS, _fill
from tabulate import tabulate

from bot.http.app import web_app
from bot.http.metrics import Metrics
from bot.http.server import Server, listen
from bot.pages.links import COOKIE, Grant, cookie_text
from bot.pages.site import Pages
from shared.blobs import BlobStore
from shared.log.engine import open_log
from shared.settings import Settings

PAGES = (
    "/runs",
    "/runs?before={run}",
    "/runs?q=ds:table_{dataset:03}.csv+auc%3E0.9",
    "/runs?q=sort:-auc",
    "/runs/{run}",
    "/compare/{run}...{other}",
    "/datasets/table_{dataset:03}.csv",
)
AT_ONCE = 2


def main() -> None:
    """Fill a log, ask, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--points", type=int, default=1_000_000)
    parser.add_argument("--times", type=int, default=200)
    size = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lml-pages-") as folder:
        settings = Settings(home=Path(folder), http_port=0, pages_url="http://127.0.0.1")
        log = open_log(settings.log_url, pooled=True)
        _fill(log, size.runs, size.points)
        pages = Pages(settings, log, BlobStore(settings.store_folder))
        app = web_app(Metrics(log, redis_url="redis://127.0.0.1:1/0"), door=None, more=pages.routes())
        server = Server(app, listen(settings))
        server.start()
        cookie = cookie_text(settings, Grant(ADA, int(time.time()) + 3600))
        table = [_asked(server.address, cookie, form, size.runs, size.times) for form in PAGES]
        server.stop()
        pages.close()
    print(tabulate(table, headers=("page", "answers", "kB", "p50 ms", "p95 ms"), tablefmt="github", floatfmt=".1f"))  # noqa: T201 - a benchmark prints


def _asked(address: str, cookie: str, form: str, runs: int, times: int) -> tuple[str, str, float, float, float]:
    chance = random.Random(1)  # noqa: S311 - which pages are asked for
    paths = []
    for _ in range(times):
        run, other = chance.sample(range(1, runs), 2)
        paths.append(form.format(run=run, other=other, dataset=chance.randrange(DATASETS)))

    def ask(path: str) -> tuple[int, int, float]:
        began = time.perf_counter()
        request = urllib.request.Request(address + path, headers={"Cookie": f"{COOKIE}={cookie}"})  # noqa: S310 - our own
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
                status, size = answer.status, len(answer.read())
        except urllib.error.HTTPError as error:
            status, size = error.code, len(error.read())
        return status, size, 1000 * (time.perf_counter() - began)

    for path in paths[:5]:
        ask(path)
    with ThreadPoolExecutor(AT_ONCE) as browsers:
        met = list(browsers.map(ask, paths))
    took = [ms for _, _, ms in met]
    statuses = ", ".join(f"{status}" for status in sorted({status for status, _, _ in met}))
    mean_kb = statistics.fmean(size for _, size, _ in met) / 1000
    return form, statuses, mean_kb, statistics.median(took), statistics.quantiles(took, n=20)[-1]


if __name__ == "__main__":
    main()
