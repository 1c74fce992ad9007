"""The registry in the database: the gantries with their sealed codes, and the version of all this.

Each change of the registry has a version of its own, in the order of the commits: the row of the
counter is locked until then. Caches ask for what is newer than the version that they have.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, fields
from typing import Any

from twisted_gantry.centre.interfaces import Session
from twisted_gantry.centre.model import Gantry, Row
from twisted_gantry.centre.store import incidents
from twisted_gantry.centre.store.sealing import Sealing, WrongKey
from twisted_gantry.wire.etc.envelope import same_id
from twisted_gantry.wire.secret import Secret

LONGEST_ID = 20  # characters of a gantryId (the ETC document, section 1.5)
LONGEST_CODE = 128  # characters of a code (section 1.5); a longer one is wrong
MOST_PENDING = 1000  # gantries that registered themselves and wait for a person

NO_VERSION = -1
"""The version of a cache that knows nothing yet."""

TABLES = (
    """CREATE TABLE gantries (
        id TEXT PRIMARY KEY, name TEXT NOT NULL, road TEXT NOT NULL, section TEXT NOT NULL,
        stake TEXT NOT NULL, direction TEXT NOT NULL, position TEXT NOT NULL,
        remote_control TEXT NOT NULL, eq_sn TEXT NOT NULL, auth {bytes}, api_key {bytes},
        pending {int} NOT NULL, same TEXT NOT NULL UNIQUE, changed {int} NOT NULL)""",
    "CREATE UNIQUE INDEX gantries_eq_sn ON gantries (eq_sn) WHERE eq_sn <> ''",
    "CREATE INDEX gantries_changed ON gantries (changed)",
    "CREATE INDEX gantries_road ON gantries (road, section)",
    "CREATE TABLE gantries_removed (id TEXT PRIMARY KEY, changed {int} NOT NULL)",
    "CREATE TABLE registry_version (only_row {int} PRIMARY KEY, version {int} NOT NULL)",
)

NAMES = tuple(each.name for each in fields(Gantry))
"""The columns of `gantries` that are fields of a Gantry, in the order of the fields."""
COLUMNS = ", ".join(NAMES)
_SET = ", ".join(f"{name} = excluded.{name}" for name in (*NAMES[1:], "changed"))
_PUT = (
    f"INSERT INTO gantries ({COLUMNS}, same, changed) VALUES ({', '.join('?' * len(NAMES))}, ?, ?)"  # noqa: S608
    f" ON CONFLICT (id) DO UPDATE SET {_SET}"
)


class NotRegistered(ValueError):
    """A gantry that the registry cannot take; the text says why."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What is new up to `version`: gantries with their secrets, and ids that are removed. `whole`:
    this is the whole registry, and what is not in it is gone. Gantries whose secrets cannot be
    opened have none, and are `unreadable`.
    """

    version: int
    gantries: Collection[Gantry]
    removed: Collection[str]
    whole: bool
    unreadable: Collection[str] = ()


def same(gantry_id: str) -> str:
    """Return the one spelling of an id, by which ids are compared; empty for no id."""
    return same_id(gantry_id) or ""


def gantry_of(row: Row, sealing: Sealing | None = None) -> Gantry:
    """Return the gantry of a row of `COLUMNS`; without a `sealing` it has no secrets. Raises
    WrongKey.
    """
    given = dict(zip(NAMES, row, strict=True))
    for name in ("auth", "api_key"):
        sealed = given[name]
        given[name] = None if sealed is None or sealing is None else sealing.open(sealed)
    return Gantry(**{**given, "pending": bool(given["pending"])})


def version(session: Session) -> int:
    """Return the version of the registry, 0 before the first change."""
    found = session.rows("SELECT version FROM registry_version")
    return int(found[0][0]) if found else 0


def changes(session: Session, since: int, sealing: Sealing) -> Changes | None:
    """Return what changed after version `since`; None if nothing did. The registry comes whole for
    a version that the database never had: `NO_VERSION`, or one from before a backup was put back.
    """
    now = version(session)
    if now == since:
        return None
    is_whole = not 0 <= since < now
    if is_whole:
        since = NO_VERSION
    rows = session.rows(f"SELECT {COLUMNS} FROM gantries WHERE changed > ?", since)  # noqa: S608
    gone = session.rows("SELECT id FROM gantries_removed WHERE changed > ?", since)
    found, unreadable = [], []
    for row in rows:
        try:
            found.append(gantry_of(row, sealing))
        except WrongKey:  # a damaged row costs itself
            found.append(gantry_of(row))
            unreadable.append(row[0])
    return Changes(now, found, [each[0] for each in gone], is_whole, unreadable)


def gantry(session: Session, gantry_id: str, sealing: Sealing | None = None) -> Gantry | None:
    """Return a gantry by its id in any spelling, None for an unknown one."""
    found = session.rows(
        f"SELECT {COLUMNS} FROM gantries WHERE same = ?",  # noqa: S608
        same(gantry_id),
    )
    return gantry_of(found[0], sealing) if found else None


def gantries(session: Session, sealing: Sealing | None = None) -> list[Gantry]:
    """Return all gantries by id, those that are pending among them."""
    rows = session.rows(f"SELECT {COLUMNS} FROM gantries ORDER BY id")  # noqa: S608
    return [gantry_of(each, sealing) for each in rows]


def some(session: Session, ids: Collection[str], sealing: Sealing) -> list[Gantry]:
    """Return the gantries with these ids, as the registry spells them. Damaged secrets of one are
    as none: they must not keep the others from their work.
    """
    rows = session.rows(f"SELECT {COLUMNS} FROM gantries WHERE id {{in}}", list(ids))  # noqa: S608
    found = []
    for row in rows:
        try:
            found.append(gantry_of(row, sealing))
        except WrongKey:
            found.append(gantry_of(row))
    return found


def put(session: Session, given: Iterable[Gantry], sealing: Sealing) -> None:
    """Add gantries, or replace those with the same ids, under one version. A gantry keeps its
    `auth` and `api_key` where the new one has None; an empty secret takes them away. Raises
    NotRegistered.
    """
    _put(session, given, sealing, _next_version(session))
    incidents.follow(session)


@dataclass(frozen=True, slots=True)
class _Kept:
    """What the database has of a gantry, its secrets sealed."""

    id: str
    eq_sn: str
    auth: bytes | None
    api_key: bytes | None


def _put(session: Session, given: Iterable[Gantry], sealing: Sealing, changed: int) -> None:
    """Look once, and write with one statement for all: a file brings thousands of gantries."""
    wanted = list(given)
    for each in wanted:
        if not 0 < len(each.id) <= LONGEST_ID or not same(each.id):
            raise NotRegistered(f"an id has 1 to {LONGEST_ID} characters; it is {each.id[:40]!r}")
        _check_secret("auth", each.auth)
        _check_secret("apiKey", each.api_key)
    kept = _kept(session, wanted)
    numbers = [each.eq_sn for each in wanted if each.eq_sn]
    holders: dict[str, str] = dict(
        session.rows("SELECT eq_sn, id FROM gantries WHERE eq_sn {in}", numbers)
    )
    rows = []
    for each in wanted:
        key = same(each.id)
        old = kept.get(key, _Kept(each.id, "", None, None))
        if holders.get(old.eq_sn) == old.id:
            del holders[old.eq_sn]
        if each.eq_sn and holders.setdefault(each.eq_sn, old.id) != old.id:
            raise NotRegistered(f"eqSN {each.eq_sn[:40]!r} is that of {holders[each.eq_sn]}")
        row = _row(each, old, sealing)
        now = dict(zip(NAMES, row, strict=True))
        kept[key] = _Kept(old.id, each.eq_sn, now["auth"], now["api_key"])
        rows.append((*row, key, changed))
    session.many(_PUT, rows)
    ids = [each.id for each in kept.values()]
    session.run("DELETE FROM gantries_removed WHERE id {in}", ids)


def _kept(session: Session, given: Iterable[Gantry]) -> dict[str, _Kept]:
    rows = session.rows(
        "SELECT same, id, eq_sn, auth, api_key FROM gantries WHERE same {in}",
        [same(each.id) for each in given],
    )
    return {row[0]: _Kept(*row[1:]) for row in rows}


def remove(session: Session, gantry_id: str) -> bool:
    """Remove a gantry from the registry; its reports stay. Returns whether it was known."""
    changed = _next_version(session)
    found = session.rows("DELETE FROM gantries WHERE same = ? RETURNING id", same(gantry_id))
    for (which,) in found:
        session.run(
            "INSERT INTO gantries_removed VALUES (?, ?)"
            " ON CONFLICT (id) DO UPDATE SET changed = excluded.changed",
            which,
            changed,
        )
    return bool(found)


def register(session: Session, gantry_id: str, code: Secret, sealing: Sealing) -> bool:
    """Note a gantry that the registry does not have, as pending, with the code that it gave.
    Returns whether there was room for it, and no such gantry yet.
    """
    if not _has_room(session, gantry_id):
        return False
    changed = _next_version(session)
    if not _has_room(session, gantry_id):  # another front was first
        return False
    _put(session, [Gantry(gantry_id, auth=code, pending=True)], sealing, changed)
    return True


def _has_room(session: Session, gantry_id: str) -> bool:
    [(waiting,)] = session.rows("SELECT count(*) FROM gantries WHERE pending = 1")
    return int(waiting) < MOST_PENDING and gantry(session, gantry_id) is None


def _next_version(session: Session) -> int:
    """Return the version of the change under way; other changes wait for its commit."""
    [(changed,)] = session.rows(
        "INSERT INTO registry_version VALUES (1, 1) ON CONFLICT (only_row) DO UPDATE"
        " SET version = registry_version.version + 1 RETURNING version"
    )
    return int(changed)


def _check_secret(name: str, secret: Secret | None) -> None:
    text = "" if secret is None else secret.reveal()
    if len(text) > LONGEST_CODE or text != text.strip():
        raise NotRegistered(f"{name} has {LONGEST_CODE} characters at most, and no blanks around")


def _row(given: Gantry, kept: _Kept, sealing: Sealing) -> list[Any]:
    """Return the values of `NAMES`; the id is spelt as before."""
    values: list[Any] = [getattr(given, name) for name in NAMES]
    values[NAMES.index("id")] = kept.id
    values[NAMES.index("pending")] = int(given.pending)
    for name, old in (("auth", kept.auth), ("api_key", kept.api_key)):
        secret: Secret | None = getattr(given, name)
        sealed = old if secret is None else sealing.seal(secret) if secret.reveal() else None
        values[NAMES.index(name)] = sealed
    return values
