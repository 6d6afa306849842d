"""Where a webhook may go: https addresses of the public internet, judged by what their names resolve to.

The check is made again at each connection, and the connection goes to the address that was checked: a name that
resolves to something else a moment later (DNS rebinding) gains nothing.
"""

from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from shared.errors import refused
from shared.outgoing import is_public, resolved

MOST_LETTERS = 2000


def require_webhook_url(url: str, *, private: bool) -> SplitResult:
    """The parts of an address that a webhook may have; raises `RefusedWords` with what is wrong with it.

    `private` allows http and private addresses (`LML_WEBHOOK_PRIVATE`). Names are not resolved here.
    """
    reason = _reason(url, private=private)
    if reason is not None:
        raise refused(
            "webhook_refused",
            f"A webhook goes to an https address of the public internet; met `{url[:200]}`: {reason}.",
            "Name one such as https://hooks.example.com/lml; LML_WEBHOOK_PRIVATE=yes allows closed networks.",
        )
    return urlsplit(url)


def addresses_of(host: str, port: int, *, private: bool) -> list[str]:
    """The addresses of a host to which a webhook may go; raises `RefusedWords` when one of them is not public."""
    addresses = resolved(host, port)
    inside = [address for address in addresses if not is_public(address)]
    if inside and not private:
        raise refused(
            "webhook_refused",
            f"A webhook goes to the public internet; {host} is {inside[0]}.",
            "LML_WEBHOOK_PRIVATE=yes allows closed networks.",
        )
    return addresses


def _reason(url: str, *, private: bool) -> str | None:
    if len(url) > MOST_LETTERS or not url.isascii() or not url.isprintable() or " " in url:
        return f"it is longer than {MOST_LETTERS} letters, or not plain ASCII"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        return str(error)
    if parts.scheme != "https" and not (private and parts.scheme == "http"):
        return f"its scheme is `{parts.scheme}`"
    if not host or port == 0 or parts.username is not None or parts.password is not None:
        return "it names no host, or port 0, or a user"
    if not private and _is_literal(host) and not is_public(host):
        return "that address is not public"
    return None


def _is_literal(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
