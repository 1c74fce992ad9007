"""TLS as a client: certificates from files, and no byte to a host that cannot be verified.

Twisted 26.10 lets a certificate pass whose names service_identity cannot read: none, an IP address
in a DNS name, odd wildcards. Here whatever is not verified is refused, and said in plain words.
"""

from collections.abc import Callable
from datetime import datetime
from functools import cached_property
from ipaddress import ip_address
from typing import Any, NamedTuple

from cryptography import x509
from OpenSSL import SSL
from OpenSSL.crypto import X509, X509StoreFlags
from service_identity import CertificateError, VerificationError
from service_identity.hazmat import (
    DNS_ID,
    DNSPattern,
    IPAddress_ID,
    IPAddressPattern,
    verify_service_identity,
)
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.ssl import (
    Certificate,
    CertificateOptions,
    platformTrust,
    trustRootFromCertificates,
)
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from twisted.web.iweb import IPolicyForHTTPS
from zope.interface import implementer

from twisted_gantry.net.outage import Cause, Outage
from twisted_gantry.net.pem import SYSTEM, TlsSettings, pair

Seen = Callable[[str, datetime], None]
"""Takes a host with which a connection was made, and when its certificate expires."""


class Said(NamedTuple):
    """A text in both languages."""

    en: str
    zh: str


class CertificateRefused(Exception):
    """A host could not be verified; the text has the host, the reason and what to change."""

    def __init__(self, host: str, why: Said) -> None:
        en, zh = f"the certificate of {host} is refused: {why.en}", f"{host} 的证书被拒绝：{why.zh}"
        super().__init__(en)
        self.outage = Outage(Cause.TLS, en, zh)


def known(certificate: X509) -> Certificate:
    return Certificate(certificate)


@implementer(IPolicyForHTTPS)
class ClientTls:
    """Verifies each host by name and authority. `seen` learns of the hosts that were verified.
    Raises ValueError for files that cannot be used.
    """

    def __init__(self, settings: TlsSettings | None = None, seen: Seen = lambda *_: None) -> None:
        self._settings, self._seen = settings or TlsSettings(), seen

    @cached_property
    def options(self) -> CertificateOptions:
        """Whom to trust and what to show. Raises ValueError."""
        ca, own = self._settings.ca, self._settings.client_cert
        trusted = None if ca is None or ca == SYSTEM else ca.certificates
        roots = [X509.from_cryptography(each) for each in trusted or ()]
        trust = trustRootFromCertificates(map(known, roots)) if roots else platformTrust()
        key = self._settings.client_key
        if own is None or key is None:
            options = CertificateOptions(trustRoot=trust)
        else:
            options = pair(own, key).options(trust)
        if roots:  # what the file has is trusted, also an authority below another
            store = options.getContext().get_cert_store()
            assert store is not None
            store.set_flags(X509StoreFlags.PARTIAL_CHAIN)
        return options

    def creatorForNetloc(self, hostname: bytes, port: int) -> "_Verified":  # noqa: N802
        return _Verified(self.options, hostname.decode("ascii"), self._seen)


@implementer(IOpenSSLClientConnectionCreator)
class _Verified:
    """Connections to one host, which end unless its certificate is verified."""

    def __init__(self, options: CertificateOptions, host: str, seen: Seen) -> None:
        self._options, self._seen = options, seen
        self._host = host.strip("[]").partition("%")[0].rstrip(".").lower()

    def clientConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:  # noqa: N802, N803
        connection = self._options.clientConnectionForTLS(tlsProtocol)
        if not _is_address(self._host):
            connection.set_tlsext_host_name(self._host.encode("idna"))
        refused = tlsProtocol.failVerification

        def judge(_: SSL.Connection, shown: X509, error: int, depth: int, good: int) -> bool:
            try:
                certificate = shown.to_cryptography()
                why = None if good else distrust(error, certificate, "ca")
                if why is None and depth == 0:
                    why = wrong_names(certificate, self._host)
                if why is None and depth == 0:
                    self._seen(self._host, certificate.not_valid_after_utc)
            except Exception as odd:  # whatever cannot be judged is not verified
                kind = type(odd).__name__
                why = Said(f"it cannot be read ({kind})", f"无法读取（{kind}）")
            if why is not None:
                refused(Failure(CertificateRefused(self._host, why)))  # type: ignore[no-untyped-call]
            return why is None

        connection.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, judge)
        return connection


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def wrong_names(certificate: x509.Certificate, host: str) -> Said | None:
    """Return why a certificate is not that of `host`, None if it is. Names that no rule allows
    count for nothing.
    """
    names = _names_of(certificate)
    wanted = IPAddress_ID(host) if _is_address(host) else DNS_ID(host)
    try:
        verify_service_identity([pattern for _, pattern in names if pattern], [wanted], [])
    except (CertificateError, VerificationError):
        told = ", ".join(text for text, _ in names[:5])
        return Said(
            f"it is for other names ({told or 'none in its subjectAltName'}); use one of its names"
            f" in the URL or address, or have a certificate made for {host}",
            f"证书属于其他名称（{told or 'subjectAltName为空'}）；请在地址中使用其中的名称，"
            f"或为 {host} 签发证书",
        )
    return None


