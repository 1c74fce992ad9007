"""What the disk could not take, in a database of the same tables in memory.

While the disk fails, new reports, what becomes of old ones, the audit, alarms and settings go here,
and the reports are sent from here. When the disk works again, one transaction brings all of that to
it.

A report has its number from the beginning, on the disk or not, so that nobody who knows the report
by its number has to be told. Reports of the disk that are to be sent meanwhile are taken over: they
are in `taken`, and the disk's own row of them does not count any more. The ledger here holds
differences: a report that was taken over and delivered is -1 queued and +1 delivered.
"""

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from sqlite3 import Connection
from typing import Any

from twisted_gantry.core.alarm import Alarm
from twisted_gantry.core.stored import AuditEntry, Cap, Ledger, Report
from twisted_gantry.store import alarms, audit, outbox, settings
from twisted_gantry.store.schema import MIGRATIONS

MOST_BYTES = 8 * 1024 * 1024  # of the reports of one uplink; then the oldest goes
MOST_ENTRIES = 10_000  # of the audit
MOST_ALARMS = 10_000

_LEDGER = ("created", "delivered", "queued", "set_aside", "dropped", "size")
_ADD = ", ".join(f"{name} = {name} + ?" for name in _LEDGER)
_ROW = f"{outbox.COLUMNS}, checksum"
_ID = outbox.COLUMNS.split(", ").index("id")

Change = Callable[[Connection], object]


@dataclass(frozen=True)
class Snapshot:
    """What was here at one moment, to be brought to the disk by `write`, which may come again."""

    reports: Sequence[tuple[Any, ...]]
    ledgers: Sequence[tuple[Any, ...]]
    taken: frozenset[int]
    entries: Sequence[AuditEntry]
    changes: Sequence[Change]
    settings: Mapping[str, str | None]
    alarms: Sequence[Alarm] = ()

    def write(self, db: Connection) -> None:
        for change in self.changes:
            change(db)
        for name, text in self.settings.items():
            settings.put(db, name, text)
        for number in self.taken:
            db.execute("DELETE FROM outbox WHERE id = ?", (number,))
        marks = ",".join("?" * len(_ROW.split(",")))
        db.executemany(f"INSERT OR REPLACE INTO outbox ({_ROW}) VALUES ({marks})", self.reports)  # noqa: S608
        for uplink, *differences in self.ledgers:
            db.execute("INSERT OR IGNORE INTO ledger (uplink) VALUES (?)", (uplink,))
            db.execute(f"UPDATE ledger SET {_ADD} WHERE uplink = ?", (*differences, uplink))  # noqa: S608
        for entry in self.entries:
            audit.keep(db, entry)
        alarms.keep(db, self.alarms)


