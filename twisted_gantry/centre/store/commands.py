"""Commands in the database: one row a command, and one a command and gantry, which is an *order*.

An order is marked `sent` and committed before its first byte leaves, and is never sent again. One
whose worker is gone, or that got no answer, ends as `unknown`. A unique index holds that a gantry
has one order under way. All times are of the database's clock.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from twisted_gantry.centre.interfaces import Session
from twisted_gantry.centre.model import Row

TABLES: tuple[str, ...] = (
    """CREATE TABLE commands (
        id TEXT PRIMARY KEY, who TEXT NOT NULL, request TEXT NOT NULL, digest TEXT NOT NULL,
        method TEXT NOT NULL, fields TEXT NOT NULL, names TEXT NOT NULL,
        asked {real} NOT NULL, expires {real} NOT NULL, UNIQUE (who, request))""",
    """CREATE TABLE orders (
        id {id}, command TEXT NOT NULL, gantry TEXT NOT NULL, road TEXT NOT NULL,
        state TEXT NOT NULL, code TEXT NOT NULL, message TEXT NOT NULL, message_zh TEXT NOT NULL,
        result TEXT, owner TEXT NOT NULL DEFAULT '', stamp {int} NOT NULL DEFAULT 0,
        lapses {real} NOT NULL DEFAULT 0,
        asked {real} NOT NULL, expires {real} NOT NULL, sent_at {real}, ended_at {real},
        UNIQUE (command, gantry))""",
    "CREATE UNIQUE INDEX orders_under_way ON orders (gantry) WHERE state = 'sent'",
    "CREATE INDEX orders_turn ON orders (id) WHERE state = 'queued'",
    "CREATE INDEX orders_gantry ON orders (gantry, stamp)",
    "CREATE INDEX orders_asked ON orders (asked)",
    "CREATE INDEX commands_asked ON commands (asked)",
)

WINDOW = 1000
"""Orders that wait longest, among which a claim looks for gantries that have none under way."""


class OrderState(StrEnum):
    """How far a command is at one gantry; all but the first two are final."""

    QUEUED = "queued"
    SENT = "sent"
    DONE = "done"
    FAILED = "failed"
    REFUSED = "refused"
    EXPIRED = "expired"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Ending:
    """How an order ended: `code` is that of the gantry's answer, empty without one; `result` is the
    `batterysTestResult` of an answer that has one.
    """

    state: OrderState
    message: str = ""
    message_zh: str = ""
    code: str = ""
    result: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Placed:
    """The order of a new command for one gantry; `ending` is why the gantry cannot get it."""

    gantry: str
    road: str
    ending: Ending | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """An order that this worker alone may send, within `left` seconds from the claim. `stamp` is
    its `timeStamp`: a gantry takes a body that comes again for a replay, so no two are equal.
    """

    id: int
    command: str
    gantry: str
    method: str
    fields: Mapping[str, str] = field(repr=False)
    stamp: int
    left: float


@dataclass(frozen=True, slots=True)
class OrderSeen:
    """An order as people see it. Times are Unix seconds, None for what did not happen."""

    gantry: str
    state: OrderState
    code: str
    message: str
    message_zh: str
    result: Any
    sent_at: float | None
    ended_at: float | None


@dataclass(frozen=True, slots=True)
class CommandSeen:
    """A command as people see it: `counts` has its orders by state; `orders` is one page of them,
    by gantry, and `after` the gantry from which the next page goes on.
    """

    id: str
    who: str
    method: str
    fields: Mapping[str, str]
    names: tuple[str, ...]
    asked: float
    expires: float
    counts: Mapping[OrderState, int]
    orders: Sequence[OrderSeen] = ()
    after: str | None = None

    @property
    def gantries(self) -> int:
        return sum(self.counts.values())

    @property
    def over(self) -> bool:
        """Whether no order is queued or sent any more."""
        return not self.counts.get(OrderState.QUEUED) and not self.counts.get(OrderState.SENT)


class OtherCommand(Exception):
    """The id of a request was used for another command."""


# -- a new command


def place(
    session: Session,
    command: str,
    who: str,
    *,
    request: str,
    digest: str,
    method: str,
    fields: Mapping[str, str],
    names: Iterable[str],
    expiry: float,
    orders: Iterable[Placed],
) -> str:
    """Note a command with its orders, and return its id: `command`, or that of the command that
    `who` gave before with the same `request`. `digest` tells commands apart. Raises OtherCommand.
    """
    now = session.now()
    made = session.run(
        "INSERT INTO commands (id, who, request, digest, method, fields, names, asked, expires)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (who, request) DO NOTHING",
        *(command, who, request, digest, method, json.dumps(dict(fields))),
        *(" ".join(names), now, now + expiry),
    )
    if not made:
        return known(session, who, request, digest) or command
    session.many(
        "INSERT INTO orders (command, gantry, road, state, code, message, message_zh, asked,"
        " expires, ended_at) {rows:text,text,text,text,text,text,text,real,real,real}",
        (_placed(command, each, now, now + expiry) for each in orders),
    )
    return command


def _placed(command: str, placed: Placed, now: float, expires: float) -> Sequence[Any]:
    end = placed.ending or Ending(OrderState.QUEUED)
    said = (end.state.value, end.code, end.message, end.message_zh)
    ended = None if placed.ending is None else now
    return (command, placed.gantry, placed.road, *said, now, expires, ended)


def known(session: Session, who: str, request: str, digest: str) -> str | None:
    """Return the id of the command that `who` gave with `request`. Raises OtherCommand."""
    found = session.rows(
        "SELECT id, digest FROM commands WHERE who = ? AND request = ?", who, request
    )
    if found and found[0][1] != digest:
        raise OtherCommand(request)
    return str(found[0][0]) if found else None


# -- the work


def is_due(session: Session) -> bool:
    """Tell whether `claim` or `sweep` may have something to do."""
    found = session.rows(  # one index each: a year of orders lies beside
        "SELECT EXISTS (SELECT 1 FROM orders WHERE state = 'queued'),"
        " EXISTS (SELECT 1 FROM orders WHERE state = 'sent')"
    )
    return any(found[0])


def sweep(session: Session) -> int:
    """End what no worker will: orders that were not sent in time are expired, and those whose
    worker is gone are unknown. Returns the number of both.
    """
    now = session.now()
    expired = session.run(
        "UPDATE orders SET state = 'expired', ended_at = ?, message = ?, message_zh = ?"
        " WHERE state = 'queued' AND expires <= ?",
        *(now, "it expired before its turn; not sent", "轮到之前已过期，未发送", now),
    )
    lost = session.run(
        "UPDATE orders SET state = 'unknown', ended_at = ?, message = ?, message_zh = ?"
        " WHERE state = 'sent' AND lapses <= ?",
        now,
        "the worker that sent it is gone: the outcome is unknown, and it is not sent again",
        "发送该命令的进程已退出：结果未知，不再重发",
        now,
    )
    return expired + lost


def claim(session: Session, owner: str, most: int, lease: float) -> list[Claim]:
    """Mark at most `most` orders as sent by `owner`, the oldest first and one a gantry, and return
    them. After `lease` seconds without an end each becomes unknown. What is returned may be sent
    after the COMMIT, and what is not returned never.
    """
    now = session.now()
    # One statement sees one moment: an order that another worker claims meanwhile still waits, and
    # hides the next one of its gantry.
    waiting = session.rows(
        "SELECT gantry, id FROM orders WHERE state = 'queued' AND expires > ? AND gantry NOT IN"
        " (SELECT gantry FROM orders WHERE state = 'sent') ORDER BY id LIMIT ?",
        *(now, WINDOW),
    )
    first: dict[str, int] = {}
    for gantry, which in waiting:
        first.setdefault(gantry, which)
    # Two workers may claim one row at the same time: the first lock gets the row.
    locked = session.rows(
        "SELECT id FROM orders WHERE id {in} AND state = 'queued' ORDER BY id"
        " FOR UPDATE SKIP LOCKED",
        sorted(list(first.values())[:most]),
    )
    taken = session.rows(
        "UPDATE orders SET state = 'sent', owner = ?, sent_at = ?, lapses = ?"
        " WHERE id {in} AND state = 'queued' RETURNING id, command, gantry, expires",
        *(owner, now, now + lease, [row[0] for row in locked]),
    )
    return _claims(session, taken, now) if taken else []


def _claims(session: Session, taken: Sequence[Row], now: float) -> list[Claim]:
    """Give orders their stamps; returns them with what they do."""
    found = session.rows(
        "SELECT gantry, max(stamp) FROM orders WHERE gantry {in} GROUP BY gantry",
        [row[2] for row in taken],
    )
    stamps = {gantry: max(int(now), int(last) + 1) for gantry, last in found}
    session.many(
        "UPDATE orders SET stamp = ? WHERE id = ?", [(stamps[row[2]], row[0]) for row in taken]
    )
    rows = session.rows(
        "SELECT id, method, fields FROM commands WHERE id {in}", list({row[1] for row in taken})
    )
    given = {row[0]: (row[1], json.loads(row[2])) for row in rows}
    return [
        Claim(id_, command, gantry, *given[command], stamps[gantry], expires - now)
        for id_, command, gantry, expires in taken
    ]


def end(session: Session, owner: str, order: int, ending: Ending) -> bool:
    """Note how an order ended that `owner` sent, by its id; what is known replaces `unknown`.
    Returns whether that changed something.
    """
    result = None if ending.result is None else json.dumps(dict(ending.result))
    return bool(
        session.run(
            "UPDATE orders SET state = ?, code = ?, message = ?, message_zh = ?, result = ?,"
            " ended_at = ? WHERE id = ? AND owner = ? AND state IN ('sent', 'unknown')",
            *(ending.state.value, ending.code, ending.message, ending.message_zh, result),
            *(session.now(), order, owner),
        )
    )


def release(session: Session, owner: str) -> int:
    """Give back the orders that `owner` has claimed and not begun: only `owner` itself, which has
    stored how all that it began has ended, knows that nothing of them was sent.
    """
    return session.run(
        "UPDATE orders SET state = 'queued', owner = '', sent_at = NULL"
        " WHERE owner = ? AND state = 'sent'",
        owner,
    )


# -- what people see


def seen(
    session: Session,
    command: str,
    *,
    roads: Collection[str] | None,
    who: str = "",
    limit: int,
    after: str = "",
    state: OrderState | None = None,
) -> CommandSeen | None:
    """Return a command with a page of its orders, those with `state` or all; None for an unknown
    one. With `roads` it has only their gantries and what `who` has named in vain, and is unknown
    without any.
    """
    found = _seen(session, "WHERE id = ?", [command], roads, who)
    if not found:
        return None
    where, values = _on(roads, who)
    wanted = "" if state is None else " AND state = ?"
    rows = session.rows(
        "SELECT gantry, state, code, message, message_zh, result, sent_at, ended_at"  # noqa: S608
        f" FROM orders WHERE command = ?{where}{wanted} AND gantry > ? ORDER BY gantry LIMIT ?",
        *(command, *values, *([] if state is None else [state.value]), after, limit + 1),
    )
    orders = [_order(row) for row in rows[:limit]]
    more = orders[-1].gantry if len(rows) > limit else None
    return replace(found[0], orders=orders, after=more)


def listed(
    session: Session,
    *,
    roads: Collection[str] | None,
    who: str = "",
    limit: int,
    after: str = "",
) -> list[CommandSeen]:
    """Return at most `limit` commands without their orders, newest first, from before the id
    `after` on; with `roads` those that some of their gantries got.
    """
    where, values = _on(roads, who)
    older = "id < ?" if after else "1 = 1"
    mine = f" AND EXISTS (SELECT 1 FROM orders WHERE command = commands.id{where})"  # noqa: S608
    which = f"WHERE {older}{mine if where else ''} ORDER BY id DESC LIMIT ?"
    return _seen(session, which, [*([after] if after else []), *values, limit], roads, who)


def _on(roads: Collection[str] | None, who: str) -> tuple[str, list[Any]]:
    """Return the condition for the orders that a person sees, with its values. A gantry outside
    `roads` that the person has named is refused as unknown, and has no road.
    """
    if roads is None:
        return "", []
    named = "road = '' AND command IN (SELECT id FROM commands WHERE who = ?)"
    return f" AND (road {{in}} OR ({named}))", [sorted(roads), who]


def _seen(
    session: Session,
    which: str,
    values: Sequence[Any],
    roads: Collection[str] | None,
    who: str,
) -> list[CommandSeen]:
    rows = session.rows(
        f"SELECT id, who, method, fields, names, asked, expires FROM commands {which}",  # noqa: S608
        *values,
    )
    where, mine = _on(roads, who)
    counted = session.rows(
        "SELECT command, state, count(*) FROM orders"  # noqa: S608
        f" WHERE command {{in}}{where} GROUP BY command, state",
        *([row[0] for row in rows], *mine),
    )
    counts: dict[str, dict[OrderState, int]] = {row[0]: {} for row in rows}
    for command, state, number in counted:
        counts[command][OrderState(state)] = int(number)
    return [
        CommandSeen(
            *(command, who, method, json.loads(fields), tuple(names.split())),
            *(asked, expires, counts[command]),
        )
        for command, who, method, fields, names, asked, expires in rows
        if roads is None or counts[command]
    ]


def _order(row: Row) -> OrderSeen:
    gantry, state, code, message, message_zh, result, sent_at, ended_at = row
    told = None if result is None else json.loads(result)
    return OrderSeen(gantry, OrderState(state), code, message, message_zh, told, sent_at, ended_at)
