"""Connections are bounded for each address, too, so that one cannot take them all."""

import pytest
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IAddress
from twisted.web.resource import Resource

from tests.net.memory import Server
from twisted_gantry.net.addresses import group_of, host_of, network, parsed
from twisted_gantry.net.http.server import Limits, with_backlog

LIMITS = Limits(connections=5, per_address=2)


def V4(host: str) -> IPv4Address:
    return IPv4Address("TCP", host, 1)


def V6(host: str) -> IPv6Address:
    return IPv6Address("TCP", host, 1)


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        (V4("192.0.2.1"), V4("192.0.2.1"), True),
        (V4("192.0.2.1"), V4("192.0.2.2"), False),
        (V4("192.0.2.1"), V6("::ffff:192.0.2.1"), True),
        (V6("2001:db8::1"), V6("2001:db8::2"), True),
        (V6("2001:db8::1"), V6("2001:db8:0:1::1"), False),
        (UNIXAddress("/a"), UNIXAddress(None), True),
    ],
)
def test_an_address_has_its_share(first: IAddress, second: IAddress, same: bool) -> None:
    """Past its bound an address gives up its own oldest connection, and no other's."""
    server = Server(Resource(), LIMITS)
    mine = [server.knock(first) for _ in range(2)]
    other = server.knock(second)
    again = server.knock(first)
    every = [each for each in (*mine, other, again) if each is not None]
    assert len(every) == 4
    gone = [each for each in every if each.aborted]
    assert gone == every[: 2 if same else 1]
    assert server.counts["evicted"] == len(gone)
    for each in every:
        each.leave()
    assert server.clock.getDelayedCalls() == []


def test_without_the_bound_one_may_have_all() -> None:
    """By default only the number of all connections counts."""
    server = Server(Resource(), Limits(connections=3))
    mine = [server.connect() for _ in range(4)]
    assert [each.aborted for each in mine] == [True, False, False, False]
    for each in mine:
        each.leave()


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("tcp:3699", "tcp:3699:backlog=5"),
        ("tcp:port=3699:interface=\\:\\:1", "tcp:port=3699:interface=\\:\\:1:backlog=5"),
        ("ssl:3699:privateKey=a.pem", "ssl:3699:privateKey=a.pem:backlog=5"),
        ("tcp:3699:backlog=9", "tcp:3699:backlog=9"),
        ("unix:/run/gantry.sock", "unix:/run/gantry.sock"),
        ("systemd:domain=INET:index=0", "systemd:domain=INET:index=0"),
    ],
)
def test_the_queue_of_an_endpoint(endpoint: str, expected: str) -> None:
    """As many may wait to be accepted as may connect, where the endpoint can say so."""
    assert with_backlog(endpoint, LIMITS.connections) == expected


def test_what_is_no_address() -> None:
    """A name is itself, and in no network."""
    assert host_of(UNIXAddress("/a")) == "unix"
    assert host_of(V4("192.0.2.1")) == "192.0.2.1"
    assert group_of("unix") == "unix"
    assert parsed("unix") is None
    assert group_of("fe80::1%eth0") == "fe80::/64"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("192.0.2.1", "192.0.2.1/32"),
        (" 192.0.2.7/24 ", "192.0.2.0/24"),
        ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
        ("2001:db8::1/32", "2001:db8::/32"),
        ("::/0", "::/0"),
    ],
)
def test_networks(text: str, shown: str) -> None:
    """An address is a network of one; bits behind the prefix do not matter."""
    assert str(network(text)) == shown


@pytest.mark.parametrize("text", ["", "unix", "192.0.2.1/33", "192.0.2", "fe80::1%eth0/x"])
def test_what_is_no_network(text: str) -> None:
    """Anything else is a mistake in the configuration."""
    with pytest.raises(ValueError):
        network(text)