@dataclass(eq=False)
class Memory:
    """`taken` has the numbers of reports that the disk has, too. `gone` are reports of the disk
    that have left the queue, `changes` what is to be done to the disk for that. `settings` are
    encoded.
    """

    taken: set[int] = field(default_factory=set)
    gone: set[int] = field(default_factory=set)
    changes: list[Change] = field(default_factory=list)
    entries: dict[str, AuditEntry] = field(default_factory=dict)
    settings: dict[str, str | None] = field(default_factory=dict)
    alarms: dict[str, Alarm] = field(default_factory=dict)

    @cached_property
    def db(self) -> Connection:
        made = sqlite3.connect(":memory:", isolation_level=None)
        for script in MIGRATIONS:
            made.executescript(script)
        return made

    @property
    def is_empty(self) -> bool:
        if self.taken or self.gone or self.changes or self.entries or self.settings:
            return False
        if self.alarms:
            return False
        return "db" not in vars(self) or not self._holds_reports()

    def _holds_reports(self) -> bool:
        [(some,)] = self.db.execute("SELECT count(*) FROM ledger").fetchall()
        return bool(some)

    def add(self, number: int, report: Report, cap: Cap) -> Sequence[int]:
        """Keep a new report; returns the numbers of those that had to go for it."""
        bound = Cap(min(cap.size, MOST_BYTES), cap.age)
        told = (report.uplink, report.kind, report.subject, report.body, report.made)
        _, dropped = outbox.add(self.db, *told, report.urgent, bound, number)
        return dropped

    def stored_late(self, number: int, uplink: str, size: int) -> None:
        """Note that the disk has taken a report after all: it is the disk's, and counted there."""
        self.taken.add(number)
        self.count(uplink, created=-1, queued=-1, size=-size)

    def take(self, report: Report) -> None:
        """Take over a report of the disk."""
        if report.id in self.taken:
            return
        self.taken.add(report.id)
        self.count(report.uplink)
        values = outbox.row_of(report)
        marks = ",".join("?" * len(values))
        self.db.execute(f"INSERT INTO outbox ({_ROW}) VALUES ({marks})", values)  # noqa: S608

    def holds(self, number: int) -> bool:
        found = self.db.execute("SELECT 1 FROM outbox WHERE id = ?", (number,)).fetchone()
        return found is not None

    def count(self, uplink: str, **differences: int) -> None:
        self.db.execute("INSERT OR IGNORE INTO ledger (uplink) VALUES (?)", (uplink,))
        for name, difference in differences.items():
            self.db.execute(
                f"UPDATE ledger SET {name} = {name} + ? WHERE uplink = ?",  # noqa: S608
                (difference, uplink),
            )

    def differences(self, uplink: str) -> tuple[Ledger, int]:
        """Return the ledger's differences, and the number of reports that only memory has."""
        numbers = self.db.execute("SELECT id FROM outbox WHERE uplink = ?", (uplink,))
        own = sum(number not in self.taken for (number,) in numbers)
        return outbox.ledger(self.db, uplink), own

    def reports(
        self, uplink: str | None, state: str | None, limit: int, after: int
    ) -> list[Report]:
        return outbox.reports(self.db, uplink, state, limit, after)

    def leave(self, numbers: Iterable[int], change: Change) -> None:
        """Note that reports of the disk have left the queue; `change` tells the disk."""
        self.gone.update(numbers)
        self.changes.append(change)

    def keep_entry(self, entry: AuditEntry) -> None:
        self.entries[entry.id] = entry
        if len(self.entries) > MOST_ENTRIES:
            del self.entries[next(iter(self.entries))]

    def keep_alarms(self, changed: Sequence[Alarm]) -> None:
        """Keep the newest records; beyond the bound the oldest ended ones go."""
        for alarm in changed:
            self.alarms[alarm.id] = alarm
        over = len(self.alarms) - MOST_ALARMS
        if over > 0:
            ended = [number for number, alarm in self.alarms.items() if not alarm.active]
            for number in ended[:over]:
                del self.alarms[number]

    def snapshot(self) -> Snapshot:
        rows = self.db.execute(f"SELECT {_ROW} FROM outbox ORDER BY id").fetchall()  # noqa: S608
        names = ", ".join(("uplink", *_LEDGER))
        ledgers = self.db.execute(f"SELECT {names} FROM ledger").fetchall()  # noqa: S608
        entries, changes = tuple(self.entries.values()), tuple(self.changes)
        taken, kept = frozenset(self.taken), dict(self.settings)
        raised = tuple(self.alarms.values())
        return Snapshot(rows, ledgers, taken, entries, changes, kept, raised)

    def written(self, snapshot: Snapshot) -> None:
        """Forget what the disk has taken; what has changed since then stays, and comes next."""
        now = {row[_ID]: row for row in self.snapshot().reports}
        self.taken -= snapshot.taken
        for row in snapshot.reports:
            if now.get(row[_ID]) == row:
                self.db.execute("DELETE FROM outbox WHERE id = ?", (row[_ID],))
            else:  # it has left, or was tried: the disk's row is to be replaced
                self.taken.add(row[_ID])
        for uplink, *differences in snapshot.ledgers:
            self.db.execute(
                f"UPDATE ledger SET {_ADD} WHERE uplink = ?",  # noqa: S608 - own names
                (*(-each for each in differences), uplink),
            )
        zeros = " AND ".join(f"{name} = 0" for name in _LEDGER)
        self.db.execute(
            f"DELETE FROM ledger WHERE {zeros} AND uplink NOT IN (SELECT uplink FROM outbox)"  # noqa: S608
        )
        for entry in snapshot.entries:
            if self.entries.get(entry.id) is entry:
                del self.entries[entry.id]
        for alarm in snapshot.alarms:
            if self.alarms.get(alarm.id) is alarm:
                del self.alarms[alarm.id]
        for name, text in snapshot.settings.items():
            if self.settings.get(name) == text:
                self.settings.pop(name, None)
        del self.changes[: len(snapshot.changes)]
        if not self.changes:
            self.gone.clear()
