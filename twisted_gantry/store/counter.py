"""A counter beside the database: what the store held when it was last written.

A start compares the counter with the database, and so finds a database that was deleted, emptied,
exchanged or put back to an older state, and how much is known to be missing. The counter is written
after each commit without waiting for the disk: after a power cut it may be behind the database,
never ahead of it.
"""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from sqlite3 import Connection
from zlib import crc32

from twisted_gantry.store import settings

FILE = "gantry.count"
IDENTITY = "store.id"
"""The setting with a random text that tells one database from another."""

_SIZE = 4096  # bytes: one write, which is never cut

LEDGER = ("created", "delivered", "queued", "set_aside", "dropped")
Counts = Mapping[str, tuple[int, ...]]
"""The numbers of `LEDGER` by uplink."""


@dataclass(frozen=True)
class Counted:
    """What the counter says: which database, the newest report's number, and the ledgers."""

    identity: str
    last: int
    ledgers: Counts = field(default_factory=dict)

    @property
    def queued(self) -> int:
        return sum(counts[LEDGER.index("queued")] for counts in self.ledgers.values())


def counted(db: Connection) -> Counted:
    """Return what the database says of itself."""
    [(last,)] = db.execute(
        "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'outbox'), 0)"
    ).fetchall()
    rows = db.execute(f"SELECT uplink, {', '.join(LEDGER)} FROM ledger")  # noqa: S608 - own names
    ledgers = {uplink: tuple(numbers) for uplink, *numbers in rows}
    row = db.execute("SELECT value FROM setting WHERE name = ?", (IDENTITY,)).fetchone()
    return Counted("" if row is None else json.loads(row[0]), last, ledgers)


def identify(db: Connection) -> None:
    """Give the database an identity, if it has none."""
    if not counted(db).identity:
        settings.put(db, IDENTITY, settings.encoded(os.urandom(8).hex()))


class Counter:
    """The file in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._changes = -1

    def read(self) -> Counted | None:
        """Return what was written last; None if there is nothing, or nothing that can be read."""
        try:
            checksum, _, text = self._path.read_bytes().rstrip(b"\0").partition(b" ")
            if int(checksum) != crc32(text):
                return None
            given = json.loads(text)
            ledgers = {uplink: tuple(map(int, each)) for uplink, each in given["ledgers"].items()}
            return Counted(str(given["id"]), int(given["last"]), ledgers)
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None

    def committed(self, db: Connection) -> None:
        """Note a commit, in the thread of the writer. An error is left to the database's own."""
        if db.total_changes == self._changes:
            return
        self._changes = db.total_changes
        with suppress(Exception):
            self.write(counted(db))

    def write(self, now: Counted) -> None:
        content = {"id": now.identity, "last": now.last, "ledgers": now.ledgers}
        text = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
        whole = b"%d %s" % (crc32(text), text)
        file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.pwrite(file, whole.ljust(_SIZE, b"\0"), 0)
        finally:
            os.close(file)
