"""HTTP proxies: a tunnel by CONNECT to any host and port, with or without TLS within.

The proxy sees a name and a port; what is within the tunnel is between the peers. A plain `http:`
URL goes through a tunnel, too.
"""

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import (
    IAddress,
    IProtocol,
    IProtocolFactory,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from twisted_gantry.net.outage import Cause, Outage, outage_of
from twisted_gantry.net.tls import ClientTls

MOST_HEAD = 16 * 1024  # bytes of the proxy's answer
TIMEOUT = 10.0  # seconds for the proxy's answer
_SILENT = (Cause.SILENT, "does not answer", "无应答")
_PORTS = {"http": 3128, "https": 443}


class ProxyRefused(ConnectError):
    """The proxy did not make the tunnel; `outage` has its status, and no secret."""

    def __init__(self, cause: Cause, en: str, zh: str) -> None:
        super().__init__(string=en)  # type: ignore[no-untyped-call]
        self.outage = Outage(cause, f"the proxy {en}", f"代理{zh}")

    def __str__(self) -> str:
        return self.outage.en


@dataclass(frozen=True)
class Proxy:
    """Where a proxy listens, with TLS or without, and what it wants to be told."""

    host: str
    port: int
    tls: bool = False
    authorization: bytes = field(default=b"", repr=False)

    @classmethod
    def parse(cls, url: str) -> "Proxy":
        """Read `http[s]://[user:password@]host[:port]`. Raises ValueError, without the text."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            host, port, parts = None, None, urlsplit("")
        plain = parts.path in ("", "/") and not (parts.query or parts.fragment)
        if parts.scheme not in _PORTS or not host or port == 0 or not plain:
            raise ValueError("must be http://host:port or https://host:port, with user:password@")
        given = ""
        if parts.username is not None:
            given = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        basic = b"Basic " + b64encode(given.encode()) if given else b""
        return cls(host, port or _PORTS[parts.scheme], parts.scheme == "https", basic)

    def endpoint(self, reactor: Any, tls: ClientTls) -> IStreamClientEndpoint:
        """Return the endpoint of the proxy itself."""
        plain = HostnameEndpoint(reactor, self.host, self.port)
        if not self.tls:
            return plain
        creator = tls.creatorForNetloc(self.host.encode("idna"), self.port)
        made: IStreamClientEndpoint = wrapClientTLS(creator, plain)
        return made


@implementer(IStreamClientEndpoint)
class ThroughProxy:
    """A client endpoint of `host` and `port` behind a proxy, of which `endpoint` is the one."""

    def __init__(
        self,
        endpoint: IStreamClientEndpoint,
        proxy: Proxy,
        host: str,
        port: int,
        clock: Any,
    ) -> None:
        self._endpoint, self._clock = endpoint, clock
        place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        head = [f"CONNECT {place} HTTP/1.1".encode(), b"Host: " + place.encode()]
        if proxy.authorization:
            head.append(b"Proxy-Authorization: " + proxy.authorization)
        self._request = b"\r\n".join([*head, b"", b""])

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:  # noqa: N803
        tunnels: list[_Tunnel] = []

        def cancel(cancelled: Deferred[IProtocol]) -> None:
            cancelled.errback(CancelledError())
            connecting.cancel()
            for each in tunnels:
                each.abort()

        made: Deferred[IProtocol] = Deferred(cancel)

        def ended(result: Any) -> None:
            if not made.called:
                made.callback(result)

        def build(address: IAddress | None) -> _Tunnel:
            tunnel = _Tunnel(self._request, protocolFactory, address, self._clock, ended)
            tunnels.append(tunnel)
            return tunnel

        connecting: Deferred[Any] = self._endpoint.connect(_Tunnels(build))

        def not_connected(failure: Failure) -> None:
            if not failure.check(CancelledError):
                why = outage_of(failure.value)
                texts = f"cannot be reached: {why.en}", f"无法连接：{why.zh}"
                ended(Failure(ProxyRefused(why.cause, *texts)))

        connecting.addErrback(not_connected)
        return made


class _Tunnels(Factory["_Tunnel"]):
    noisy = False

    def __init__(self, build: Callable[[IAddress | None], "_Tunnel"]) -> None:
        self._build = build

    def buildProtocol(self, addr: IAddress | None) -> "_Tunnel":
        return self._build(addr)


class _Tunnel(Protocol):
    """Asks the proxy, then passes everything on to the protocol within."""

    def __init__(
        self,
        request: bytes,
        factory: IProtocolFactory,
        address: IAddress | None,
        clock: Any,
        ended: Callable[[Any], None],
    ) -> None:
        self._request, self._factory, self._address = request, factory, address
        self._clock, self._ended = clock, ended
        self._head = b""
        self._inner: Any = None
        self._late: Any = None

    def connectionMade(self) -> None:
        assert self.transport is not None
        self._late = self._clock.callLater(TIMEOUT, self._fail, *_SILENT)
        self.transport.write(self._request)

    def dataReceived(self, data: bytes) -> None:
        if self._inner is not None:
            self._inner.dataReceived(data)
            return
        self._head += data
        head, end, rest = self._head.partition(b"\r\n\r\n")
        if not end:
            if len(self._head) > MOST_HEAD:
                self._fail(Cause.FLOOD, "floods the connection", "大量发送无用数据")
            return
        status = head.split(b"\r\n", 1)[0].split(b" ")
        if len(status) < 2 or not status[0].startswith(b"HTTP/1.") or not status[1].isdigit():
            self._fail(Cause.NOT_PROTOCOL, "does not speak HTTP", "使用的不是HTTP协议")
        elif not status[1].startswith(b"2"):
            number = int(status[1][:3])
            cause = Cause.PASSWORD if number == 407 else Cause.ERROR_ANSWER
            self._fail(cause, f"answers HTTP {number}", f"应答HTTP {number}")
        else:
            self._begin(rest)

    def _begin(self, rest: bytes) -> None:
        self._end_wait()
        inner: Any = self._factory.buildProtocol(self._address)  # type: ignore[arg-type]
        if inner is None:
            self._fail(Cause.OTHER, "was not needed", "未使用")
            return
        self._inner = inner
        inner.makeConnection(self.transport)
        if rest:  # of a peer that speaks first; before a question that it could seem to answer
            inner.dataReceived(rest)
        self._ended(inner)

    def _fail(self, cause: Cause, en: str, zh: str) -> None:
        self._end_wait()
        self._ended(Failure(ProxyRefused(cause, en, zh)))
        self.abort()

    def abort(self) -> None:
        transport: Any = self.transport
        if transport is not None:
            transport.abortConnection()

    def _end_wait(self) -> None:
        late, self._late = self._late, None
        if late is not None and late.active():
            late.cancel()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._end_wait()
        if self._inner is not None:
            self._inner.connectionLost(reason)
        else:
            self._ended(Failure(ProxyRefused(Cause.CLOSED, "closed the connection", "关闭了连接")))


@implementer(IAgentEndpointFactory)
class ProxiedEndpoints:
    """The endpoints of an HTTP agent, all behind one proxy."""

    def __init__(self, reactor: Any, proxy: Proxy, tls: ClientTls) -> None:
        self._reactor, self._proxy, self._tls = reactor, proxy, tls

    def endpointForURI(self, uri: Any) -> IStreamClientEndpoint:  # noqa: N802 - of Twisted
        host, port = uri.host.decode("ascii"), uri.port
        to_proxy = self._proxy.endpoint(self._reactor, self._tls)
        tunnel = ThroughProxy(to_proxy, self._proxy, host.strip("[]"), port, self._reactor)
        if uri.scheme != b"https":
            return tunnel
        made: IStreamClientEndpoint = wrapClientTLS(
            self._tls.creatorForNetloc(uri.host, port), tunnel
        )
        return made
