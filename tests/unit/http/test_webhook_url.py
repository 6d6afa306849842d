"""Where a webhook may go: nowhere inside the network that LML runs in."""

import socket
from typing import Any

import pytest

from shared.errors import RefusedWords
from shared.webhook_url import addresses_of, require_webhook_url

INSIDE = (
    "127.0.0.1",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",
    "224.0.0.1",
    "255.255.255.255",
    "192.0.2.1",
    "::",
    "::1",
    "fe80::1",
    "fd00::1",
    "ff02::1",
    "::ffff:10.0.0.1",
    "::10.0.0.1",
    "64:ff9b::a00:1",
    "2002:a00:1::",
    "2001:0:a00:1::f5ff:fffe",
)
OUTSIDE = ("1.1.1.1", "2606:4700:4700::1111", "64:ff9b::101:101", "::ffff:1.1.1.1")


def literal(address: str) -> str:
    return f"https://[{address}]/x" if ":" in address else f"https://{address}/x"


@pytest.mark.parametrize("address", INSIDE)
def test_addresses_inside_are_refused(address: str) -> None:
    """Loopback, private, link-local, shared, multicast, and IPv6 that carries such an IPv4 address."""
    with pytest.raises(RefusedWords, match="that address is not public"):
        require_webhook_url(literal(address), private=False)


@pytest.mark.parametrize("address", OUTSIDE)
def test_addresses_outside_are_taken(address: str) -> None:
    """Public ones, and IPv6 that carries a public IPv4 address."""
    require_webhook_url(literal(address), private=False)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://hooks.example.com/x", "its scheme is `http`"),
        ("ftp://hooks.example.com/x", "its scheme is `ftp`"),
        ("file:///etc/passwd", "its scheme is `file`"),
        ("hooks.example.com", "its scheme is ``"),
        ("https:///x", "it names no host"),
        ("https://ada:pw@hooks.example.com/", "or a user"),
        ("https://hooks.example.com:0/", "port 0"),
        ("https://hooks.example.com:99999/", "Port out of range"),
        ("https://[::1/", "Invalid IPv6 URL"),
        ("https://hooks.example.com/a b", "not plain ASCII"),
        ("https://hooks.example.com/\r\nX: y", "not plain ASCII"),
        ("https://höoks.example.com/", "not plain ASCII"),
        ("https://hooks.example.com/" + "x" * 2000, "longer than 2000"),
    ],
)
def test_other_addresses_are_refused(url: str, reason: str) -> None:
    """What is no https address of a host is refused with the reason and what to do."""
    with pytest.raises(RefusedWords) as met:
        require_webhook_url(url, private=False)
    assert met.value.code == "webhook_refused"
    assert reason in str(met.value)
    assert "LML_WEBHOOK_PRIVATE=yes" in str(met.value)


def test_closed_networks_are_allowed_on_demand() -> None:
    """With LML_WEBHOOK_PRIVATE, http and private addresses are taken, and still no other scheme."""
    require_webhook_url("http://127.0.0.1:8080/x", private=True)
    with pytest.raises(RefusedWords):
        require_webhook_url("file:///etc/passwd", private=True)


def resolving_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Let every name be these addresses."""

    def getaddrinfo(host: str, port: int, **_more: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def test_names_are_judged_by_their_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A public name that is a private address, even beside a public one, is refused when it is about to be used."""
    resolving_to(monkeypatch, "1.1.1.1", "1.1.1.1")
    assert addresses_of("hooks.example.com", 443, private=False) == ["1.1.1.1"]
    resolving_to(monkeypatch, "1.1.1.1", "169.254.169.254")
    with pytest.raises(RefusedWords, match=r"hooks.example.com is 169\.254\.169\.254"):
        addresses_of("hooks.example.com", 443, private=False)
    assert addresses_of("hooks.example.com", 443, private=True) == ["1.1.1.1", "169.254.169.254"]


@pytest.mark.parametrize("host", ["localhost", "127.1", "0x7f000001", "2130706433"])
def test_other_ways_to_write_loopback(host: str) -> None:
    """What the system takes for loopback is loopback, however it is written."""
    with pytest.raises(RefusedWords, match="A webhook goes to the public internet"):
        addresses_of(host, 443, private=False)
