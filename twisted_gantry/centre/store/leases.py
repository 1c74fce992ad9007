"""Leases: which worker does a duty now, by the clock of the database alone.

A lease is a row. A worker that stalled beyond its lease finds the row changed: `hold` checks and
locks the row in the transaction of the work itself, so that two workers never do one thing. `fence`
counts the holders of a duty. A worker is named by its `holder`, a text of one process and start.
"""

from dataclasses import dataclass

from twisted_gantry.centre.interfaces import Session

TABLES: tuple[str, ...] = (
    """
    CREATE TABLE lease (
        duty TEXT PRIMARY KEY,
        holder TEXT NOT NULL,
        fence {int} NOT NULL,
        until {real} NOT NULL
    )
    """,
)

LEASE = 15.0
"""Seconds for which a duty is held without a renewal: what a take-over after a kill lasts."""


class NotHeld(Exception):
    """Another worker may do the duty: the lease is over, or was handed on."""


@dataclass(frozen=True, slots=True)
class Lease:
    """A duty that `holder` does until `until`, Unix seconds of the database; 0 if handed on."""

    duty: str
    holder: str
    fence: int
    until: float


def take(session: Session, duty: str, holder: str, seconds: float = LEASE) -> Lease | None:
    """Take a duty that is free, or renew one that `holder` has; None while another one holds it."""
    now = session.now()
    found = session.rows(
        "INSERT INTO lease (duty, holder, fence, until) VALUES (?, ?, 1, ?) "
        "ON CONFLICT (duty) DO UPDATE SET holder = excluded.holder, until = excluded.until, "
        "fence = lease.fence + CASE WHEN lease.holder = excluded.holder THEN 0 ELSE 1 END "
        "WHERE lease.holder = excluded.holder OR lease.until <= ? RETURNING fence",
        *(duty, holder, now + seconds, now),
    )
    return Lease(duty, holder, found[0][0], now + seconds) if found else None


def hold(session: Session, lease: Lease) -> None:
    """Keep the duty until this transaction ends. Raises NotHeld, and then nothing may be done."""
    kept = session.run(
        "UPDATE lease SET holder = holder WHERE duty = ? AND holder = ? AND fence = ? "
        "AND until > ?",
        *(lease.duty, lease.holder, lease.fence, session.now()),
    )
    if not kept:
        raise NotHeld(lease.duty)


def hand_on(session: Session, lease: Lease) -> None:
    """End a lease before its time, so that another worker need not wait."""
    session.run(
        "UPDATE lease SET until = 0 WHERE duty = ? AND holder = ? AND fence = ?",
        *(lease.duty, lease.holder, lease.fence),
    )


def all_leases(session: Session) -> list[Lease]:
    """Return the leases of all duties, by name, those that are over included."""
    rows = session.rows("SELECT duty, holder, fence, until FROM lease ORDER BY duty")
    return [Lease(*row) for row in rows]
