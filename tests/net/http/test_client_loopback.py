"""The HTTP client over real sockets: connections are shared, closed, and not logged."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock, deferLater
from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from twisted.python.failure import Failure
from twisted.web.client import HTTPConnectionPool
from twisted.web.resource import Resource
from twisted.web.server import Request
from zope.interface import implementer

from twisted_gantry.net.http.client import BoundedClient, NoAnswer, persistent_pool, treq_client
from twisted_gantry.net.http.server import Limits, bounded_site


class Hello(Resource):
    isLeaf = True

    def render(self, request: Request) -> bytes:
        return b"hello"


@asynccontextmanager
async def loopback(factory: Any) -> AsyncIterator[tuple[Any, HTTPConnectionPool, str]]:
    """Serve a factory on loopback; yields the reactor, a pool and the URL."""
    from twisted.internet import reactor

    loop: Any = reactor
    port = await TCP4ServerEndpoint(loop, 0, interface="127.0.0.1").listen(factory)
    pool = persistent_pool(loop)
    try:
        yield loop, pool, f"http://127.0.0.1:{port.getHost().port}/"
    finally:
        await pool.closeCachedConnections()
        await port.stopListening()


async def test_the_pool_reuses_a_real_connection() -> None:
    """On loopback, sequential requests through the pool arrive on one connection."""
    from twisted.internet import reactor

    clock: Any = reactor
    counts: Counter[str] = Counter()
    hello: Any = Hello
    site: Any = bounded_site(hello(), clock, Limits(), counts)
    async with loopback(site) as (loop, pool, url):
        client = BoundedClient(treq_client(loop, pool), loop)
        for _ in range(10):
            answer = await client.request("POST", url, body=b"x" * 1000)
            assert (answer.status, answer.body) == (200, b"hello")
        assert counts == {"connections": 1, "requests": 10}
    while site.protocols:  # the server's end of the connection, which is closing
        await deferLater(clock, 0)


class Dripping(Protocol):
    """Answers with the head of a long body and its first byte, and notes its own end."""

    def __init__(self, began: "Deferred[None]", ended: "Deferred[None]") -> None:
        self._began, self._ended = began, ended

    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx")
        self._began.callback(None)

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        self._ended.callback(None)


async def test_the_deadline_closes_a_real_connection() -> None:
    """On loopback, a dripping server is left at the deadline, and sees its connection closed."""
    clock = Clock()
    began: Deferred[None] = Deferred()
    ended: Deferred[None] = Deferred()
    async with loopback(Factory.forProtocol(lambda: Dripping(began, ended))) as (loop, pool, url):
        client = BoundedClient(treq_client(loop, pool), clock, deadline=3.0)
        exchange = client.request("GET", url)
        await began.addTimeout(10, loop)
        clock.advance(3.0)
        with pytest.raises(NoAnswer, match="no answer within 3 s"):
            await exchange
        await ended.addTimeout(10, loop)


async def test_connections_are_not_logged() -> None:
    """A request says nothing in the log by itself: a platform that is down is tried all day."""
    from twisted.internet import reactor

    seen: list[str] = []

    @implementer(ILogObserver)
    def watch(event: LogEvent) -> None:
        seen.append(formatEvent(event))

    pool = persistent_pool(reactor)
    clock: Any = reactor
    client = BoundedClient(treq_client(reactor, pool), clock)
    globalLogPublisher.addObserver(watch)
    try:
        with pytest.raises(NoAnswer):
            await client.request("GET", "http://127.0.0.1:1/")
    finally:
        globalLogPublisher.removeObserver(watch)
        await pool.closeCachedConnections()
    assert [text for text in seen if "factory" in text] == []
