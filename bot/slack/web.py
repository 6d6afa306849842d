"""Clients of Slack's Web API, and what its failures mean."""

from http.client import HTTPException
from urllib.parse import urlsplit
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    UnknownHandler,
)

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError

from shared.settings import Settings

SLACK_API_URL = "https://slack.com/api/"

LOST = (OSError, HTTPException, SlackClientError)
"""Raised where no answer came: Slack may have done what was asked. `SlackApiError` is one too: catch it before."""

_UNSURE = frozenset({"fatal_error", "internal_error", "service_unavailable", "request_timeout", "team_added_to_org"})


def web_client(settings: Settings, *, token: str | None = None, timeout_s: int = 10) -> WebClient:
    """A client for the bot's token, or another one. It never tries again by itself.

    slack_sdk's own retry after a lost answer posts a message twice: who calls knows what may be repeated.
    """
    bot_token = settings.slack_bot_token
    return WebClient(
        token=token or (bot_token.get_secret_value() if bot_token is not None else None),
        base_url=api_url(settings),
        timeout=timeout_s,
        retry_handlers=[],
    )


def api_url(settings: Settings) -> str:
    """The address of the Web API, with the slash that slack_sdk needs at its end."""
    return (settings.slack_api_url or SLACK_API_URL).rstrip("/") + "/"


def file_hosts(settings: Settings) -> frozenset[tuple[str, str]]:
    """The only (scheme, host) pairs that are shown the token when a file is downloaded."""
    if settings.slack_api_url is None:
        return frozenset({("https", "files.slack.com")})
    parts = urlsplit(settings.slack_api_url)
    return frozenset({(parts.scheme, parts.netloc)})


def straight_opener(proxy: str | None = None) -> OpenerDirector:
    """Opens addresses of HTTP and HTTPS alone; a redirect is an `HTTPError`, as every status is that is none of 2xx.

    Following one would carry the token, or the bytes, to whatever host it names.
    """
    opener = OpenerDirector()
    proxies = ProxyHandler({"http": proxy, "https": proxy} if proxy else None)
    handlers = (HTTPHandler, HTTPSHandler, UnknownHandler, HTTPDefaultErrorHandler, HTTPErrorProcessor)
    for handler in (proxies, *(kind() for kind in handlers)):
        opener.add_handler(handler)
    return opener


def reason_of(error: BaseException) -> str:
    """Why a call failed, in one line: Slack's word, or what kept its answer away."""
    if isinstance(error, SlackApiError):
        return code_of(error)
    words = str(getattr(error, "reason", "") or error).splitlines()
    return words[0] if words else type(error).__name__


def code_of(error: SlackApiError) -> str:
    """Slack's word for what is wrong; `http_503` and the like where it had none."""
    status = _status(error)
    if status == 429:
        return "ratelimited"
    try:
        code = str(error.response["error"])
    except (KeyError, TypeError, ValueError):
        return f"http_{status}"
    if " " in code:  # slack_sdk's own sentence about a body that is no JSON
        return f"http_{status}"
    return "ratelimited" if code == "rate_limited" else code


def outcome_unknown(error: SlackApiError) -> bool:
    """Whether Slack may have done what was asked although it answered with an error."""
    return _status(error) >= 500 or code_of(error) in _UNSURE or code_of(error) == "http_200"


def retry_after_s(error: SlackApiError) -> float:
    """How long Slack wants to be left alone."""
    headers = {str(name).lower(): value for name, value in dict(error.response.headers).items()}
    try:
        return min(max(float(headers.get("retry-after", 1)), 1.0), 600.0)
    except (TypeError, ValueError):
        return 1.0


def _status(error: SlackApiError) -> int:
    return int(getattr(error.response, "status_code", 0) or 0)
