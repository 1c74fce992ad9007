"""The keys of the manhole: the host key, and the authorized keys of operators."""

import os
import re
import stat
from codecs import BOM_UTF8
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from twisted.conch.checkers import IAuthorizedKeysDB, SSHPublicKeyChecker
from twisted.conch.error import ConchError, ValidPublicKey
from twisted.conch.ssh.keys import FingerprintFormats, Key
from twisted.cred.error import UnauthorizedLogin
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_gantry.manhole.service import CannotOpen

_log = Logger(namespace="twisted_gantry.manhole")

USER = b"gantry"  # the login name of every operator; the comment of the key tells them apart

MAX_KEYS_SIZE = 65_536  # the part of a file of keys that is read, in bytes

_NOT_A_NAME = re.compile(r"[^A-Za-z0-9._@-]+")


def host_key(path: Path) -> Key:
    """Return the key in `path`; a missing one is made, ed25519 and mode 600. Raises CannotOpen."""
    try:
        _make_host_key(path)
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise CannotOpen(f"the host key {path} can be read by others: chmod 600 {path}")
        key: Key = Key.fromString(path.read_bytes())
    except OSError as error:
        raise CannotOpen(f"the host key {path} cannot be used: {error.strerror}") from None
    except CannotOpen:
        raise
    except Exception:  # the parser of keys fails in many ways
        raise CannotOpen(f"{path} is no host key that can be used") from None
    return key


def _make_host_key(path: Path) -> None:
    # An elliptic key takes under a millisecond, so it may be made in the reactor's thread.
    if path.exists():
        return
    text = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.OpenSSH,
        serialization.NoEncryption(),
    )
    part = path.with_name(path.name + ".new")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.rename(path)
    key = Key.fromString(text)
    _log.info("made the host key {path}: {print}", path=str(path), print=_fingerprint(key))


def _fingerprint(key: Key) -> str:
    return f"SHA256:{key.fingerprint(FingerprintFormats.SHA256_BASE64)}"


@implementer(IAuthorizedKeysDB)
class AuthorizedKeys:
    """A file in the format of OpenSSH, read at each login: a removed key is refused at once.

    Lines with options (`from="…" ssh-ed25519 …`) are skipped: the manhole does not implement them.
    Raises CannotOpen if the file holds no key at the start.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            entries, unused = self._read()
        except OSError as error:
            raise CannotOpen(
                f"the manhole needs the public keys of its operators, a line each, in {path}:"
                f" {error.strerror}"
            ) from None
        for number in unused:
            _log.warn("line {number} of {path} is not used", number=number, path=str(path))
        if not entries:
            raise CannotOpen(f"the manhole has no key in {path} that can be used")

    def names(self) -> list[tuple[Key, str]]:
        """Return each key with its comment or, without one, its fingerprint."""
        try:
            return self._read()[0]
        except OSError:
            return []

    def getAuthorizedKeys(self, avatarId: bytes) -> list[Key]:  # noqa: N802, N803
        return [key for key, _ in self.names()] if avatarId == USER else []

    def _read(self) -> tuple[list[tuple[Key, str]], list[int]]:
        with self._path.open("rb") as file:
            text = file.read(MAX_KEYS_SIZE).removeprefix(BOM_UTF8)
        entries, unused = [], []
        for number, raw in enumerate(text.splitlines(), 1):
            line = raw.strip()
            if not line or line.startswith(b"#"):
                continue
            try:
                key = Key.fromString(line)
            except Exception:  # BadKeyError, and the parser's other errors on odd lines
                unused.append(number)
                continue
            comment = b" ".join(line.split()[2:]).decode("utf-8", "replace")
            name = _NOT_A_NAME.sub("-", comment)[:40].strip("-")
            entries.append((key, name or _fingerprint(key)))
        return entries, unused


class KeyChecker(SSHPublicKeyChecker):
    """Names an operator by the key of the login, not by the login name."""

    def __init__(self, keys: AuthorizedKeys) -> None:
        super().__init__(keys)
        self._keys = keys

    def requestAvatarId(self, credentials: Any) -> Deferred[str]:  # noqa: N802
        checked: Deferred[Any] = super().requestAvatarId(credentials)  # type: ignore[no-untyped-call]

        def name(_: object) -> str:
            proved = Key.fromString(credentials.blob)
            return next((name for key, name in self._keys.names() if key == proved), "?")

        def refuse(failure: Failure) -> Failure:
            # Other errors are those of a peer's odd bytes: no traceback in the log.
            if failure.check(UnauthorizedLogin, ConchError, ValidPublicKey):
                return failure
            return Failure(UnauthorizedLogin("not a key that could be checked"))

        return checked.addCallbacks(name, refuse)
