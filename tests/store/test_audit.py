"""How long entries of the audit are kept: a share for each client, and what guards a replay."""

import sqlite3
from collections import Counter

import pytest

from twisted_gantry.core.stored import AuditEntry
from twisted_gantry.store import audit
from twisted_gantry.store.schema import MIGRATIONS


@pytest.fixture
def db(monkeypatch: pytest.MonkeyPatch) -> sqlite3.Connection:
    """Return a store that keeps 100 entries, and looks after each tenth."""
    monkeypatch.setattr(audit, "MAX_ENTRIES", 100)
    monkeypatch.setattr(audit, "TRIM_EVERY", 10)
    db = sqlite3.connect(":memory:", isolation_level=None)
    for script in MIGRATIONS:
        db.executescript(script)
    return db


def begin(
    db: sqlite3.Connection, number: int, who: str, at: float = 0.0, until: float = 0.0
) -> str:
    key = f"{who}-{number}"
    audit.begin(db, AuditEntry(key, at, who, "ups1", "T", {}, kept_until=until))
    return key


def kept(db: sqlite3.Connection) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for key, who in db.execute("SELECT id, who FROM audit ORDER BY rowid"):
        found.setdefault(who, []).append(key)
    return found


def test_a_client_alone_keeps_its_newest(db: sqlite3.Connection) -> None:
    keys = [begin(db, number, "api 192.0.2.1") for number in range(500)]
    assert kept(db) == {"api 192.0.2.1": keys[-100:]}


def test_a_flood_takes_no_entry_of_another_client(db: sqlite3.Connection) -> None:
    """Whatever user the flood names, its address is one client."""
    mine = [begin(db, number, "api 192.0.2.1 anna") for number in range(30)]
    platform = [begin(db, number, "remotecontrol 192.0.2.7") for number in range(20)]
    for number in range(2_000):
        begin(db, number, f"api 192.0.2.66 user{number % 50}")
    found = kept(db)
    assert found["api 192.0.2.1 anna"] == mine
    assert found["remotecontrol 192.0.2.7"] == platform
    assert sum(map(len, found.values())) <= 110


def test_clients_share_alike(db: sqlite3.Connection) -> None:
    for number in range(1_000):
        for client in range(4):
            begin(db, number, f"api 192.0.2.{client}")
    assert Counter({who: len(keys) for who, keys in kept(db).items()}).most_common(1)[0][1] <= 28


def test_what_the_replay_guard_needs_stays(db: sqlite3.Connection) -> None:
    """A captured body is known again, however much is written, for as long as it is accepted."""
    body = begin(db, 1, "remotecontrol 192.0.2.7", at=0.0, until=600.0)
    for number in range(2, 3_000):
        begin(db, number, "remotecontrol 192.0.2.7", at=number / 5)
    assert audit.find(db, body) is not None
    for number in range(3_000, 3_200):
        begin(db, number, "remotecontrol 192.0.2.7", at=number / 5)
    assert audit.find(db, body) is None
