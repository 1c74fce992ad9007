"""Through a proxy: a tunnel by CONNECT, for every scheme, and what can go wrong with it."""

from base64 import b64encode
from typing import Any

import pytest
from twisted.internet import reactor
from twisted.internet.protocol import ClientCreator, Factory, Protocol
from twisted.internet.task import deferLater

from tests.daemon.process import free_port
from tests.notify.kinds.servers import Raw, listening, message, raw, receiving, secret, sender
from tests.notify.kinds.test_posting import failure_of
from twisted_gantry.net.http.proxy import Proxy, ThroughProxy
from twisted_gantry.net.outage import Cause
from twisted_gantry.net.tls import ClientTls


class Inner(Protocol):
    """The proxy's connection to the receiver."""

    outer: Any

    def dataReceived(self, data: bytes) -> None:
        """Pass an answer on."""
        self.outer.transport.write(data)


def tunnelling(asked: list[bytes]) -> Any:
    """Return a proxy that connects to loopback, whatever the host."""
    inner: dict[Raw, Any] = {}

    def answer(outer: Raw, data: bytes) -> bytes:
        if outer in inner:
            inner[outer].transport.write(data)
            return b""
        if not outer.got.endswith(b"\r\n\r\n"):
            return b""
        asked.append(outer.got)
        port = int(outer.got.split(b" ")[1].rpartition(b":")[2])
        creator: Any = ClientCreator(reactor, Inner)
        connecting = creator.connectTCP("127.0.0.1", port)

        def connected(made: Inner) -> None:
            made.outer, inner[outer] = outer, made
            outer.transport.write(b"HTTP/1.1 200 Connection established\r\n\r\n")  # type: ignore[union-attr]

        connecting.addCallback(connected)
        return b""

    return raw(answer)


async def test_a_tunnel() -> None:
    """The proxy is asked for the host by name, with its login; the receiver gets the message."""
    asked: list[bytes] = []
    async with receiving() as (receiver, port), listening(tunnelling(asked)) as proxy:
        url = secret(f"http://hook.example:{port}/x")
        through = secret(f"http://us%40er:pass-word@127.0.0.1:{proxy}")
        made = sender("webhook", url=url, proxy=through)
        await made.send(message())
        login = b64encode(b"us@er:pass-word")
        place = f"hook.example:{port}".encode()
        assert asked == [
            b"CONNECT %b HTTP/1.1\r\nHost: %b\r\nProxy-Authorization: Basic %b\r\n\r\n"
            % (place, place, login)
        ]
        assert receiver.bodies == [message()]
        await made.send(message())
        assert (len(asked), len(receiver.bodies)) == (1, 2)  # over the same connection
        await made.close()


@pytest.mark.parametrize(
    ("answer", "says", "cause"),
    [
        (b"HTTP/1.1 407 Login\r\n\r\n", "answers HTTP 407", Cause.PASSWORD),
        (b"HTTP/1.1 502 No\r\nA: b\r\n\r\nbody", "answers HTTP 502", Cause.ERROR_ANSWER),
        (b"SSH-2.0-x\r\n\r\n", "does not speak HTTP", Cause.NOT_PROTOCOL),
        (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 4000, "floods", Cause.FLOOD),
    ],
)
async def test_a_proxy_that_does_not_help(answer: bytes, says: str, cause: Cause) -> None:
    """The reason names the proxy, and holds no password."""
    async with listening(raw(lambda _, data: answer if data else b"")) as proxy:
        made = sender(
            "webhook",
            url=secret("http://hook.example/x"),
            proxy=secret(f"http://user:pass-word@127.0.0.1:{proxy}"),
        )
        error = await failure_of(made)
        assert f"the proxy {says}" in str(error)
        assert error.outage.cause is cause
        assert "代理" in error.outage.zh
        assert "pass-word" not in str(error)
        await made.close()


async def test_a_peer_that_speaks_first() -> None:
    """What comes with the answer of the proxy is the beginning of what the peer says."""
    told: list[bytes] = []

    class Listener(Protocol):
        def dataReceived(self, data: bytes) -> None:
            """Note."""
            told.append(data)

    greeting = b"HTTP/1.1 200 OK\r\n\r\n220 hi\r\n"
    async with listening(raw(lambda _, data: greeting if data else b"")) as port:
        proxy = Proxy("127.0.0.1", port)
        to_proxy = proxy.endpoint(reactor, ClientTls())
        endpoint = ThroughProxy(to_proxy, proxy, "mail.example", 25, reactor)
        made: Any = await endpoint.connect(Factory.forProtocol(Listener))
        while not told:
            await deferLater(reactor, 0.01)
        assert told == [b"220 hi\r\n"]
        made.transport.loseConnection()


async def test_an_answer_before_the_question() -> None:
    """What poses as the answer of the receiver, before it was asked, takes no message."""
    early = b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    async with listening(raw(lambda _, data: early if data else b"")) as proxy:
        through = secret(f"http://127.0.0.1:{proxy}")
        made = sender("webhook", url=secret("http://hook.example/x"), proxy=through)
        await failure_of(made)
        await made.close()


async def test_no_proxy_there() -> None:
    """A proxy that cannot be reached is told from a receiver that cannot."""
    proxy = secret(f"http://127.0.0.1:{free_port()}")
    made = sender("webhook", url=secret("http://h.example/"), proxy=proxy)
    assert "the proxy cannot be reached: the connection is refused" in str(await failure_of(made))
    await made.close()


@pytest.mark.parametrize(
    ("url", "host", "port", "tls"),
    [
        ("http://proxy", "proxy", 3128, False),
        ("https://proxy.example:8443/", "proxy.example", 8443, True),
        ("http://[::1]:8080", "::1", 8080, False),
    ],
)
def test_urls_of_proxies(url: str, host: str, port: int, tls: bool) -> None:
    """A proxy is a URL without a path."""
    proxy = Proxy.parse(url)
    assert (proxy.host, proxy.port, proxy.tls) == (host, port, tls)
    assert "Basic" not in repr(Proxy.parse("http://a:b@h:1"))


@pytest.mark.parametrize(
    "url", ["", "proxy:3128", "socks5://proxy", "http://", "http://h:0", "http://h/x", "http://h:x"]
)
def test_wrong_urls_of_proxies(url: str) -> None:
    """Anything else is refused."""
    with pytest.raises(ValueError, match="http://host:port"):
        Proxy.parse(url)
