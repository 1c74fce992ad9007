"""The outbox of notifications: what each target was told, and the messages that wait.

The state of a target and a message are written in one transaction. A worker that takes a duty over
goes on where the other one stopped: a message that was not noted as delivered is sent again with
its id, by which a receiver drops a second copy.
"""

from dataclasses import dataclass

import msgspec

from twisted_gantry.centre.interfaces import Session
from twisted_gantry.notify.interfaces import Waiting
from twisted_gantry.notify.plan import PlanState

TABLES: tuple[str, ...] = (
    """CREATE TABLE notices (
        id {id}, target TEXT NOT NULL, event TEXT NOT NULL, message TEXT NOT NULL,
        body {bytes} NOT NULL, created {real} NOT NULL, tries {int} NOT NULL, reason TEXT NOT NULL,
        state TEXT NOT NULL)""",
    "CREATE INDEX notices_waiting ON notices (target, id) WHERE state = 'queued'",
    """CREATE TABLE notify_targets (
        name TEXT PRIMARY KEY, state TEXT NOT NULL, created {int} NOT NULL,
        delivered {int} NOT NULL, set_aside {int} NOT NULL, last_delivered {real})""",
)

MOST_SET_ASIDE = 1000
"""Refused messages of a target that are kept for a person; the oldest go first."""


@dataclass(frozen=True, slots=True)
class TargetLedger:
    """What became of the messages of a target: created = delivered + queued + set aside."""

    name: str
    created: int
    delivered: int
    set_aside: int
    last_delivered: float | None
    queued: int


def state(session: Session, target: str) -> PlanState | None:
    """Return the state of a target; None for a new target, or a state of another version."""
    rows = session.rows("SELECT state FROM notify_targets WHERE name = ?", target)
    try:
        return msgspec.json.decode(rows[0][0], type=PlanState) if rows else None
    except msgspec.DecodeError:
        return None


def keep(session: Session, target: str, state: PlanState) -> None:
    """Keep the state of a target."""
    session.run(
        "INSERT INTO notify_targets (name, state, created, delivered, set_aside) "
        "VALUES (?, ?, 0, 0, 0) ON CONFLICT (name) DO UPDATE SET state = excluded.state",
        *(target, msgspec.json.encode(state).decode()),
    )


def add(
    session: Session, target: str, event: str, message: str, body: bytes, state: PlanState
) -> int:
    """Keep a message, whose id is `message`, with the state; returns the message's number."""
    keep(session, target, state)
    session.run("UPDATE notify_targets SET created = created + 1 WHERE name = ?", target)
    [(number,)] = session.rows(
        "INSERT INTO notices (target, event, message, body, created, tries, reason, state) "
        "VALUES (?, ?, ?, ?, ?, 0, '', 'queued') RETURNING id",
        *(target, event, message, body, session.now()),
    )
    return int(number)


def waiting(session: Session, target: str) -> Waiting | None:
    """Return the oldest message of a target that waits."""
    rows = session.rows(
        "SELECT id, body, tries FROM notices WHERE target = ? AND state = 'queued' "
        "ORDER BY id LIMIT 1",
        target,
    )
    return Waiting(rows[0][0], bytes(rows[0][1]), rows[0][2]) if rows else None


def delivered(session: Session, number: int) -> None:
    """Remove a message that was taken, and count it."""
    for (target,) in session.rows(
        "DELETE FROM notices WHERE id = ? AND state = 'queued' RETURNING target", number
    ):
        session.run(
            "UPDATE notify_targets SET delivered = delivered + 1, last_delivered = ? "
            "WHERE name = ?",
            *(session.now(), target),
        )


def tried(session: Session, number: int, reason: str) -> None:
    """Note a failed try."""
    session.run("UPDATE notices SET tries = tries + 1, reason = ? WHERE id = ?", reason, number)


def set_aside(session: Session, number: int, reason: str) -> None:
    """Keep a refused message for a person."""
    for (target,) in session.rows(
        "UPDATE notices SET state = 'set-aside', tries = tries + 1, reason = ? "
        "WHERE id = ? AND state = 'queued' RETURNING target",
        *(reason, number),
    ):
        session.run("UPDATE notify_targets SET set_aside = set_aside + 1 WHERE name = ?", target)
        session.run(
            "DELETE FROM notices WHERE target = ? AND state = 'set-aside' AND id <= ("
            "SELECT id FROM notices WHERE target = ? AND state = 'set-aside' "
            "ORDER BY id DESC LIMIT 1 OFFSET ?)",
            *(target, target, MOST_SET_ASIDE),
        )


def left_off(session: Session, known: frozenset[str]) -> None:
    """Set aside the messages of targets that are not configured any more, and forget their states:
    a target that comes back begins anew.
    """
    for each in targets(session):
        if each.name not in known:
            rows = session.rows(
                "SELECT id FROM notices WHERE target = ? AND state = 'queued'", each.name
            )
            for (number,) in rows:
                set_aside(session, number, "its target is not in the configuration any more")
            keep(session, each.name, PlanState())


def targets(session: Session) -> list[TargetLedger]:
    """Return the ledgers of all targets that were ever told, by name."""
    rows = session.rows(
        "SELECT name, created, delivered, set_aside, last_delivered, (SELECT count(*) "
        "FROM notices n WHERE n.target = t.name AND n.state = 'queued') "
        "FROM notify_targets t ORDER BY name"
    )
    return [TargetLedger(*row) for row in rows]
