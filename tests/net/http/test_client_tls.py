"""https: a host that is not verified gets no byte of a request; the error says what to do."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from OpenSSL.crypto import X509, PKey
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import SSL4ServerEndpoint, connectProtocol
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.ssl import Certificate, CertificateOptions, trustRootFromCertificates
from twisted.python.failure import Failure

from tests.authority import DAY, Authority, Signed, self_signed
from twisted_gantry.net.endpoints import client_endpoint
from twisted_gantry.net.http.client import (
    BoundedClient,
    NoAnswer,
    NotConnected,
    persistent_pool,
    treq_client,
)
from twisted_gantry.net.pem import Pem, TlsSettings
from twisted_gantry.net.tls import ClientTls

SITE, OTHER = Authority(), Authority("other.example")
LATE = datetime.now(UTC) - DAY
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Server(Factory):
    """Answers each request over TLS, and keeps what it could read."""

    noisy = False

    def __init__(self) -> None:
        self.got = bytearray()
        self.closed: Deferred[None] = Deferred()

    def buildProtocol(self, addr: Any) -> Protocol:
        server = self

        class Served(Protocol):
            def dataReceived(self, data: bytes) -> None:
                server.got += data
                assert self.transport is not None
                self.transport.write(ANSWER)

            def connectionLost(self, reason: Failure = connectionDone) -> None:
                if not server.closed.called:
                    server.closed.callback(None)

        return Served()


@asynccontextmanager
async def serving(signed: Signed, **options: Any) -> AsyncIterator[tuple[Any, Server, int]]:
    """Serve over TLS on loopback; yields the reactor, the server and its port."""
    from twisted.internet import reactor

    loop: Any = reactor
    server = Server()
    context = CertificateOptions(
        certificate=X509.from_cryptography(signed.chain[0]),
        privateKey=PKey.from_cryptography_key(signed.key),
        **options,
    )
    port = await SSL4ServerEndpoint(loop, 0, context, interface="127.0.0.1").listen(server)
    try:
        yield loop, server, port.getHost().port
        await server.closed
    finally:
        await port.stopListening()


def trusting(*pems: bytes, **keys: Any) -> TlsSettings:
    return TlsSettings(ca=Pem("ca.pem", b"".join(pems).decode()), **keys)


async def ask(loop: Any, host: str, port: int, tls: ClientTls) -> Any:
    """Send a request that no stranger may read."""
    pool = persistent_pool(loop)
    client = BoundedClient(treq_client(loop, pool, tls=tls), loop)
    headers = {"binfile-auth": "very-secret"}
    try:
        url = f"https://{host}:{port}/monitor.do"
        return await client.request("POST", url, headers=headers, body=b"{}")
    finally:
        await pool.closeCachedConnections()


@pytest.mark.parametrize(
    ("host", "names", "told"),
    [
        ("localhost", (), "none in its subjectAltName"),
        ("127.0.0.1", (), "none in its subjectAltName"),
        ("localhost", ("DNS:10.9.9.9",), "'10.9.9.9', which is no host name"),
        ("127.0.0.1", ("DNS:127.0.0.1",), "'127.0.0.1', which is no host name"),
        ("localhost", ("DNS:*",), "'*', which is no host name"),
        ("localhost", ("DNS:*.*",), "'*.*', which is no host name"),
        ("localhost", ("DNS:*.*.example",), "'*.*.example', which is no host name"),
        ("localhost", ("DNS:a.*.example",), "'a.*.example', which is no host name"),
        ("localhost", ("DNS:*.example",), "'*.example', which is no host name"),
        ("localhost", ("DNS:l*",), "'l*', which is no host name"),
        ("localhost", ("DNS:",), "'', which is no host name"),
        ("localhost", ("DNS: localhost",), "' localhost', which is no host name"),
        ("localhost", ("DNS:localhost.",), "localhost."),
        ("localhost", ("DNS:localhost.example",), "localhost.example"),
        ("localhost", ("DNS:localhost\0.example",), "which is no host name"),
        ("localhost", ("IP:127.0.0.1",), "127.0.0.1"),
        ("127.0.0.1", ("IP:127.0.0.2", "DNS:localhost"), "127.0.0.2, localhost"),
        ("127.0.0.1", ("DNS:*.0.0.1",), "which is no host name"),
    ],
)
async def test_a_certificate_of_other_names_is_refused(
    host: str, names: tuple[str, ...], told: str
) -> None:
    """Whatever the names are, a trusted certificate that is not that host's gets no byte of it."""
    for cn in ("printer.other-office.example", host):  # a CN is no name of a host
        async with serving(SITE.sign(*names, cn=cn)) as (loop, server, port):
            with pytest.raises(NotConnected) as caught:
                await ask(loop, host, port, ClientTls(trusting(SITE.pem)))
        assert bytes(server.got) == b""
        assert str(caught.value).startswith(f"the certificate of {host} is refused: ")
        assert told in str(caught.value)
        assert "URL or address" in str(caught.value)


@pytest.mark.parametrize(
    ("signed", "told"),
    [
        (
            OTHER.sign("DNS:localhost"),
            "is not trusted here (CN=other.example); set ca",
        ),
        (self_signed("DNS:localhost"), "it is self-signed; set ca"),
        (SITE.sign("DNS:localhost", first=LATE - 9 * DAY, last=LATE), f"expired on {LATE.date()}"),
        (
            SITE.sign("DNS:localhost", first=LATE + 9 * DAY, last=LATE + 10 * DAY),
            f"it is not valid before {(LATE + 9 * DAY).date()}",
        ),
    ],
    ids=["wrong authority", "self-signed", "expired", "not yet valid"],
)
async def test_a_certificate_that_is_not_trusted_is_refused(signed: Signed, told: str) -> None:
    """The right name is not enough; the error has the reason and the setting to change."""
    async with serving(signed) as (loop, server, port):
        with pytest.raises(NotConnected) as caught:
            await ask(loop, "localhost", port, ClientTls(trusting(SITE.pem)))
    assert bytes(server.got) == b""
    assert "the certificate of localhost is refused: " in str(caught.value)
    assert told in str(caught.value)


async def test_without_a_setting_the_authorities_of_the_system_count() -> None:
    """No file of ours is an authority until it is one by `ca`."""
    async with serving(SITE.sign("DNS:localhost")) as (loop, server, port):
        with pytest.raises(NotConnected, match="set ca"):
            await ask(loop, "localhost", port, ClientTls())
    assert bytes(server.got) == b""


PINNED = self_signed("DNS:localhost")


@pytest.mark.parametrize(
    ("host", "signed", "ca"),
    [
        ("localhost", SITE.sign("DNS:localhost"), SITE.pem),
        ("LocalHost", SITE.sign("DNS:LOCALHOST"), SITE.pem),
        ("127.0.0.1", SITE.sign("IP:127.0.0.1"), SITE.pem),
        # an odd name beside a right one costs itself
        ("127.0.0.1", SITE.sign("DNS:127.0.0.1", "IP:127.0.0.1", "DNS:*"), SITE.pem),
        ("localhost", PINNED, PINNED.pem),
        ("localhost", SITE.sign("DNS:localhost"), b"# two\r\n" + OTHER.pem + b"\r\n" + SITE.pem),
    ],
    ids=["name", "case", "address", "odd names beside", "itself", "two authorities"],
)
async def test_a_host_that_is_verified_is_asked(host: str, signed: Signed, ca: bytes) -> None:
    """By name or address, with a known authority or itself as one; when it expires is told."""
    seen: list[tuple[str, datetime]] = []
    tls = ClientTls(trusting(ca), lambda name, expires: seen.append((name, expires)))
    async with serving(signed) as (loop, server, port):
        answer = await ask(loop, host, port, tls)
    assert (answer.status, answer.body) == (200, b"ok")
    assert b"binfile-auth: very-secret" in bytes(server.got).lower()
    assert seen == [(host.lower(), signed.chain[0].not_valid_after_utc)]


async def test_a_client_shows_its_certificate(tmp_path: Path) -> None:
    """A server that asks for a certificate gets that of the settings."""
    trust = trustRootFromCertificates([Certificate(X509.from_cryptography(SITE.own))])
    mine = SITE.sign(cn="gantry")
    certificate, key = (Pem.read(path) for path in mine.write(tmp_path, "client"))
    settings = trusting(SITE.pem, client_cert=certificate, client_key=key)
    async with serving(SITE.sign("DNS:localhost"), trustRoot=trust) as (loop, server, port):
        answer = await ask(loop, "localhost", port, ClientTls(settings))
    assert answer.status == 200
    async with serving(SITE.sign("DNS:localhost"), trustRoot=trust) as (loop, server, port):
        with pytest.raises(NoAnswer, match="set client_cert and client_key"):
            await ask(loop, "localhost", port, ClientTls(trusting(SITE.pem)))
    assert bytes(server.got) == b""


async def test_a_server_without_tls_is_said() -> None:
    """A plain port behind an https URL is named as what it is."""
    from twisted.internet import reactor
    from twisted.internet.endpoints import TCP4ServerEndpoint

    loop: Any = reactor
    server = Server()
    port = await TCP4ServerEndpoint(loop, 0, interface="127.0.0.1").listen(server)
    with pytest.raises(NoAnswer, match="the server does not speak TLS at this port"):
        await ask(loop, "localhost", port.getHost().port, ClientTls())
    await server.closed
    await port.stopListening()


@pytest.mark.parametrize("kind", ["tls", "ssl"])
@pytest.mark.parametrize("names", [("DNS:*",), ("DNS:localhost",)])
async def test_an_endpoint_is_verified_too(kind: str, names: tuple[str, ...]) -> None:
    """What is no HTTP, such as the Fogslink cloud, has the same rules: `ssl:` verifies as well."""
    lost: Deferred[Any] = Deferred()

    class Client(Protocol):
        def connectionMade(self) -> None:
            assert self.transport is not None
            self.transport.write(b"api-key\n")

        def dataReceived(self, data: bytes) -> None:
            assert self.transport is not None
            self.transport.loseConnection()

        def connectionLost(self, reason: Failure = connectionDone) -> None:
            lost.callback(None if reason.check(connectionDone.type) else str(reason.value))

    async with serving(SITE.sign(*names)) as (loop, server, port):
        text = f"{kind}:localhost:{port}"
        endpoint = client_endpoint(loop, text, ClientTls(trusting(SITE.pem)))
        await connectProtocol(endpoint, Client())
        why: Any = await lost
    if names == ("DNS:localhost",):
        assert (bytes(server.got), why) == (b"api-key\n", None)
    else:
        assert bytes(server.got) == b""
        assert why.startswith("the certificate of localhost is refused: ")
