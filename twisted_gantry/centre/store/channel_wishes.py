"""Configurations of channels (`res300`) that somebody asked for, and what became of each.

A wish waits until the device is connected. The front that has the session marks the wish before the
message leaves, so that a crash leaves an unknown outcome and no second message. A device that
refuses a setting gives no answer: the document has no code for that.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from twisted_gantry.centre.interfaces import Session
from twisted_gantry.wire.fogslink import messages

TABLES: tuple[str, ...] = (
    """CREATE TABLE channel_wishes (
        id {id}, gantry TEXT NOT NULL, channel TEXT NOT NULL, period TEXT, type TEXT,
        asked_by TEXT NOT NULL, asked_at {real} NOT NULL, expires {real} NOT NULL,
        outcome TEXT NOT NULL, code TEXT NOT NULL, changed_at {real})""",
    """CREATE INDEX channel_wishes_open ON channel_wishes (gantry)
        WHERE outcome IN ('waiting', 'sent')""",
    "CREATE INDEX channel_wishes_gantry ON channel_wishes (gantry, id)",
    "CREATE INDEX channel_wishes_asked ON channel_wishes (asked_at)",
)

ANSWER_S = 15.0
"""Seconds for the answer of the device; the front that sent the wish may have been killed."""
TTL = 86_400.0
"""Seconds for which a wish waits for the device."""
MOST_WAITING = 1000  # wishes of one gantry that wait
AT_ONCE = 100  # wishes that a front takes in one look


class Outcome(StrEnum):
    """What became of a wish."""

    WAITING = "waiting"  # for the device to be connected
    SENT = "sent"  # the answer is due
    SET = "set"
    NOT_CONFIRMED = "not-confirmed"  # an answer with another code
    UNANSWERED = "unanswered"  # refused by the device, or lost: unknown
    EXPIRED = "expired"  # never sent


class WrongWish(ValueError):
    """A wish that no device can be asked; the text says why."""


@dataclass(frozen=True, slots=True)
class ChannelWish:
    """A configuration of one channel. `period` is seconds as text, `type` 0 (on change) or 1 (each
    period); None leaves that setting. `changed_at` is when the outcome changed last. Times are Unix
    seconds. `code` is that of the answer.
    """

    id: int
    gantry: str
    channel: str
    period: str | None
    type: str | None
    asked_by: str = ""
    asked_at: float = 0.0
    expires: float = 0.0
    outcome: Outcome = Outcome.WAITING
    code: str = ""
    changed_at: float | None = None


_COLUMNS = (
    "w.id, w.gantry, w.channel, w.period, w.type, w.asked_by, w.asked_at, w.expires, w.outcome,"
    " w.code, w.changed_at"
)


def _wish(row: tuple[object, ...]) -> ChannelWish:
    made = ChannelWish(*row)  # type: ignore[arg-type]
    object.__setattr__(made, "outcome", Outcome(made.outcome))
    return made


def ask(
    session: Session,
    gantry: str,
    channel: str,
    *,
    period: str | None = None,
    type_: str | None = None,
    by: str,
    seconds: float = TTL,
) -> int:
    """Ask for another period, another type, or both; returns the wish's id. Raises WrongWish."""
    if not messages.is_channel(channel):
        raise WrongWish(f"a channel is named Px-Cy, not {channel[:40]!r}")
    if period is None and type_ is None:
        raise WrongWish("neither a period nor a type is given")
    if period is not None and messages.period_of(period) is None:
        raise WrongWish("a period is 1 to 86400 seconds")
    if type_ is not None and messages.report_type_of(type_) is None:
        raise WrongWish("a type is 0 (on change) or 1 (once a period)")
    [(waiting,)] = session.rows(
        "SELECT count(*) FROM channel_wishes WHERE gantry = ? AND outcome IN ('waiting', 'sent')",
        gantry,
    )
    if waiting >= MOST_WAITING:
        raise WrongWish(f"{waiting} configurations of {gantry} wait already")
    now = session.now()
    [(made,)] = session.rows(
        "INSERT INTO channel_wishes (gantry, channel, period, type, asked_by, asked_at, expires,"
        " outcome, code) VALUES (?, ?, ?, ?, ?, ?, ?, 'waiting', '') RETURNING id",
        *(gantry, channel, period, type_, by, now, now + seconds),
    )
    return int(made)


def due(session: Session, front: str) -> list[ChannelWish]:
    """Return the oldest wishes for devices that are connected to this front."""
    found = session.rows(
        f"SELECT {_COLUMNS} FROM channel_wishes w"  # noqa: S608
        " JOIN cloud_sessions s ON s.gantry = w.gantry AND s.front = ?"
        " WHERE w.outcome = 'waiting' AND w.expires > ? ORDER BY w.id LIMIT ?",
        *(front, session.now(), AT_ONCE),
    )
    return [_wish(row) for row in found]


def mark(session: Session, wishes: Iterable[ChannelWish]) -> list[ChannelWish]:
    """Mark wishes as sent, right before they are; returns those that nobody else has marked."""
    now = session.now()
    return [
        each
        for each in wishes
        if session.run(
            "UPDATE channel_wishes SET outcome = 'sent', changed_at = ?"
            " WHERE id = ? AND outcome = 'waiting' AND expires > ?",
            *(now, each.id, now),
        )
    ]


def answered(session: Session, gantry: str, channel: str, code: str) -> bool:
    """Note the answer of a device to the oldest wish for a channel that was sent; returns False
    for an answer that nobody asked for.
    """
    right = code in (
        messages.FogslinkCode.PERIOD_SET,
        messages.FogslinkCode.TYPE_SET,
        messages.FogslinkCode.BOTH_SET,
    )
    changed = session.run(
        "UPDATE channel_wishes SET outcome = ?, code = ?, changed_at = ? WHERE id ="
        " (SELECT min(id) FROM channel_wishes WHERE gantry = ? AND channel = ?"
        " AND outcome = 'sent')",
        *((Outcome.SET if right else Outcome.NOT_CONFIRMED).value, code[:20], session.now()),
        *(gantry, channel),
    )
    return changed > 0


def close(session: Session) -> None:
    """End the wishes whose time is over: those that wait, and those without an answer."""
    now = session.now()
    session.run(
        "UPDATE channel_wishes SET outcome = 'expired', changed_at = ?"
        " WHERE outcome = 'waiting' AND expires <= ?",
        *(now, now),
    )
    session.run(
        "UPDATE channel_wishes SET outcome = 'unanswered', changed_at = ?"
        " WHERE outcome = 'sent' AND changed_at <= ?",
        *(now, now - ANSWER_S),
    )


def wish(session: Session, number: int) -> ChannelWish | None:
    """Return a wish by its id, None for an unknown one."""
    found = session.rows(f"SELECT {_COLUMNS} FROM channel_wishes w WHERE w.id = ?", number)  # noqa: S608
    return _wish(found[0]) if found else None


def wishes_of(session: Session, gantry: str, limit: int = 100) -> list[ChannelWish]:
    """Return the newest wishes of a gantry, the newest first."""
    found = session.rows(
        f"SELECT {_COLUMNS} FROM channel_wishes w WHERE w.gantry = ? ORDER BY w.id DESC LIMIT ?",  # noqa: S608
        *(gantry, limit),
    )
    return [_wish(row) for row in found]
