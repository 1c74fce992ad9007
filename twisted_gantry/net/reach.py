"""The way to a peer, tried step by step: its name, a connection, TLS. Each step is bounded.

A step makes a connection of its own, says nothing and closes it. The caller decides when that may
be: a peer with room for one session must not be tried while the session stands.
"""

import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as TooLate
from twisted.internet.endpoints import HostnameEndpoint, clientFromString, wrapClientTLS
from twisted.internet.interfaces import (
    IAddress,
    IHandshakeListener,
    IHostResolution,
    IResolutionReceiver,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_gantry.net.outage import Cause, Outage, lost, no_connection_within, outage, outage_of
from twisted_gantry.net.pem import TlsSettings
from twisted_gantry.net.tls import ClientTls, Seen

NAME_WITHIN, CONNECT_WITHIN, TLS_WITHIN = 10.0, 5.0, 5.0  # seconds

_ENDPOINT = re.compile(
    r"(?P<kind>tcp6?|tls|ssl):(host=)?(?P<host>([^:=\\]|\\:)+):(port=)?(?P<port>[0-9]{1,5})(:.*)?"
)
_HOSTNAME = re.compile(r":hostname=(?P<name>([^:=\\]|\\:)+)")


@dataclass(frozen=True)
class Peer:
    """Where a peer is: `text` for people, `host` and `port`; host empty for a UNIX socket or
    another endpoint `text`. `tls` is None without TLS; `name` is the host that TLS verifies.
    """

    text: str
    host: str = ""
    port: int = 0
    tls: ClientTls | None = None
    name: str = ""

    @property
    def is_address(self) -> bool:
        """Whether there is no name to be looked up."""
        try:
            ip_address(self.host.partition("%")[0])
        except ValueError:
            return not self.host
        return True


def peer_of(settings: Any, seen: Seen = lambda *_: None) -> Peer | None:
    """Return the peer that settings name in `address`, an endpoint, or in `url`; None for none."""
    tls = ClientTls(settings if isinstance(settings, TlsSettings) else None, seen)
    address, url = getattr(settings, "address", ""), getattr(settings, "url", "")
    if isinstance(address, str) and address:
        return _of_endpoint(address, tls)
    if isinstance(url, str) and url:
        return _of_url(url, tls)
    return None


def _of_endpoint(text: str, tls: ClientTls) -> Peer:
    found = _ENDPOINT.fullmatch(text)
    if found is None:
        return Peer(text)
    host, port = found["host"].replace("\\:", ":"), int(found["port"])
    secure = found["kind"] in ("tls", "ssl")
    named = _HOSTNAME.search(text)
    name = named["name"].replace("\\:", ":") if named else host
    return Peer(_shown(host, port), host, port, tls if secure else None, name)


def _of_url(url: str, tls: ClientTls) -> Peer | None:
    try:
        parts = urlsplit(url if "//" in url else f"http://{url}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return None
    secure = parts.scheme == "https"
    port = port or (443 if secure else 80)
    return Peer(_shown(host, port), host, port, tls if secure else None, host)


def _shown(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@implementer(IResolutionReceiver)
class _Addresses:
    def __init__(self) -> None:
        self.done: Deferred[list[str]] = Deferred()
        self._found: list[str] = []

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:  # noqa: N802, N803
        """Nothing to do."""

    def addressResolved(self, address: IAddress) -> None:  # noqa: N802
        if isinstance(address, IPv4Address | IPv6Address):
            self._found.append(address.host)

    def resolutionComplete(self) -> None:  # noqa: N802
        if not self.done.called:
            self.done.callback(self._found)


async def look_up(reactor: Any, peer: Peer) -> list[str] | Outage:
    """Return the addresses of the peer's name, at least one."""
    receiver = _Addresses()
    reactor.nameResolver.resolveHostName(receiver, peer.host)
    try:
        found = await receiver.done.addTimeout(NAME_WITHIN, reactor)
    except TooLate:
        en = f"the name server does not answer within {NAME_WITHIN:g} s"
        zh = f"域名服务器在{NAME_WITHIN:g}秒内无应答"
        return outage(Cause.NAME_UNKNOWN, en=en, zh=zh)
    return found or outage(Cause.NAME_UNKNOWN, peer.host)


async def connect(reactor: Any, peer: Peer) -> Outage | None:
    """Connect and close again."""
    endpoint = (
        HostnameEndpoint(reactor, peer.host.encode("idna"), peer.port, timeout=CONNECT_WITHIN)
        if peer.host
        else clientFromString(reactor, peer.text)
    )
    attempt: Deferred[Any] = endpoint.connect(_factory(_Greeting))
    try:
        connection: _Greeting = await attempt.addTimeout(CONNECT_WITHIN, reactor)
    except TooLate:
        return no_connection_within(CONNECT_WITHIN)
    except Exception as error:  # endpoints are plugins, and fail in many ways
        return outage_of(error)
    connection.close()
    return None


async def handshake(reactor: Any, peer: Peer) -> Outage | None:
    """Connect, make TLS and close again; the peer must have TLS."""
    assert peer.tls is not None
    plain = HostnameEndpoint(reactor, peer.host.encode("idna"), peer.port, timeout=CONNECT_WITHIN)
    creator = peer.tls.creatorForNetloc(peer.name.encode("idna"), peer.port)
    endpoint = wrapClientTLS(creator, plain, reactor)
    attempt: Deferred[Any] = endpoint.connect(_factory(_Secured))
    try:
        connection: _Secured = await attempt.addTimeout(CONNECT_WITHIN, reactor)
        await connection.made.addTimeout(TLS_WITHIN, reactor, connection.late)
    except TooLate:
        en, zh = f"no TLS within {TLS_WITHIN:g} s", f"{TLS_WITHIN:g}秒内未完成TLS握手"
        return outage(Cause.TLS, en=en, zh=zh)
    except Exception as error:
        found = outage_of(error)
        return outage(Cause.TLS) if found.cause is Cause.CLOSED else found
    connection.close()
    return None


def _factory(protocol: type[Protocol]) -> Factory[Protocol]:
    factory = Factory.forProtocol(protocol)
    factory.noisy = False
    return factory


class _Greeting(Protocol):
    """A connection that says nothing."""

    def close(self) -> None:
        transport: Any = self.transport
        transport.loseConnection()


@implementer(IHandshakeListener)
class _Secured(_Greeting):
    """A connection with TLS; `made` fires after the handshake."""

    def __init__(self) -> None:
        self.made: Deferred[None] = Deferred()

    def handshakeCompleted(self) -> None:  # noqa: N802
        if not self.made.called:
            self.made.callback(None)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if not self.made.called:
            self.made.errback(_Failed(lost(outage_of(reason.value), b"", heard=False)))

    def late(self, result: Any, _: float) -> Any:
        """Cut a handshake that takes too long."""
        transport: Any = self.transport
        transport.abortConnection()
        raise TooLate


class _Failed(Exception):
    def __init__(self, why: Outage) -> None:
        super().__init__(str(why))
        self.outage = why