def _names_of(certificate: x509.Certificate) -> list[tuple[str, Any]]:
    """Return the names of a certificate as text, each with its pattern, None if it is none."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    names: list[tuple[str, Any]] = []
    for each in found:
        if isinstance(each, x509.DNSName):
            try:
                if each.value != each.value.strip():
                    raise CertificateError("blanks")
                names.append((each.value[:100], DNSPattern.from_bytes(each.value.encode("ascii"))))
            except (CertificateError, UnicodeError):
                names.append((f"{each.value[:100]!r}, which is no host name", None))
        elif isinstance(each, x509.IPAddress) and not hasattr(each.value, "netmask"):
            names.append((str(each.value), IPAddressPattern(each.value)))
    return names


_UNKNOWN = Said(
    "its authority is not trusted here ({issuer}); {set_ca}",
    "签发机构（{issuer}）不受信任；{set_ca}",
)
_DISTRUST = {
    2: _UNKNOWN,
    7: Said("its signature is wrong; {set_ca}", "签名错误；{set_ca}"),
    18: Said(
        "it is self-signed; {set_ca}, here that certificate itself",
        "证书为自签名；{set_ca}（即该证书本身）",
    ),
    19: _UNKNOWN,
    20: _UNKNOWN,
    21: _UNKNOWN,
    24: Said(
        "an authority above it may not sign certificates (no CA); its owner must mend that",
        "上级证书无签发权（非CA），须由其所有者更正",
    ),
    26: Said(
        "it may not be used for this; its owner must mend that", "证书用途不符，须由其所有者更正"
    ),
}


def distrust(error: int, certificate: x509.Certificate, setting: str) -> Said:
    """Return in words what OpenSSL has against a certificate, by its number of the error.
    `setting` names the file of the authorities.
    """
    if error == SSL_EXPIRED:
        day = certificate.not_valid_after_utc.date().isoformat()
        return Said(
            f"it expired on {day}: its owner must renew it, or the clock here is wrong",
            f"已于{day}过期：须更换证书，或本机时钟有误",
        )
    if error == SSL_NOT_YET:
        day = certificate.not_valid_before_utc.date().isoformat()
        return Said(
            f"it is not valid before {day}: the clock here may be wrong",
            f"{day}起才生效：本机时钟可能有误",
        )
    issuer = "".join(c for c in certificate.issuer.rfc4514_string()[:100] if c.isprintable())
    said = _DISTRUST.get(error)
    if said is None:
        said = Said(f"OpenSSL gives error {error}; {{set_ca}}", f"OpenSSL错误{error}；{{set_ca}}")
    return Said(
        said.en.format(
            issuer=issuer, set_ca=f"set {setting} to the PEM file of the authority that signed it"
        ),
        said.zh.format(issuer=issuer, set_ca=f"将{setting}设为签发机构的PEM文件"),
    )


SSL_NOT_YET, SSL_EXPIRED = 9, 10

_NO_TLS = Said("the server does not speak TLS at this port", "该端口不支持TLS")
_OLD_TLS = Said(
    "the server speaks an old TLS alone; 1.2 or later is needed", "服务器只支持旧版TLS，需要1.2以上"
)
_OURS = Said("the server refuses our client_cert", "服务器拒绝本机的client_cert")
_TLS_WORDS = (
    (
        "certificate required",
        Said(
            "the server asks for a certificate: set client_cert and client_key",
            "服务器要求客户端证书：请设置client_cert和client_key",
        ),
    ),
    (
        "handshake failure",
        Said(
            "the server refuses the handshake: it may ask for client_cert",
            "服务器拒绝握手：可能要求client_cert",
        ),
    ),
    (
        "unknown ca",
        Said(
            "the server does not trust the authority of our client_cert",
            "服务器不信任本机client_cert的签发机构",
        ),
    ),
    ("bad certificate", _OURS),
    ("certificate expired", Said("our client_cert has expired", "本机client_cert已过期")),
    ("certificate unknown", _OURS),
    ("access denied", _OURS),
    ("wrong version number", _NO_TLS),
    ("record layer failure", _NO_TLS),
    ("http request", _NO_TLS),
    ("unsupported protocol", _OLD_TLS),
    ("protocol version", _OLD_TLS),
)


def tls_words(error: BaseException | None) -> Said:
    """Return an error of OpenSSL in words."""
    given = error.args if isinstance(error, SSL.Error) else ()
    parts = given[0] if given and isinstance(given[0], list) else []
    texts = [str(part[-1]) for part in parts if part]
    for text in texts:
        for part, words in _TLS_WORDS:
            if part in text:
                return Said(f"{words.en} (TLS: {text})", f"{words.zh}（TLS：{text}）")
    told = ", ".join(texts)
    return Said(f"TLS failed: {told or 'closed'}", f"TLS失败：{told or '连接被关闭'}")
