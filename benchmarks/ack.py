"""How soon slash commands are acknowledged: 20 at once, over HTTP, by a real bot process whose Redis is frozen.

    python benchmarks/ack.py

Beside it, in turn, a bare Bolt app behind the same server that acknowledges at once and does nothing: what it takes is
what Bolt, the server and this machine take. A request is timed from its first byte sent to the last of its answer.
"""

import asyncio
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from slack_sdk.signature import SignatureVerifier

ROUNDS, AT_ONCE = 30, 20
PAUSE_S = 1.5
"""What follows an acknowledgement (datasets, cards) is not what is measured."""
SECRET = "bench"  # noqa: S105 - of this benchmark only
TESTS = Path(__file__).parents[1] / "tests"


def main() -> None:
    """Measure in turn, A B A B, so that a machine whose speed drifts drifts for both."""
    with tempfile.TemporaryDirectory() as name, _parts(Path(name)) as (bot, bare, slack):
        ours: list[float] = []
        theirs: list[float] = []
        said = 0
        for round_ in range(-1, ROUNDS):
            for address, times in ((bot, ours), (bare, theirs)):
                took, with_words = asyncio.run(_round(address, slack, round_))
                if round_ >= 0:  # the first one warms up
                    times.extend(took)
                    said += with_words if times is ours else 0
    _say("LML, Redis frozen", ours, f"; {said / len(ours):.0%} with the answer in the acknowledgement")
    _say("bare Bolt that acknowledges at once", theirs, "")
    sys.stdout.write(f"  ratio at p99: {_at(ours, 0.99) / _at(theirs, 0.99):.2f}\n")


async def _round(address: str, slack: str, round_: int) -> tuple[list[float], int]:
    """Send all at once over connections that stand open; milliseconds of each, and how many came with their answer."""
    parts = urlsplit(address)
    opened = [await asyncio.open_connection(parts.hostname, parts.port) for _ in range(AT_ONCE)]
    requests = [_request(parts.path, parts.netloc, slack, round_, number) for number in range(AT_ONCE)]

    async def one(number: int) -> tuple[float, bool]:
        reader, writer = opened[number]
        begun = time.perf_counter()
        writer.write(requests[number])
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.decode().lower().split("\r\n")
        size = next((int(line.split(":")[1]) for line in lines if line.startswith("content-length")), 0)
        body = await reader.readexactly(size)
        took_ms = (time.perf_counter() - begun) * 1000
        assert b" 200 " in head.split(b"\r\n")[0], head + body  # noqa: S101
        writer.close()
        return took_ms, b"text" in body and b"Reading" not in body

    met = await asyncio.gather(*(one(number) for number in range(AT_ONCE)))
    await asyncio.sleep(PAUSE_S)
    return [took for took, _ in met], sum(words for _, words in met)


def _request(path: str, host: str, slack: str, round_: int, number: int) -> bytes:
    """A signed command: three of four start a run, the others look."""
    words = ("train churn.csv target=churned seed={0}", "train prices.csv seed={0}", "describe a{0}.csv", "status")
    fields = {
        "command": "/lml",
        "text": words[number % 4].format(1000 * (round_ + 1) + number),
        "team_id": "T0TEAM",
        "channel_id": "C0GENERAL",
        "channel_name": "general",
        "user_id": f"U0P{number:03}",
        "trigger_id": f"{round_}.{number}.{time.time_ns()}",
        "response_url": f"{slack}/response/none",
    }
    body, stamp = urlencode(fields), str(int(time.time()))
    signature = SignatureVerifier(SECRET).generate_signature(timestamp=stamp, body=body)
    head = [
        f"POST {path} HTTP/1.1",
        f"Host: {host}",
        "Content-Type: application/x-www-form-urlencoded",
        f"Content-Length: {len(body.encode())}",
        f"X-Slack-Request-Timestamp: {stamp}",
        f"X-Slack-Signature: {signature}",
    ]
    return ("\r\n".join(head) + "\r\n\r\n" + body).encode()


@contextmanager
def _parts(folder: Path) -> Iterator[tuple[str, str, str]]:
    """The addresses of a bot, a bare app and a Slack, each a process of its own; Redis is frozen once the bot runs."""
    from bot.terminal.redis_server import start_redis

    redis, redis_url = start_redis(folder / "redis", folder / "redis.log")
    started: list[subprocess.Popen[str]] = []

    def start(*command: str, **environment: str) -> str:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("LML_")}
        process = subprocess.Popen(
            [sys.executable, *command],
            env={**clean, "PYTHONPATH": str(TESTS), **environment},
            stdout=subprocess.PIPE,
            stderr=(folder / "errors.log").open("a"),
            text=True,
        )
        started.append(process)
        line = process.stdout.readline() if process.stdout else ""
        assert "http" in line, (folder / "errors.log").read_text()  # noqa: S101
        return next(word for word in line.split() if word.startswith("http")).rstrip(".")

    try:
        slack = start(__file__, "slack")
        settings = {
            "LML_HOME": str(folder / "home"),
            "LML_REDIS_URL": redis_url,
            "LML_SLACK_BOT_TOKEN": "xoxb-fake-bot",
            "LML_SLACK_SIGNING_SECRET": SECRET,
            "LML_SLACK_API_URL": f"{slack}/api/",
            "LML_HTTP_PORT": "0",
        }
        bot = start("-m", "bot", **settings)
        bare = start(__file__, "bare", **settings)
        os.kill(redis.process.pid, signal.SIGSTOP)
        yield bot, bare, slack
    finally:
        os.kill(redis.process.pid, signal.SIGCONT)
        for process in started:
            process.kill()
        redis.stop(grace_s=5)


def _slack() -> None:
    """A Slack that knows people and channels, and takes what it is told."""
    from support.fake_slack import FakeSlack

    with FakeSlack() as slack:
        sys.stdout.write(f"{slack.root}\n")
        sys.stdout.flush()
        time.sleep(3600)


def _bare() -> None:
    """Bolt as its page on acknowledging shows it, behind the server that the bot has."""
    from slack_bolt import App
    from slack_sdk import WebClient
    from starlette.applications import Starlette

    from bot.http.server import Server, listen
    from bot.slack.arrivals import Arrivals
    from bot.slack.transport import slack_route
    from shared.settings import load_settings

    settings = load_settings()
    client = WebClient(token="xoxb-fake-bot", base_url=settings.slack_api_url or "")  # noqa: S106
    app = App(client=client, signing_secret=SECRET)
    app.command("/lml")(lambda ack: ack())
    server = Server(Starlette(routes=[slack_route(app, Arrivals())]), listen(settings))
    server.start()
    sys.stdout.write(f"{server.address}/slack/events\n")
    sys.stdout.flush()
    time.sleep(3600)


def _say(name: str, took_ms: list[float], more: str) -> None:
    p50, p99 = statistics.median(took_ms), _at(took_ms, 0.99)
    told = f"p50 {p50:.0f} ms, p99 {p99:.0f} ms, slowest {max(took_ms):.0f} ms of {len(took_ms)}"
    sys.stdout.write(f"{name}: {told}, {AT_ONCE} at once{more}\n")


def _at(took_ms: list[float], share: float) -> float:
    return sorted(took_ms)[min(len(took_ms) - 1, int(share * len(took_ms)))]


if __name__ == "__main__":
    {"slack": _slack, "bare": _bare}.get(" ".join(sys.argv[1:]), main)()
