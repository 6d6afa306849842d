"""Connections to the outside: which addresses are public, and a connection to the very address that was judged.

A name is resolved once; a name that resolves to something else a moment later (DNS rebinding) gains nothing.
"""

import http.client
import socket
import ssl
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

_HOLDS_IPV4 = {"64:ff9b::": 96, "::": 96}
"""Prefixes of IPv6 addresses whose last 32 bits are an IPv4 address, beside those that Python knows (NAT64)."""
_GLOBAL_UNICAST = ip_network("2000::/3")
"""Nothing else of IPv6 is anyone's on the public internet: not site-local, not what is reserved or local NAT64."""
_CLOSED = tuple(map(ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")))
_METADATA = frozenset(
    map(ip_address, ("169.254.169.254", "168.63.129.16", "100.100.100.200", "192.0.0.192"))
) | frozenset(map(ip_address, ("fd00:ec2::254", "fd20:ce::254", "fd00:42::42", "fd00:c1::a9fe:a9fe")))
"""Where clouds tell a machine its own secrets. Azure's stands among public addresses."""


def is_public(address: str) -> bool:
    """Whether an address can only be someone's on the public internet; what holds an IPv4 address is judged by it.

    >>> is_public("1.1.1.1"), is_public("10.0.0.1"), is_public("::ffff:10.0.0.1"), is_public("169.254.169.254")
    (True, False, False, False)
    """
    met = _judged(address)
    inside = isinstance(met, IPv6Address) and met not in _GLOBAL_UNICAST
    return met.is_global and not met.is_multicast and not inside and met not in _METADATA


def is_closed(address: str) -> bool:
    """Whether an address is one of a closed network, as companies have them: neither this machine nor its metadata.

    >>> is_closed("10.0.0.1"), is_closed("127.0.0.1"), is_closed("169.254.169.254"), is_closed("1.1.1.1")
    (True, False, False, False)
    """
    met = _judged(address)
    return met not in _METADATA and any(met.version == network.version and met in network for network in _CLOSED)


def resolved(host: str, port: int) -> list[str]:
    """The addresses that a name has now, in the order of preference; raises OSError."""
    found = [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    return list(dict.fromkeys(found))


class Pinned(http.client.HTTPConnection):
    """A connection to an address that was judged, whatever the name says a moment later."""

    def __init__(self, host: str, address: str, port: int, *, secure: bool, timeout_s: float) -> None:
        super().__init__(host, port, timeout=timeout_s)
        self._secure, self._address, self._timeout_s = secure, address, timeout_s
        self.default_port = 443 if secure else 80
        self._wire: socket.socket | None = None
        """The same connection once more, so that it can be ended from another thread, also below TLS."""
        self._cut = False

    def connect(self) -> None:
        """Connect, and over TLS see that the certificate is the name's."""
        self.sock = socket.create_connection((self._address, self.port), timeout=self._timeout_s)
        self._wire = self.sock.dup()
        if self._cut:
            self.cut()
        if self._secure:  # an end that TLS did not announce is an error: the answer may lack its last part
            context = ssl.create_default_context()
            self.sock = context.wrap_socket(self.sock, server_hostname=self.host, suppress_ragged_eofs=False)

    def cut(self) -> None:
        """End it now, whatever it waits for."""
        self._cut = True
        if self._wire is not None:
            with suppress(OSError):
                self._wire.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close it."""
        super().close()
        if self._wire is not None:
            self._wire.close()


def _judged(address: str) -> IPv4Address | IPv6Address:
    met = ip_address(address.partition("%")[0])
    return (_held(met) or met) if isinstance(met, IPv6Address) else met


def _held(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address to which an IPv6 address leads in the end."""
    if address.teredo is not None:
        return address.teredo[1]
    for prefix, bits in _HOLDS_IPV4.items():
        if int(address) >> (128 - bits) == int(IPv6Address(prefix)) >> (128 - bits) and int(address) > 1:
            return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour
