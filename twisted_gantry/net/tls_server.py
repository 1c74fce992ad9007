"""TLS as a server: an `ssl:` endpoint, and the certificates that clients must show."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.hashes import SHA256
from OpenSSL import SSL
from OpenSSL.crypto import X509, X509StoreFlags
from twisted.internet.interfaces import (
    IAddress,
    IOpenSSLServerConnectionCreator,
    IProtocolFactory,
    IReactorTime,
)
from twisted.internet.protocol import connectionDone
from twisted.internet.ssl import trustRootFromCertificates
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.protocols.tls import BufferingTLSTransport, TLSMemoryBIOFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_gantry.net.addresses import host_of
from twisted_gantry.net.endpoints import without_tls
from twisted_gantry.net.pem import Pem, pair
from twisted_gantry.net.tls import SSL_EXPIRED, SSL_NOT_YET, distrust, known

Refused = Callable[[str, str], None]
"""Takes the address of a client whose handshake failed, and why."""

_HTTP = b"http/1.1"
_ASKED = SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT | SSL.VERIFY_CLIENT_ONCE


@dataclass(frozen=True)
class ServerTls:
    """The certificate of a listener with its key, and which clients may connect: those with a
    certificate of `client_ca`, with one of the SHA-256 `fingerprints` (hex), or with both.
    """

    certificate: Pem
    key: Pem
    client_ca: Pem | None = None
    fingerprints: frozenset[str] = frozenset()

    @classmethod
    def read(
        cls,
        listen: str,
        path_of: Callable[[str], Path],
        client_ca: Pem | None = None,
        fingerprints: frozenset[str] = frozenset(),
    ) -> "ServerTls | None":
        """Read the files of an `ssl:` endpoint; None for another. Raises ValueError."""
        _, files = without_tls(listen)
        if not listen.startswith("ssl:"):
            return None
        name = files.get("privateKey", "server.pem")
        key = Pem.read(path_of(name))
        certificate = Pem.read(path_of(files.get("certKey", name)))
        if "extraCertChain" in files:
            chain = Pem.read(path_of(files["extraCertChain"]))
            certificate = Pem(certificate.path, f"{certificate.content}\n{chain.content}")
        pair(certificate, key)
        return cls(certificate, key, client_ca, fingerprints)

    def factory(
        self, inner: IProtocolFactory, counts: Counter[str], refused: Refused, clock: IReactorTime
    ) -> IProtocolFactory:
        """Return a factory that serves `inner` over TLS. `counts` gains `certificate-refused` and
        `tls-failed`, for handshakes that did not succeed; `refused` learns why.
        """
        watched = _WatchFactory(inner, counts, refused)
        return _TlsFactory(_Creator(self), False, watched, clock)


class _Tls(BufferingTLSTransport):
    refused_for = ""


class _TlsFactory(TLSMemoryBIOFactory):
    protocol = _Tls
    noisy = False

    def buildProtocol(self, addr: IAddress | None) -> Any:
        inner = self.wrappedFactory.buildProtocol(addr)
        return None if inner is None else self.protocol(self, inner)


class _Watch(ProtocolWrapper):
    """Stands between TLS and HTTP, and tells how a handshake ended that did not succeed."""

    factory: "_WatchFactory"

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        tls: Any = self.transport
        error = reason.value
        if tls.refused_for:
            self.factory.note("certificate-refused", tls, tls.refused_for)
        elif isinstance(error, SSL.Error):
            count, why = _words(error)
            self.factory.note(count, tls, why)
        super().connectionLost(reason)  # type: ignore[no-untyped-call]


class _WatchFactory(WrappingFactory[_Watch]):
    protocol = _Watch
    noisy = False

    def __init__(self, inner: IProtocolFactory, counts: Counter[str], refused: Refused) -> None:
        super().__init__(inner)  # type: ignore[no-untyped-call]
        self._counts, self._refused = counts, refused

    def buildProtocol(self, addr: IAddress | None) -> Any:
        inner = self.wrappedFactory.buildProtocol(addr)
        return None if inner is None else self.protocol(self, inner)

    def note(self, count: str, transport: Any, why: str) -> None:
        self._counts[count] += 1
        self._refused(host_of(transport.getPeer()), why)


def _protocol(_: SSL.Connection, offered: list[bytes]) -> Any:
    return _HTTP if _HTTP in offered else SSL.NO_OVERLAPPING_PROTOCOLS


@implementer(IOpenSSLServerConnectionCreator)
class _Creator:
    def __init__(self, tls: ServerTls) -> None:
        roots = [] if tls.client_ca is None else tls.client_ca.certificates
        trusted = [known(X509.from_cryptography(each)) for each in roots]
        trust = trustRootFromCertificates(trusted) if trusted else None
        self._options = pair(tls.certificate, tls.key).options(trust)
        # Twisted's own choice ends the handshake of a client that offers what no factory names.
        self._options.getContext().set_alpn_select_callback(_protocol)
        self._by_authority, self._allowed = bool(roots), tls.fingerprints
        if roots:
            store = self._options.getContext().get_cert_store()
            assert store is not None
            store.set_flags(X509StoreFlags.PARTIAL_CHAIN)

    def serverConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:  # noqa: N802, N803
        connection = self._options.serverConnectionForTLS(tlsProtocol)
        if not (self._by_authority or self._allowed):
            return connection

        def judge(_: SSL.Connection, shown: X509, error: int, depth: int, good: int) -> bool:
            try:
                why = self._judge(shown, 0 if good else error, depth)
            except Exception as odd:  # whatever cannot be judged is not allowed
                why = f"its certificate cannot be read ({type(odd).__name__})"
            tlsProtocol.refused_for = tlsProtocol.refused_for or why
            return not why

        connection.set_verify(_ASKED, judge)
        return connection

    def _judge(self, shown: X509, error: int, depth: int) -> str:
        """Return why a certificate in the chain of a client is refused, empty if it is not."""
        certificate = shown.to_cryptography()
        if error and (self._by_authority or error in (SSL_EXPIRED, SSL_NOT_YET)):
            name = certificate.subject.rfc4514_string()[:100]
            why = distrust(error, certificate, "client_ca").en
            return f"its certificate {name!r} is refused: {why}"
        fingerprint = certificate.fingerprint(SHA256()).hex()
        if depth == 0 and self._allowed and fingerprint not in self._allowed:
            return f"its certificate {fingerprint} is not among allowed_certificates"
        return ""


_WORDS = (
    ("did not return a certificate", "certificate-refused", "it shows no certificate"),
    ("http request", "tls-failed", "it does not speak TLS"),
    ("wrong version number", "tls-failed", "it does not speak TLS"),
    ("unknown ca", "tls-failed", "it does not trust the authority of our certificate"),
    ("bad certificate", "tls-failed", "it refuses our certificate"),
    ("certificate unknown", "tls-failed", "it refuses our certificate"),
    ("unsupported protocol", "tls-failed", "it speaks an old TLS alone; 1.2 or later is needed"),
)


def _words(error: SSL.Error) -> tuple[str, str]:
    """Return the count of a failed handshake, and the reason in words."""
    parts = error.args[0] if error.args and isinstance(error.args[0], list) else []
    text = ", ".join(str(part[-1]) for part in parts if part)[:200]
    for part, count, words in _WORDS:
        if part in text:
            return count, words
    return "tls-failed", f"TLS failed: {text or 'closed'}"
