"""The front over real sockets: a gantry's own channel, fronts on one port, TLS, the stop."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from twisted.internet.defer import gatherResults, maybeDeferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Protocol
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from tests.authority import Authority
from tests.centre.fronts.rig import CODE, FrontRig
from twisted_gantry.centre.fronts.monitor import MonitorFront
from twisted_gantry.centre.model import Verdict
from twisted_gantry.centre.settings import MonitorSettings
from twisted_gantry.net.http.client import BoundedClient, persistent_pool, treq_client
from twisted_gantry.net.tls_server import ServerTls
from twisted_gantry.uplinks.etc.channel import EtcChannel, Kind
from twisted_gantry.wire.etc import envelope as etc
from twisted_gantry.wire.secret import Secret


def loop() -> Any:
    from twisted.internet import reactor

    return reactor


@asynccontextmanager
async def front(
    rig: FrontRig, listen: str = "tcp:0:interface=127.0.0.1", **given: Any
) -> AsyncIterator[MonitorFront]:
    made = MonitorFront(
        loop(), MonitorSettings(listen=listen), rig.store, rig.registry, rig.clock.now, **given
    )
    made.startService()
    try:
        yield made
    finally:
        await made.stopService()


@asynccontextmanager
async def channel(code: str = CODE) -> AsyncIterator[EtcChannel]:
    """The channel of a gantry to its platform."""
    pool = persistent_pool(loop())
    yield EtcChannel(Secret(code), BoundedClient(treq_client(loop(), pool), loop()))
    await pool.closeCachedConnections()


async def test_a_gantry_delivers_its_reports() -> None:
    """What our own gantry sends is delivered, on one connection; a wrong code is the channel's."""
    rig = FrontRig()
    async with front(rig) as made, channel() as ours, channel("wrong") as other:
        url = f"http://127.0.0.1:{made.port}/monitor.do"
        for _ in range(5):
            assert (await ours.post(rig.body(), url)).kind is Kind.DELIVERED
        refused = await other.post(rig.body(), url)
        assert (refused.kind, refused.answer and refused.answer.code) == (Kind.CHANNEL, "1001")
        assert made.counts["connections"] == 2
    assert len(rig.store.reports) == 5


async def test_fronts_share_a_port() -> None:
    """Several fronts on one port get connections each; one that stops takes none along."""
    rigs = FrontRig(), FrontRig()
    async with front(rigs[0], shared=True) as one:
        place = f"tcp:{one.port}:interface=127.0.0.1"
        async with front(rigs[1], place, shared=True):
            for _ in range(40):
                async with channel() as ours:
                    url = f"http://127.0.0.1:{one.port}/monitor.do"
                    assert (await ours.post(rigs[0].body(), url)).kind is Kind.DELIVERED
        served = [len(rig.store.reports) for rig in rigs]
        assert sum(served) == 40
        assert all(served)
        async with channel() as ours:
            assert (await ours.post(rigs[0].body(), url)).kind is Kind.DELIVERED


class Client(Protocol):
    """Keeps what came, and whether the connection is open."""

    def __init__(self) -> None:
        self.got, self.closed = b"", False

    def dataReceived(self, data: bytes) -> None:
        self.got += data

    def connectionLost(self, reason: Any = None) -> None:
        self.closed = True


async def connect(port: int) -> Client:
    client: Client = await connectProtocol(TCP4ClientEndpoint(loop(), "127.0.0.1", port), Client())
    return client


async def until(true: Any) -> None:
    while not true():
        await deferLater(loop(), 0.001)


def request(body: bytes, code: str = CODE) -> bytes:
    head = f"POST /monitor.do HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
    signed = f"binfile-auth: {code}\r\nbinfile-md5: {etc.digest(body)}\r\n\r\n"
    return (head + signed).encode() + body


async def test_the_stop_answers_what_is_in_flight() -> None:
    """A report that waits for its commit at the stop gets its 1000, and the connection closes."""
    rig = FrontRig()
    rig.store.verdict = None
    async with front(rig) as made:
        busy, idle = await connect(made.port), await connect(made.port)
        busy.transport.write(request(rig.body()))  # type: ignore[union-attr]
        await until(lambda: rig.store.puts)
        stopping = maybeDeferred(made.stopService)
        await until(lambda: idle.closed)
        assert not busy.closed
        rig.store.puts[0].callback(Verdict.STORED)
        await gatherResults([stopping])
        await until(lambda: busy.closed)
        assert b'"code":"1000"' in busy.got


async def test_a_long_body_gets_its_refusal() -> None:
    """The answer arrives although the peer is still sending: 413, then the end."""
    rig = FrontRig()
    async with front(rig) as made:
        client = await connect(made.port)
        client.transport.write(request(b"x" * 2_000_000))  # type: ignore[union-attr]
        await until(lambda: client.closed)
        assert client.got.startswith(b"HTTP/1.1 413 ")


def ask_over_tls(port: int, ca: bytes, data: bytes) -> bytes:
    import socket

    context = ssl.create_default_context(cadata=ca.decode())
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as secure,
    ):
        secure.sendall(data)
        return secure.recv(65_536)


async def test_an_endpoint_with_tls(tmp_path: Path) -> None:
    """`ssl:` serves the same; who does not speak TLS is counted, and gets nothing."""
    authority = Authority()
    certificate, key = authority.sign("DNS:localhost").write(tmp_path, "server")
    listen = f"ssl:0:interface=127.0.0.1:privateKey={key}:certKey={certificate}"
    rig = FrontRig()
    async with front(rig, listen, tls=ServerTls.read(listen, Path), shared=True) as made:
        data = request(rig.body())
        answer = await deferToThread(ask_over_tls, made.port, authority.pem, data)
        assert b'"code":"1000"' in answer
        plain = await connect(made.port)
        plain.transport.write(data)  # type: ignore[union-attr]
        await until(lambda: plain.closed)
        assert b"1000" not in plain.got
        assert made.counts["tls-failed"] == 1


async def test_addresses_that_are_not_allowed() -> None:
    """They are closed when they connect."""
    rig = FrontRig()
    made = MonitorFront(
        loop(),
        MonitorSettings(listen="tcp:0:interface=127.0.0.1", allowed_clients=["192.0.2.0/24"]),
        rig.store,
        rig.registry,
        rig.clock.now,
    )
    made.startService()
    client = await connect(made.port)
    await until(lambda: client.closed)
    assert made.counts["not-allowed"] == 1
    await made.stopService()


async def test_what_is_wrong_with_a_front_is_told() -> None:
    """Crowding for a minute, and a registry that cannot be read, are faults of the centre."""
    rig = FrontRig()
    made = MonitorFront(
        rig.clock, MonitorSettings(listen="tcp:0"), rig.store, rig.registry, rig.clock.now
    )

    def found() -> set[str]:
        return {name for name, look in made.checks.items() if look() is not None}

    assert found() == set()
    made._crowding.came("192.0.2.66")
    rig.registry._trouble = "the database is away"
    assert found() == {"centre.crowded", "centre.registry"}
    [crowded, registry] = [look() for look in made.checks.values()]
    assert "192.0.2.66" in str(crowded)
    assert "the database is away" in str(registry)
    rig.clock.advance(61)
    assert found() == set()
