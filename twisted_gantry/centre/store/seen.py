"""Reports that are filed by reception: Fogslink packs, which have no stamp, and reports whose stamp
cannot be read or is older than the oldest day that is kept. Their sameness is kept here, in one
table that is not cut by days.
"""

from collections.abc import Iterable

from twisted_gantry.centre.interfaces import Session

TABLES = (
    """CREATE TABLE seen (
        source TEXT NOT NULL, key TEXT NOT NULL, digest {bytes} NOT NULL, at {real} NOT NULL,
        since {real} NOT NULL, PRIMARY KEY (source, key, digest))""",
    "CREATE INDEX seen_at ON seen (at)",
)


FOREVER = float("inf")


def note(
    session: Session, marks: Iterable[tuple[str, str, bytes, float, float]]
) -> set[tuple[str, str, bytes]]:
    """Note reports by `(source, key, digest, at, within)`, each once; returns those that are new:
    the same one was not noted in the `within` seconds before `at`. The same key with other content
    is a device that counts anew, and is new.
    """
    rows = sorted(
        (source, key, digest, at, max(at - within, 0.0))
        for source, key, digest, at, within in marks
    )
    return set(
        session.many_rows(
            "INSERT INTO seen (source, key, digest, at, since) {rows:text,text,bytes,real,real} "
            "ON CONFLICT (source, key, digest) DO UPDATE SET at = excluded.at, "
            "since = excluded.since WHERE seen.at < excluded.since RETURNING source, key, digest",
            rows,
        )
    )
