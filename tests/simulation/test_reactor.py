"""The reactor in memory: connections behave as those of a kernel do, and time jumps."""

from typing import Any

from twisted.internet.endpoints import HostnameEndpoint, connectProtocol, serverFromString
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure

from tests.simulation.reactor import MemoryReactor
from tests.simulation.site import START, SimulatedSite
from tests.support import fired


class End(Protocol):
    """One end; `heard` has what came, and at last the reason of the loss."""

    def __init__(self) -> None:
        self.heard: list[Any] = []

    def dataReceived(self, data: bytes) -> None:
        self.heard.append(data)

    def connectionLost(self, reason: Failure = None) -> None:  # type: ignore[assignment]
        self.heard.append(reason.type)


class Net:
    """A server on port 80 of the memory, and a client of it."""

    def __init__(self) -> None:
        self.reactor = MemoryReactor(START)
        self.servers: list[End] = []
        factory = Factory.forProtocol(self._accept)
        factory.noisy = False
        place = serverFromString(self.reactor, "tcp:80:interface=127.0.0.1")
        [self.port] = fired(place.listen(factory))
        self.client = End()
        [connected] = self._connect(self.client)
        assert connected is self.client

    def _accept(self) -> End:
        self.servers.append(End())
        return self.servers[-1]

    def _connect(self, protocol: End) -> list[Any]:
        endpoint: Any = HostnameEndpoint(self.reactor, "127.0.0.1", 80)
        result = fired(connectProtocol(endpoint, protocol))
        self.run()
        return result

    def run(self, seconds: float = 1.0) -> None:
        self.reactor.run_until(self.reactor.seconds() + seconds)

    @property
    def ends(self) -> tuple[Any, Any]:
        return self.client.transport, self.servers[0].transport


def test_bytes_arrive_in_order_and_before_the_end() -> None:
    """What was written before a close arrives before it, and then both ends are closed."""
    net = Net()
    here, there = net.ends
    here.write(b"a")
    here.writeSequence([b"b", b"c"])
    here.loseConnection()
    here.write(b"not sent")
    net.run()
    assert net.servers[0].heard == [b"a", b"bc", ConnectionDone]
    assert net.client.heard == [ConnectionDone]
    assert not there.connected


def test_an_abort_loses_what_is_under_way() -> None:
    """After an abort nothing arrives, and the other end has lost its connection."""
    net = Net()
    here, _ = net.ends
    here.write(b"a")
    here.abortConnection()
    net.run()
    assert net.servers[0].heard == [ConnectionLost]
    assert len(net.client.heard) == 1


def test_a_paused_reader_gets_its_bytes_later() -> None:
    """Bytes wait for a reader that has paused."""
    net = Net()
    here, there = net.ends
    there.pauseProducing()
    here.write(b"a")
    net.run()
    assert net.servers[0].heard == []
    there.resumeProducing()
    net.run()
    assert net.servers[0].heard == [b"a"]


def test_a_port_that_is_closed_refuses() -> None:
    """Without a listener a connection is refused."""
    net = Net()
    net.port.stopListening()
    [failure] = net._connect(End())
    assert failure.check(Refused)


def test_time_jumps_from_call_to_call() -> None:
    """Each call runs at its own time, in their order, however long the quiet is."""
    reactor, seen = MemoryReactor(START), []
    for at in (86_400.0, 0.5, 0.25):
        reactor.callLater(at, lambda: seen.append(reactor.seconds()))
    put_off = reactor.callLater(0.1, lambda: seen.append(reactor.seconds()))
    put_off.reset(7.0)
    reactor.run_until(100_000.0)
    assert seen == [0.25, 0.5, 7.0, 86_400.0]
    assert (reactor.seconds(), reactor.now()) == (100_000.0, START + 100_000.0)


def test_a_whole_site_repeats_itself() -> None:
    """Two sites with the same seed report the same, smoke among it, and end without a timer."""

    def told() -> list[Any]:
        site = SimulatedSite({"cab1": "doubles", "etc": "chunked"})
        with site.reactor.installed():
            site.start()
            site.run(60.0)
            site.twin.world.change({"cab1.smoke": True})
            site.run(30.0)
            assert [alarm.name for alarm in site.alarms.active()] == ["cab1.smoke"]
            requests = site.twin.platform.requests()
            assert site.stop() == []
            assert site.reactor.getDelayedCalls() == []
        return [(each["at"], each["body"], each["answer"]) for each in requests]

    first = told()
    assert any(
        body["cabinetStatus"]["smokeSensor"]["isWarning"] == "1"
        for _, body, _ in first
        if body["method"] == "cabinetStatusUpdate"
    )
    assert first == told()
