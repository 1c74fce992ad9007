"""PEM files of certificates and keys, and the settings that name them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from OpenSSL import SSL
from OpenSSL.crypto import X509, PKey
from twisted.internet.ssl import CertificateOptions

from twisted_gantry.net.text_files import text_of

MOST_BYTES = 1024 * 1024  # of a PEM file


@dataclass(frozen=True)
class Pem:
    """A file of certificates or of a key: its path for messages, its content for what differs."""

    path: str
    content: str = field(repr=False)

    @classmethod
    def read(cls, path: Path) -> "Pem":
        """Read a file. Raises ValueError, which names the file and shows nothing of it."""
        try:
            with path.open("rb") as file:
                data = file.read(MOST_BYTES)
        except OSError as error:
            raise ValueError(f"the file {path} cannot be read: {error.strerror}") from None
        try:
            text = text_of(data).replace("\r\n", "\n")
        except UnicodeDecodeError:
            text = ""
        if "-----BEGIN " not in text:
            raise ValueError(f"the file {path} is no PEM file, which has a line -----BEGIN …-----")
        return cls(str(path), text)

    @cached_property
    def certificates(self) -> list[x509.Certificate]:
        """The certificates, that of the host first. Raises ValueError."""
        try:
            found = x509.load_pem_x509_certificates(self.content.encode())
        except ValueError:
            found = []
        if not found:
            raise ValueError(f"the file {self.path} has no certificate that can be read")
        return found

    @cached_property
    def key(self) -> PKey:
        """The private key. Raises ValueError."""
        try:
            return PKey.from_cryptography_key(load_pem_private_key(self.content.encode(), None))  # type: ignore[arg-type]
        except TypeError:
            raise ValueError(f"the key in {self.path} has a passphrase; save it without") from None
        except ValueError:
            raise ValueError(f"the file {self.path} has no private key that can be read") from None

    @property
    def expires(self) -> datetime:
        """When the first of the certificates expires. Raises ValueError."""
        return min(each.not_valid_after_utc for each in self.certificates)


SYSTEM = Pem("system", "")
"""The authorities that the system trusts, where others are the default."""


LATER = Pem("later", "")
"""A file that is not there yet, while a configuration is only checked."""


class TlsSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The keys of `[tls]`, and of each device and uplink that has a URL or a `tls:` endpoint: PEM
    files. `ca` replaces the authorities that the system trusts.
    """

    ca: Pem | None = None
    client_cert: Pem | None = None
    client_key: Pem | None = None


def with_defaults(settings: msgspec.Struct, given: TlsSettings) -> Any:
    """Return `settings` with the keys of `given` where they have none of their own."""
    if not isinstance(settings, TlsSettings):
        return settings
    changed: dict[str, Pem | None] = {"ca": settings.ca or given.ca}
    if settings.client_cert is None and settings.client_key is None:
        changed.update(client_cert=given.client_cert, client_key=given.client_key)
    return msgspec.structs.replace(settings, **changed)


def wrong_keys(settings: TlsSettings) -> dict[str, str]:
    """Return what is wrong with the files, by the key."""
    wrong: dict[str, str] = {}
    for key, pem in (("ca", settings.ca), ("client_cert", settings.client_cert)):
        if pem is not None and pem not in (SYSTEM, LATER):
            wrong[key] = wrong_pem(lambda pem=pem: pem.certificates)  # type: ignore[misc]
    certificate, key_file = settings.client_cert, settings.client_key
    if (certificate is None) != (key_file is None):
        missing = "client_key" if key_file is None else "client_cert"
        wrong[missing] = "is missing: client_cert and client_key belong together"
    elif key_file is not None and certificate is not None and key_file != LATER:
        wrong["client_key"] = wrong_pem(lambda: key_file.key)
        if certificate != LATER and not any(wrong.values()):
            wrong["client_key"] = wrong_pem(lambda: pair(certificate, key_file))
    return {key: text for key, text in wrong.items() if text}


def wrong_pem(read: Callable[[], object]) -> str:
    """Return the ValueError that `read` raises as a text, empty if it raises none."""
    try:
        read()
    except ValueError as error:
        return str(error)
    return ""


class Shown(NamedTuple):
    """What one shows of oneself: arguments of CertificateOptions."""

    certificate: X509
    key: PKey
    chain: list[X509]

    def options(self, trust: Any = None) -> CertificateOptions:
        """Return the options; `trust` is whom to trust, None for nobody asked."""
        return CertificateOptions(
            privateKey=self.key,
            certificate=self.certificate,
            extraCertChain=self.chain,
            trustRoot=trust,
        )


def pair(certificate: Pem, key: Pem) -> Shown:
    """Return a certificate with its chain and its key. Raises ValueError if they do not fit."""
    first, *chain = [X509.from_cryptography(each) for each in certificate.certificates]
    shown = Shown(first, key.key, chain)
    try:
        shown.options().getContext()
    except SSL.Error:
        raise ValueError(f"the key in {key.path} does not belong to {certificate.path}") from None
    return shown
