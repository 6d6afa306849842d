"""`token make|list|revoke|secrets`: which other services may queue runs, and what opens the door for them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from bot import values
from bot.grammar import Key, Verb, Words, nearest_of
from shared.errors import refused

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from bot.desk import Answer, Desk
    from shared.log.services import Service

SCOPES = ("runs:write", "runs:read", "artifacts:read")
ACTS = ("make", "list", "revoke", "secrets")


@dataclass(frozen=True)
class TokenRequest:
    """What to do with tokens; `None` leaves what a service has as it is, `NONE` takes it away."""

    act: str
    service: str | None = None
    number: int | None = None
    scopes: tuple[str, ...] = SCOPES
    changes: tuple[tuple[str, Any], ...] = ()
    """Quotas and the webhook that were given, by name; a value of None takes it away."""


def build(words: Words) -> TokenRequest:
    """The request; words that do not fit its act are refused."""
    act, *rest = words.plain
    if act not in ACTS:
        nearest = nearest_of(act, ACTS)
        hint = f"Did you mean `token {nearest}`?" if nearest else _HOW
        raise refused("bad_value", f"`token` is followed by one of {', '.join(ACTS)}; met `{act}`.", hint)
    named = rest[0] if rest else None
    if (named is None) != (act == "list"):
        takes = {"list": "nothing more", "revoke": "the number of a token"}.get(act, "a service")
        raise refused("missing_word" if named is None else "extra_word", f"`token {act}` takes {takes}.", _HOW)
    if act == "revoke":
        return TokenRequest(act=act, number=_number(named or ""))
    given = dict(words.values)
    if given and act != "make":
        raise refused("unknown_key", f"`token {act}` takes no keys; met {', '.join(given)}.", _HOW)
    scopes = given.pop("scopes", SCOPES)
    return TokenRequest(act=act, service=named, scopes=scopes, changes=tuple(given.items()))


def answer(desk: "Desk", request: TokenRequest) -> "Answer":
    """A token, once; or what there is."""
    acts: dict[str, Callable[[Desk, TokenRequest], Answer]] = {
        "make": _make,
        "list": _list,
        "revoke": _revoke,
        "secrets": _secrets,
    }
    return acts[request.act](desk, request)


def _make(desk: "Desk", request: TokenRequest) -> "Answer":
    from shared.log import services

    name = request.service or ""
    with desk.log.write() as connection:
        known = services.service_of(connection, name)
        _save(connection, desk, name, known, dict(request.changes))
        token = services.make_token(connection, name, scopes=request.scopes, by=desk.principal.user_id)
    return _answer(
        f"Token for {name}",
        notes=(
            token,
            f"It allows {', '.join(request.scopes)}, and is sent as `Authorization: Bearer ...`.",
            "It is shown this once: only its hash is kept.",
            *(() if known else ("Start a bot that runs already again: it opens its door once there is a service.",)),
        ),
        token=token,
        service=name,
        scopes=list(request.scopes),
    )


def _save(connection: "Connection", desk: "Desk", name: str, known: "Service | None", changes: dict[str, Any]) -> None:
    """Write down a service with what was given; the rest stays as it is."""
    from shared.log.quotas import Quota
    from shared.log.services import save_service
    from shared.webhook_url import require_webhook_url

    if known is not None and known.team_id != desk.settings.team_id:
        raise refused(
            "service_elsewhere",
            f"The service `{name}` belongs to the team {known.team_id}, and this is {desk.settings.team_id}.",
            "Choose another name, or set LML_TEAM_ID to that team.",
        )
    webhook = changes.pop("webhook", known.webhook_url if known else None)
    if webhook is not None:
        require_webhook_url(webhook, private=desk.settings.webhook_private)
    quota = replace(known.quota if known else Quota(), **changes)
    save_service(connection, name, team_id=desk.settings.team_id, quota=quota, webhook_url=webhook)


def _list(desk: "Desk", _request: TokenRequest) -> "Answer":
    from shared.log.services import listed_tokens

    with desk.log.read() as connection:
        tokens = listed_tokens(connection)
    header = ("token", "service", "scopes", "made", "used", "revoked")
    rows = tuple(
        (
            str(token["id"]),
            token["service"],
            ", ".join(token["scopes"]),
            f"{_when(token['created_at'])} by {token['created_by']}",
            _when(token["used_at"]),
            _when(token["revoked_at"]),
        )
        for token in tokens
    )
    items = [
        {name: value if name in ("id", "scopes") else _plain(value) for name, value in token.items()}
        for token in tokens
    ]
    notes = () if tokens else ("There are none yet; `token make SERVICE` makes one.",)
    return _answer("Tokens of services", notes=notes, table=(header, rows) if rows else None, items=items)


def _revoke(desk: "Desk", request: TokenRequest) -> "Answer":
    from shared.log.services import revoke_token

    with desk.log.write() as connection:
        revoked = revoke_token(connection, request.number or 0)
    if not revoked:
        raise refused(
            "unknown_token",
            f"There is no token {request.number} that still opens anything.",
            "`token list` lists them.",
        )
    return _answer(f"Token {request.number} is revoked", notes=("It opens nothing any more.",), token=request.number)


def _secrets(desk: "Desk", request: TokenRequest) -> "Answer":
    from shared.log.services import service_of
    from shared.secrets import secret_of, shown

    name = request.service or ""
    with desk.log.read() as connection:
        if service_of(connection, name) is None:
            raise refused(
                "unknown_service", f"There is no service `{name}`.", f"`token make {name}` makes it, with a token."
            )
    secrets = {door: shown(secret_of(desk.settings, f"{door}:{name}")) for door in ("intake", "webhook")}
    return _answer(
        f"Secrets of {name}",
        notes=(
            *(f"{door}: {secret}" for door, secret in secrets.items()),
            "The service signs what it queues with the first, and checks the webhooks that it gets with the second.",
            "Both follow from the key of this installation: they change when LML_SECRET_KEY or secret.key does.",
        ),
        service=name,
        secrets=secrets,
    )


def _answer(
    title: str,
    *,
    notes: Sequence[str] = (),
    table: tuple[tuple[str, ...], tuple[tuple[str, ...], ...]] | None = None,
    **more: Any,
) -> "Answer":
    from bot.answers import envelope
    from bot.cards import Card, Table
    from bot.desk import Answer

    tables = () if table is None else (Table(caption=title, header=table[0], rows=table[1]),)
    card = Card(title=title, tables=tables, notes=tuple(notes))
    return Answer(card=card, envelope=envelope("token", "succeeded", **more))


def _when(moment: Any) -> str:
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M} UTC"


def _plain(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value


def _number(value: str) -> int:
    if not value.isdecimal() or not value.isascii() or not 0 < int(value[:11]) < 2**31:
        raise refused("bad_value", f"A token is named by its number; met `{value}`.", "`token list` lists them.")
    return int(value)


def _scopes(value: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values.one_of(SCOPES)(word.strip()) for word in value.split(",")))


def _or_none(read: Callable[[str], Any]) -> Callable[[str], Any]:
    return lambda value: None if value.lower() == "none" else read(value)


def _url(value: str) -> str:
    if not urlsplit(value).scheme:
        raise ValueError("needs a whole address such as https://hooks.example.com/lml.")
    return value


_HOW = "`help token` shows all of it."
_QUOTA = "Quotas of the service; none takes one away"

VERB = Verb(
    name="token",
    summary="Make, list and revoke tokens of other services, and show their secrets.",
    plain="|".join(ACTS) + " [SERVICE|NUMBER]",
    keys=(
        Key("scopes", "SCOPE,SCOPE", f"what it allows: {', '.join(SCOPES)}; all unless given", _scopes),
        Key("max_running", "N", "how many of its runs run", _or_none(values.whole(least=1, most=100_000)), _QUOTA),
        Key("max_waiting", "N", "how many wait", _or_none(values.whole(least=1, most=1_000_000)), _QUOTA),
        Key("max_gpu_hours", "X", "in 24 hours", _or_none(values.number(above=0, most=100_000)), _QUOTA),
        Key(
            "webhook", "URL", "where it is told of the ends of its runs", _or_none(_url), "Webhook; none takes it away"
        ),
    ),
    examples=(
        "token make billing",
        "token make billing scopes=runs:write,runs:read max_waiting=100 webhook=https://billing.example.com/lml",
        "token list",
        "token revoke 3",
        "token secrets billing",
    ),
    build=build,
    answer=answer,
    shell_only=True,
)
