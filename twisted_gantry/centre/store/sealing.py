"""Codes and keys lie sealed in the database: who reads the database alone learns none of them.

The key file has a Fernet key a line. The first one seals, all of them open, so that a new key may
be put before an old one.
"""

import os
from contextlib import suppress
from pathlib import Path
from secrets import token_hex

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from twisted_gantry.centre.interfaces import Session
from twisted_gantry.wire.secret import Secret

TABLES = ("CREATE TABLE sealing (only_row {int} PRIMARY KEY, proof {bytes} NOT NULL)",)

_PROOF = b"twisted_gantry"


class WrongKey(Exception):
    """The key file is not that of the database, or no key file; the text says what to do."""


class Sealing:
    """Seals and opens secrets. `place` is the key file, for messages. Raises WrongKey for a text
    without keys.
    """

    def __init__(self, keys: str, place: str = "the key file") -> None:
        self._place = place
        try:
            self._fernet = MultiFernet([Fernet(each.strip()) for each in keys.split()])
        except ValueError:
            raise WrongKey(
                f"{place} has no Fernet keys: put back the file of the first start from a backup"
            ) from None

    def seal(self, secret: Secret) -> bytes:
        return self._fernet.encrypt(secret.reveal().encode("utf-8", "surrogatepass"))

    def open(self, sealed: bytes) -> Secret:
        """Return the secret. Raises WrongKey for bytes of another key."""
        try:
            return Secret(self._fernet.decrypt(bytes(sealed)).decode("utf-8", "surrogatepass"))
        except InvalidToken:
            raise self._wrong() from None

    def prove(self, session: Session) -> None:
        """Hold the key against the database, which remembers the first one. Raises WrongKey."""
        proof = self._fernet.encrypt(_PROOF)
        session.run("INSERT INTO sealing VALUES (1, ?) ON CONFLICT DO NOTHING", proof)
        [(kept,)] = session.rows("SELECT proof FROM sealing")
        try:
            self._fernet.decrypt(bytes(kept))
        except InvalidToken:
            raise self._wrong() from None

    def _wrong(self) -> WrongKey:
        return WrongKey(
            f"{self._place} is not the key that sealed the codes in this database: copy the key"
            " file of the first start there, from another computer of the centre or from a backup"
        )


def read_key(path: Path) -> Sealing:
    """Return the sealing by the key file `path`, which is made, with mode 0600, if it is missing.
    Raises WrongKey for a file without keys, OSError for one that can be neither read nor made.
    """
    if not path.exists():
        _make(path)
    return Sealing(path.read_text("ascii", "replace"), str(path))


def _make(path: Path) -> None:
    """Make the file whole or not at all: several processes may start at the same time."""
    part = path.with_name(f"{path.name}.{token_hex(4)}")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(Fernet.generate_key() + b"\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        with suppress(FileExistsError):  # another process was first, and its key counts
            os.link(part, path)
    finally:
        part.unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
