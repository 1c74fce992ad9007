"""Certificates for tests: an authority, and what it signs for hosts and clients, odd ones too."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

DAY = timedelta(days=1)


class Signed:
    """A certificate, its chain below the authority, and its key."""

    def __init__(self, key: EllipticCurvePrivateKey, *chain: x509.Certificate) -> None:
        self.key, self.chain = key, chain

    @property
    def pem(self) -> bytes:
        return b"".join(each.public_bytes(Encoding.PEM) for each in self.chain)

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    @property
    def fingerprint(self) -> str:
        return self.chain[0].fingerprint(SHA256()).hex()

    def write(self, folder: Path, name: str) -> tuple[Path, Path]:
        """Write `<name>.pem` and `<name>.key`; returns both paths."""
        certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
        certificate.write_bytes(self.pem)
        key.write_bytes(self.key_pem)
        return certificate, key


class Authority:
    """Signs certificates; the one of itself is `pem`."""

    def __init__(self, name: str = "authority.example") -> None:
        self._key = generate(SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.own = _sign(self._name, self._name, self._key, self._key, is_ca=True)
        self.pem = self.own.public_bytes(Encoding.PEM)

    def sign(self, *names: str, cn: str = "host.example", **given: Any) -> Signed:
        """Return a certificate for `names`: `DNS:…` or `IP:…`; none at all without a name. `first`
        and `last` are the ends of its validity.
        """
        key = generate(SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, cn)])
        made = _sign(subject, self._name, key, self._key, names=names, **given)
        return Signed(key, made)


def self_signed(*names: str, cn: str = "host.example") -> Signed:
    key = generate(SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, cn)])
    return Signed(key, _sign(name, name, key, key, names=names))


def _sign(
    subject: x509.Name,
    issuer: x509.Name,
    key: EllipticCurvePrivateKey,
    signer: EllipticCurvePrivateKey,
    *,
    names: tuple[str, ...] = (),
    is_ca: bool = False,
    first: datetime | None = None,
    last: datetime | None = None,
) -> x509.Certificate:
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(first or now - DAY)
        .not_valid_after(last or now + 90 * DAY)
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
    )
    if names:
        extension = x509.SubjectAlternativeName([_name_of(name) for name in names])
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(signer, SHA256())


def _name_of(text: str) -> x509.GeneralName:
    kind, _, name = text.partition(":")
    return x509.DNSName(name) if kind == "DNS" else x509.IPAddress(ip_address(name))
