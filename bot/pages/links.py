"""Signed addresses of run pages, and the cookie that goes on from one: who opens a page, and until when. Pure.

A link holds whose eyes it lends, as a channel has them: `v` is the team, the channel and, for what is private, the
person; `e` the second at which it ends; `s` the signature over both and the path. The cookie holds the same for all
paths, so that the links between pages lead somewhere.
"""

import base64
import binascii
import hmac
import json
import math
import time
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from shared.access import Principal, Source, Visibility
from shared.log.runs import Run
from shared.secrets import secret_of
from shared.settings import Settings

COOKIE = "lml_pages"
_HOUR_S = 3600
_MOST_CHARACTERS = 2_000


@dataclass(frozen=True)
class Grant:
    """Whose eyes, and until which second."""

    principal: Principal
    until_s: int


def serves_pages(settings: Settings) -> bool:
    """Whether there is a way into the pages."""
    return settings.pages_url is not None or settings.pages_user_header is not None


def page_link(settings: Settings, principal: Principal, path: str, *, now_s: float | None = None) -> str | None:
    """The address outside of a page such as `/runs/42`, signed for whoever sees what `principal` sees.

    None where `LML_PAGES_URL` names no outside address.
    """
    if settings.pages_url is None:
        return None
    return settings.pages_url.rstrip("/") + signed_path(settings, principal, path, now_s=now_s)


def signed_path(settings: Settings, principal: Principal, path: str, *, now_s: float | None = None) -> str:
    """The path and query of a signed address. It ends with a full hour, so that a card that is told again stays."""
    now_s = time.time() if now_s is None else now_s
    until_s = math.ceil((now_s + settings.pages_link_days * 24 * _HOUR_S) / _HOUR_S) * _HOUR_S
    scope = _scope_text(principal)
    query = {"v": scope, "e": str(until_s), "s": _signature(settings, path, scope, str(until_s))}
    return f"{quote(path)}?{urlencode(query)}"


def run_link(settings: Settings, run: Run, *, channel_id: str | None) -> str:
    """The link of a run's card in a channel, or ''. Only what is private lends the eyes of whoever asked."""
    user = run.requested_by if run.visibility is Visibility.PRIVATE else ""
    principal = Principal(run.team_id, user, Source.SLACK, channel_id)
    return page_link(settings, principal, f"/runs/{run.id}") or ""


def grant_of_link(settings: Settings, path: str, query: dict[str, str], *, now_s: float | None = None) -> Grant | None:
    """What an address grants; None for one that was not signed here, for another path, or that has ended."""
    return _grant(settings, path, query.get("v", ""), query.get("e", ""), query.get("s", ""), now_s)


def cookie_text(settings: Settings, grant: Grant) -> str:
    """The cookie's value."""
    scope, until = _scope_text(grant.principal), str(grant.until_s)
    return f"{scope}.{until}.{_signature(settings, COOKIE, scope, until)}"


def grant_of_cookie(settings: Settings, cookie: str, *, now_s: float | None = None) -> Grant | None:
    """What a cookie grants; None for one that was not made here or has ended."""
    scope, _, rest = cookie.partition(".")
    until, _, signature = rest.partition(".")
    return _grant(settings, COOKIE, scope, until, signature, now_s)


def _grant(settings: Settings, what: str, scope: str, until: str, signature: str, now_s: float | None) -> Grant | None:
    if not (until.isascii() and until.isdecimal() and 0 < len(scope) + len(until) + len(signature) < _MOST_CHARACTERS):
        return None
    if not hmac.compare_digest(_signature(settings, what, scope, until).encode(), signature.encode()):
        return None
    if int(until) <= (time.time() if now_s is None else now_s):
        return None
    principal = _principal(scope)
    return None if principal is None else Grant(principal, int(until))


def _signature(settings: Settings, what: str, scope: str, until: str) -> str:
    signed = "\n".join((what, scope, until)).encode()
    return _base64(hmac.digest(secret_of(settings, "pages"), signed, "sha256"))


def _scope_text(principal: Principal) -> str:
    scope = [principal.team_id, principal.channel_id, principal.user_id]
    return _base64(json.dumps(scope, separators=(",", ":")).encode())


def _principal(scope: str) -> Principal | None:
    try:
        team, channel, user = json.loads(base64.urlsafe_b64decode(scope + "=" * (-len(scope) % 4)))
    except (binascii.Error, ValueError, TypeError):  # signed by an older version
        return None
    return Principal(str(team), str(user), Source.SLACK, None if channel is None else str(channel))


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
