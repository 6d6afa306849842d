"""Which addresses are public, and which are those of a closed network."""

import pytest

from shared.outgoing import is_closed, is_public

CLOSED = ("10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "fd12:3456::1", "::ffff:10.0.0.1", "64:ff9b::a00:1")
NOWHERE = (
    *("127.0.0.1", "127.8.8.8", "0.0.0.0", "0.1.2.3", "255.255.255.255", "224.0.0.1", "192.0.2.1", "198.18.0.1"),
    *("::", "::1", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "2001:db8::1", "::ffff:127.0.0.1", "100::1"),
    *("2002:7f00:1::", "64:ff9b::7f00:1", "64:ff9b:1::1", "::127.0.0.1", "240.0.0.1", "2001:0:a00:1::80ff:fffe"),
)
METADATA = (
    *("169.254.169.254", "168.63.129.16", "100.100.100.200", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254"),
    *("::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::", "::ffff:168.63.129.16", "fd00:42::42"),
)
PUBLIC = ("1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101", "2002:101:101::")


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses(address: str) -> None:
    """An address of the public internet is public, also where IPv6 carries it."""
    assert is_public(address)
    assert not is_closed(address)


@pytest.mark.parametrize("address", CLOSED)
def test_closed_networks(address: str) -> None:
    """The ranges of closed networks are closed and not public, in IPv4, in IPv6, and IPv4 within IPv6."""
    assert not is_public(address)
    assert is_closed(address)


@pytest.mark.parametrize("address", [*NOWHERE, *METADATA])
def test_what_is_never_reached(address: str) -> None:
    """This machine, its link, documentation, multicast and the metadata of clouds are neither public nor closed."""
    assert not is_public(address)
    assert not is_closed(address)
