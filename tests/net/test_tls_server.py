"""An `ssl:` listener: whose handshake is refused, what is counted, and what is said."""

import ssl
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.web.resource import Resource
from twisted.web.server import Request

from tests.authority import DAY, Authority, Signed, self_signed
from tests.net.http.test_client_tls import LATE
from twisted_gantry.net.http.server import Limits, bounded_site
from twisted_gantry.net.pem import Pem
from twisted_gantry.net.tls_server import ServerTls

SITE, OTHER = Authority(), Authority("other.example")
SERVER = SITE.sign("DNS:localhost")
CLIENT, STRANGER, OWN = SITE.sign(cn="platform"), OTHER.sign(cn="stranger"), self_signed(cn="own")
EXPIRED = SITE.sign(cn="old", first=LATE - 9 * DAY, last=LATE)


class Root(Resource):
    isLeaf = True

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.asked = 0

    def render(self, request: Request) -> bytes:
        """Count what came through."""
        self.asked += 1
        return b"secure" if request.isSecure() else b"plain"


class Listening:
    def __init__(self, folder: Path, **allowed: Any) -> None:
        certificate, key = SERVER.write(folder, "server")
        listen = f"ssl:0:privateKey={key}:certKey={certificate}"
        tls = ServerTls.read(listen, Path, **allowed)
        assert tls is not None
        self.root, self.counts = Root(), Counter[str]()
        self.refused: list[tuple[str, str]] = []
        from twisted.internet import reactor

        self.loop: Any = reactor
        self.site: Any = bounded_site(self.root, self.loop, Limits(), self.counts)
        self.factory = tls.factory(self.site, self.counts, self._refused, self.loop)

    def _refused(self, host: str, why: str) -> None:
        self.refused.append((host, why))

    @asynccontextmanager
    async def served(self) -> AsyncIterator[int]:
        endpoint = TCP4ServerEndpoint(self.loop, 0, interface="127.0.0.1")
        port = await endpoint.listen(self.factory)
        try:
            yield port.getHost().port
            while self.site.protocols:
                await deferLater(self.loop, 0.001)
        finally:
            await port.stopListening()


def ask(
    folder: Path, port: int, signed: Signed | None, alpn: str = "http/1.1", ca: bytes = SITE.pem
) -> str:
    """Ask as another program does, by Python's own TLS; returns the last word of the answer."""
    context = ssl.create_default_context(cadata=ca.decode())
    context.set_alpn_protocols(["h2", alpn])  # as curl and browsers do
    if signed is not None:
        context.load_cert_chain(*signed.write(folder, "client"))
    import socket

    try:
        with (
            socket.create_connection(("127.0.0.1", port), 10) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as secure,
        ):
            secure.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            answer = b""
            while data := secure.recv(4096):
                answer += data
            return answer.rpartition(b"\r\n")[2].decode()
    except (ssl.SSLError, ConnectionError) as error:
        return type(error).__name__


def in_thread(folder: Path, port: int, signed: Signed | None) -> "Deferred[str]":
    return deferToThread(ask, folder, port, signed)


BY_AUTHORITY = {"client_ca": Pem("ca.pem", SITE.pem.decode())}
BY_PRINT = {"fingerprints": frozenset({OWN.fingerprint, CLIENT.fingerprint, EXPIRED.fingerprint})}
NOBODY_ELSE = {**BY_AUTHORITY, "fingerprints": frozenset({CLIENT.fingerprint})}


@pytest.mark.parametrize(
    ("allowed", "signed"),
    [
        ({}, None),
        ({}, STRANGER),
        (BY_AUTHORITY, CLIENT),
        (BY_PRINT, CLIENT),
        (BY_PRINT, OWN),
        (NOBODY_ELSE, CLIENT),
    ],
)
async def test_who_is_allowed_is_served(
    tmp_path: Path, allowed: dict[str, Any], signed: Signed | None
) -> None:
    """Without settings anybody; else by authority, by fingerprint, or by both."""
    listening = Listening(tmp_path, **allowed)
    async with listening.served() as port:
        assert await in_thread(tmp_path, port, signed) == "secure"
    assert listening.refused == []
    assert listening.counts["certificate-refused"] == listening.counts["tls-failed"] == 0


@pytest.mark.parametrize(
    ("allowed", "signed", "told"),
    [
        (BY_AUTHORITY, None, "it shows no certificate"),
        (BY_PRINT, None, "it shows no certificate"),
        (
            BY_AUTHORITY,
            STRANGER,
            "is not trusted here (CN=other.example); set client_ca",
        ),
        (BY_AUTHORITY, OWN, "it is self-signed"),
        (BY_AUTHORITY, EXPIRED, f"it expired on {LATE.date()}"),
        (BY_PRINT, STRANGER, "is not among allowed_certificates"),
        (BY_PRINT, EXPIRED, f"it expired on {LATE.date()}"),
        (NOBODY_ELSE, OWN, "it is self-signed"),
        (NOBODY_ELSE, SITE.sign(cn="another"), "is not among allowed_certificates"),
    ],
    ids=range(9),  # a fingerprint is another in each process
)
async def test_who_is_not_allowed_is_refused(
    tmp_path: Path, allowed: dict[str, Any], signed: Signed | None, told: str
) -> None:
    """The handshake fails, no request is looked at, and the refusal is counted with its reason."""
    listening = Listening(tmp_path, **allowed)
    async with listening.served() as port:
        assert await in_thread(tmp_path, port, signed) in ("SSLError", "ConnectionResetError")
    assert listening.root.asked == 0
    [(host, why)] = listening.refused
    assert host == "127.0.0.1"
    assert told in why
    if signed is not None and "allowed_certificates" in told:
        assert signed.fingerprint in why
    assert listening.counts["certificate-refused"] == 1


@pytest.mark.parametrize("alpn", ["http/1.1", "h2", "spdy/1", "x"])
async def test_what_a_client_would_rather_speak_is_no_fault(tmp_path: Path, alpn: str) -> None:
    """HTTP/1.1 is spoken whatever a client offers by ALPN."""
    listening = Listening(tmp_path)
    async with listening.served() as port:
        assert await deferToThread(ask, tmp_path, port, None, alpn) == "secure"


async def test_a_client_without_tls_is_said(tmp_path: Path) -> None:
    """Plain HTTP at an `ssl:` port is no refused certificate."""
    import socket

    def plain(port: int) -> bytes:
        with socket.create_connection(("127.0.0.1", port), 10) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            return client.recv(100)

    listening = Listening(tmp_path)
    async with listening.served() as port:
        await deferToThread(plain, port)
    assert listening.refused == [("127.0.0.1", "it does not speak TLS")]
    assert (listening.counts["tls-failed"], listening.root.asked) == (1, 0)


async def test_connections_past_the_bound_are_closed(tmp_path: Path) -> None:
    """The bound of the HTTP server holds before any handshake."""
    listening = Listening(tmp_path)
    listening.factory.wrappedFactory.buildProtocol = lambda addr: None  # type: ignore[attr-defined]
    async with listening.served() as port:
        assert await in_thread(tmp_path, port, None) != "secure"
