"""The Fogslink link on a transport that the test holds: what is sent, and when nothing is."""

from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionAborted
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface import implementer

from tests.support import NOWHERE
from tests.uplinks.fogslink.test_uplink import Rig
from twisted_gantry.uplinks.fogslink.link import UNASKED_BURST
from twisted_gantry.wire.json import loads

FULL = 64 * 1024


class SlowTransport(StringTransport):
    """A transport whose peer takes little: it asks its producer to pause above 64 KiB, as TCP."""

    nodelay = keepalive = False
    protocol: Any
    producer: Any

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.waiting = b""
        self.most = 0

    def setTcpNoDelay(self, enabled: bool) -> None:
        self.nodelay = bool(enabled)

    def setTcpKeepAlive(self, enabled: bool) -> None:
        self.keepalive = bool(enabled)

    def write(self, data: bytes) -> None:
        self.waiting += data
        self.most = max(self.most, len(self.waiting))
        if len(self.waiting) > FULL:
            self.producer.pauseProducing()

    def abortConnection(self) -> None:
        if not self.disconnected:
            self.disconnected = True
            self.protocol.connectionLost(Failure(ConnectionAborted()))

    def loseConnection(self) -> None:
        self.abortConnection()

    def take(self, length: int) -> bytes:
        taken, self.waiting = self.waiting[:length], self.waiting[length:]
        if taken and not self.waiting:
            self.producer.resumeProducing()
        return taken


@implementer(IStreamClientEndpoint)
class SlowNetwork:
    """Connects to transports that the test holds."""

    def __init__(self) -> None:
        self.protocol: Any = None
        self.transports: list[SlowTransport] = []

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:  # noqa: N803
        protocol = protocolFactory.buildProtocol(NOWHERE)
        assert protocol is not None
        self.protocol = protocol
        self.transports.append(SlowTransport())
        self.transports[-1].protocol = protocol
        protocol.makeConnection(self.transports[-1])
        return succeed(protocol)

    @property
    def transport(self) -> SlowTransport:
        return self.transports[-1]

    def says(self, line: bytes) -> None:
        self.protocol.dataReceived(line + b"\n")


class HeldRig(Rig):
    def __init__(self, **given: Any) -> None:
        self.held = SlowNetwork()
        super().__init__(**given)

    def new_uplink(self) -> Any:
        network, self.network = self.network, self.held  # type: ignore[assignment]
        uplink = super().new_uplink()
        self.network = network
        return uplink

    def authenticate(self) -> None:
        self.held.says(b'{"res001":{"eqSN":"12345678","code":"0","tKey":"k"}}')
        self.held.says(b'{"res002":{"eqSN":"eqKey","code":"0"}}')

    def stop(self) -> None:
        self.uplink.stopService()
        self.clock.settle()
        self.bench.alarms.stop()
        assert self.clock.getDelayedCalls() == []


def test_the_connection_is_set_up_for_small_messages() -> None:
    """No message waits for the next (nodelay), and a dead peer is noticed (keepalive)."""
    rig = HeldRig()
    rig.start()
    assert (rig.held.transport.nodelay, rig.held.transport.keepalive) == (True, True)
    assert rig.held.transport.take(9999) == b'{"req001":{"eqSN":"12345678","eqType":"128"}}\n'
    rig.stop()


def test_a_cloud_that_reads_nothing_gets_no_more_than_a_buffer_full() -> None:
    """While the transport is full nothing is sent; when it empties, the data goes on."""
    rig = HeldRig(channels={f"P0-C{at}": "ups1.model" for at in range(200)})
    rig.start()
    rig.authenticate()
    for volts in range(400):
        rig.held.says(b'{"res100":{"eqSN":"12345678","code":"0"}}')
        rig.read(float(volts))
        rig.clock.run(2, step=0.5)
    assert len(rig.held.transports) == 1
    assert FULL < rig.held.transport.most < FULL + 16 * 1024
    assert rig.uplink.counts["held-back"] > 100
    queued = rig.ledger().queued
    assert queued > 70
    lines = rig.held.transport.take(10**9).splitlines()
    first = next(line for line in lines if b"req200" in line)
    assert {line for line in lines if b"req200" in line} == {first}
    rig.clock.run(6)
    assert first in rig.held.transport.take(10**9).splitlines()
    rig.held.says(
        b'{"res200":{"packID":"%s","code":"8"}}' % loads(first)["req200"]["packID"].encode()
    )
    rig.clock.run(6)  # it leaves the disk together with others, or when the next one is silent
    assert rig.ledger().delivered == 1
    rig.stop()


def test_a_cloud_that_reads_a_byte_a_second_is_left_and_costs_no_memory() -> None:
    """It cannot authenticate us in time; the link comes back slowly, and buffers nothing."""
    rig = HeldRig()
    rig.start()
    for _ in range(120):
        rig.held.transport.take(1)
        rig.clock.run(1, step=0.5)
    assert rig.uplink.counts["no-authentication"] >= 1
    assert max(each.most for each in rig.held.transports) < 200
    assert rig.bench.raised() == {"fogslink.channel"}
    rig.stop()


def test_a_cloud_that_configures_without_end_is_cut_and_backed_off() -> None:
    """Some hundred `res300` are done; more in a row end the session, and the next comes later."""
    rig = HeldRig()
    rig.start()
    for turn in range(1, 6):
        rig.authenticate()
        transport = rig.held.transport
        for number in range(1000):
            if transport.disconnected:
                break
            period = b"%d" % (1 + number % 60)
            rig.held.says(b'{"res300":{"eqSN":"12345678","eChan":"P0-C1","sPeriod":"%s"}}' % period)
            transport.take(9999)
        assert transport.disconnected
        assert rig.uplink.counts["flooded"] == turn
        assert rig.uplink.counts["configured"] <= UNASKED_BURST * turn
        while rig.held.transport is transport:
            rig.clock.run(1)
    assert rig.clock.seconds() > 15
    rig.stop()
