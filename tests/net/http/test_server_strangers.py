"""Idle connections of a few hosts shut nobody out, with the bounds of each port."""

import pytest
from twisted.internet.address import IPv4Address

from tests.net.http.test_server import Counted, Slow
from tests.net.memory import GET, Connection, Server
from twisted_gantry.access.line import MOST_HELD
from twisted_gantry.daemon.parts import WEB_LIMITS
from twisted_gantry.net.http.server import Limits
from twisted_gantry.web import callbacks
from twisted_gantry.web.monitor import endpoint as monitor
from twisted_gantry.web.remotecontrol import endpoint as remotecontrol

PORTS = {
    "web": WEB_LIMITS,
    "monitor": monitor.LIMITS,
    "remotecontrol": remotecontrol.LIMITS,
    "callbacks": callbacks.LIMITS,
}


def hold(server: Server, hosts: list[str], number: int, say: bytes) -> list[Connection]:
    """Let each host open so many connections, and say the same on each that it gets."""
    held = []
    for _ in range(number):
        for host in hosts:
            connection = server.knock(host_address(host))
            if connection is not None:
                held.append(connection)
                if say:
                    connection.send(say)
    return held


def host_address(host: str) -> IPv4Address:
    return IPv4Address("TCP", host, 1)


@pytest.mark.parametrize("limits", PORTS.values(), ids=list(PORTS))
@pytest.mark.parametrize("say", [b"", GET[:10], GET], ids=["silent", "half", "unproved"])
@pytest.mark.parametrize("hosts", [1, 4, 60])
def test_nobody_is_shut_out(limits: Limits, say: bytes, hosts: int) -> None:
    """Beside hosts that hold all that they get, and come again, each request is answered."""
    server = Server(Counted(), limits)
    strangers = [f"127.0.1.{number}" for number in range(1, hosts + 1)]
    held = hold(server, strangers, 1000 // hosts, say)
    for number in range(50):
        client = server.connect(f"192.0.2.{number % 3}")
        held += hold(server, strangers, 1, say)  # before the request is whole
        client.send(GET)
        assert client.statuses() == [200]
        client.leave()
    for each in held:
        each.leave()
    assert server.clock.getDelayedCalls() == []


def test_secrets_that_wait_leave_places() -> None:
    """Beside as many guesses as may wait for a turn, a person at the same address gets in."""
    slow = Slow()
    server = Server(slow, WEB_LIMITS)
    guesses = hold(server, ["127.0.1.1"], MOST_HELD, GET)
    for _ in range(MOST_HELD):
        person = server.knock(host_address("127.0.1.1"))
        assert person is not None
        person.leave()
    for each in guesses:
        each.leave()
