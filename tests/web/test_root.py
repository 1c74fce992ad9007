"""The whole web endpoint over real sockets."""

from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from treq.client import HTTPClient
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import (
    TCP4ServerEndpoint,
    UNIXClientEndpoint,
    UNIXServerEndpoint,
    connectProtocol,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import Agent

from tests.web.small_site import SmallSite
from twisted_gantry.net.http.server import Limits, bounded_site


def the_reactor() -> Any:
    from twisted.internet import reactor

    return reactor


async def with_server(
    small: SmallSite, password: str | None, use: Callable[[str], Awaitable[None]]
) -> None:
    """Serve the site on a free port while `use` runs, which gets its address."""
    reactor = the_reactor()
    counts = small.http_counts.setdefault("web", Counter())
    factory = bounded_site(small.resource(password), reactor, Limits(), counts)
    port: Any = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(factory)
    try:
        await use(f"http://127.0.0.1:{port.getHost().port}")
    finally:
        await port.stopListening()


def http_client() -> HTTPClient:
    """Return a client that leaves no connection behind."""
    return HTTPClient(Agent(the_reactor()))


async def test_a_session(small: SmallSite) -> None:
    """A client reads the site, does a command, and finds both in the metrics."""
    client = http_client()

    async def use(url: str) -> None:
        site = await (await client.get(f"{url}/api/v1/site")).json()
        assert site["gantryId"] == "G000211001002110010"
        body = {"target": "ups1", "command": "BZOFF"}
        answer = await client.post(f"{url}/api/v1/commands", json=body)
        assert (await answer.json())["result"] == "done"
        entries = (await (await client.get(f"{url}/api/v1/audit")).json())["entries"]
        assert [entry["who"] for entry in entries] == ["api 127.0.0.1 local"]
        metrics = await (await client.get(f"{url}/metrics")).text()
        assert 'gantry_commands_total{result="done"} 1.0' in metrics
        assert 'gantry_http_events_total{event="requests",server="web"} 4.0' in metrics

    await with_server(small, None, use)


async def test_a_password(small: SmallSite) -> None:
    """With a password a client is asked for it, and comes in with it."""
    client = http_client()

    async def use(url: str) -> None:
        refused = await client.get(f"{url}/")
        assert refused.code == 401
        assert (await refused.json())["error"]["code"] == "unauthorized"
        page = await client.get(f"{url}/", auth=("", "open sesame"))
        assert (page.code, "<!doctype html>" in await page.text()) == (200, True)
        wrong = await client.get(f"{url}/api/v1/site", auth=("", "open"))
        assert (wrong.code, "gantryId" in await wrong.text()) == (401, False)

    await with_server(small, "open sesame", use)


class _Collector(Protocol):
    """Keeps what comes until the server hangs up."""

    def __init__(self) -> None:
        self.data = b""
        self.closed: Deferred[bytes] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        self.data += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.closed.callback(self.data)


async def test_a_unix_socket(small: SmallSite, tmp_path: Path) -> None:
    """Over a UNIX socket, where there is no address, a request without a Host is answered."""
    reactor = the_reactor()
    path = str(tmp_path / "web.sock")
    factory = bounded_site(small.resource(), reactor, Limits(), Counter())
    port: Any = await UNIXServerEndpoint(reactor, path).listen(factory)
    client = await connectProtocol(UNIXClientEndpoint(reactor, path), _Collector())
    assert client.transport is not None
    client.transport.write(b"GET /api/v1/site HTTP/1.0\r\n\r\n")
    answer = await client.closed
    await port.stopListening()
    assert answer.splitlines()[0].endswith(b"200 OK")
    assert b"G000211001002110010" in answer
