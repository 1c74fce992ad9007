"""Pictures of doors in the database: bounded in bytes and age, and found from every machine.

A door is asked about once by itself: the question is noted before it is sent. `opened_at` is when
the door opened, Unix seconds with milliseconds.
"""

from dataclasses import dataclass

from twisted_gantry.centre.interfaces import Session
from twisted_gantry.wire.etc.pictures import PictureFile

TABLES: tuple[str, ...] = (
    """CREATE TABLE pictures (
        gantry TEXT NOT NULL, cabinet TEXT NOT NULL, opened_ms {int} NOT NULL,
        fetched_at {real} NOT NULL, name TEXT NOT NULL, content_type TEXT NOT NULL,
        size {int} NOT NULL, body {bytes} NOT NULL, PRIMARY KEY (gantry, cabinet, opened_ms))""",
    "CREATE INDEX pictures_age ON pictures (fetched_at, size)",
    """CREATE TABLE picture_questions (
        gantry TEXT NOT NULL, cabinet TEXT NOT NULL, opened_ms {int} NOT NULL,
        asked_at {real} NOT NULL, answer TEXT NOT NULL,
        PRIMARY KEY (gantry, cabinet, opened_ms))""",
    "CREATE INDEX picture_questions_age ON picture_questions (asked_at)",
)

MOST_BYTES = 2 * 1024**3
"""Bytes of all pictures; the oldest go first."""


@dataclass(frozen=True, slots=True)
class Opening:
    """A door that opened: the gantry, the id of its cabinet, and when, in Unix seconds."""

    gantry: str
    cabinet: str
    opened_at: float

    @property
    def key(self) -> tuple[str, str, int]:
        return self.gantry, self.cabinet, round(self.opened_at * 1000)


_WHICH = "gantry = ? AND cabinet = ? AND opened_ms = ?"


def find(session: Session, opening: Opening) -> PictureFile | None:
    """Return the picture of a door, None if it is not here."""
    found = session.rows(
        f"SELECT name, content_type, body FROM pictures WHERE {_WHICH}",  # noqa: S608
        *opening.key,
    )
    return PictureFile(found[0][0], found[0][1], bytes(found[0][2])) if found else None


def keep(session: Session, opening: Opening, picture: PictureFile) -> None:
    """Keep the picture of a door; one that is here already stays. The oldest make room."""
    size = len(picture.content)
    session.run(
        "INSERT INTO pictures (gantry, cabinet, opened_ms, fetched_at, name, content_type, size,"
        " body) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (gantry, cabinet, opened_ms) DO NOTHING",
        *(*opening.key, session.now(), picture.name, picture.content_type, size, picture.content),
    )
    trim(session, 100)


def first_question(session: Session, opening: Opening) -> bool:
    """Note that the centre asks for a picture by itself; False if it did before."""
    return bool(
        session.run(
            "INSERT INTO picture_questions (gantry, cabinet, opened_ms, asked_at, answer)"
            " VALUES (?, ?, ?, ?, '') ON CONFLICT (gantry, cabinet, opened_ms) DO NOTHING",
            *(*opening.key, session.now()),
        )
    )


def is_asked(session: Session, opening: Opening) -> bool:
    """Tell whether the centre asked for a picture by itself."""
    return bool(session.rows(f"SELECT 1 FROM picture_questions WHERE {_WHICH}", *opening.key))  # noqa: S608


def answered(session: Session, opening: Opening, answer: str) -> None:
    """Note what a gantry answered to a question of the centre's own."""
    session.run(
        f"UPDATE picture_questions SET answer = ? WHERE {_WHICH}",  # noqa: S608
        *(answer, *opening.key),
    )


def of_gantry(session: Session, gantry: str, limit: int = 100) -> list[Opening]:
    """Return the openings of a gantry with a picture here, the newest first."""
    rows = session.rows(
        "SELECT cabinet, opened_ms FROM pictures WHERE gantry = ? ORDER BY opened_ms DESC LIMIT ?",
        *(gantry, limit),
    )
    return [Opening(gantry, cabinet, milliseconds / 1000) for cabinet, milliseconds in rows]


def trim(session: Session, most_rows: int, most_bytes: int = MOST_BYTES) -> int:
    """Remove the oldest pictures beyond `most_bytes`, at most `most_rows`. Returns how many."""
    [(total,)] = session.rows("SELECT coalesce(sum(size), 0) FROM pictures")
    over = int(total) - most_bytes
    if over <= 0:
        return 0
    oldest = session.rows(
        "SELECT gantry, cabinet, opened_ms, size FROM pictures ORDER BY fetched_at LIMIT ?",
        most_rows,
    )
    gone = 0
    for *key, size in oldest:
        if over <= 0:
            break
        gone += session.run(f"DELETE FROM pictures WHERE {_WHICH}", *key)  # noqa: S608
        over -= int(size)
    return gone
