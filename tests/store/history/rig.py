"""What the tests of the history share: a history in memory, at a time that a test sets."""

import sqlite3
from typing import Any

from tests.store.material import result_of
from twisted_gantry.core.history import Sample
from twisted_gantry.store.history.rollup import GRACE
from twisted_gantry.store.history.schema import MIGRATIONS
from twisted_gantry.store.history.sqlite import SqliteHistory
from twisted_gantry.store.writer import InlineWriter

DAY0 = 1_699_920_000.0
"""A midnight (UTC) at which the tests begin, Unix seconds."""

HOLD = 90.0


class Rig:
    """A history; `now` is the time of day, seconds since DAY0, as all times of its methods."""

    def __init__(self) -> None:
        self.now = 0.0
        self.db = sqlite3.connect(":memory:", isolation_level=None)
        for script in MIGRATIONS:
            self.db.executescript(script)
        self.history = self.opened()

    def opened(self) -> SqliteHistory:
        """Return another history over the same file, as after a restart."""
        return SqliteHistory(InlineWriter(self.db), lambda: DAY0 + self.now, HOLD)

    def add(self, point: str, *samples: tuple[float, float | str | None]) -> None:
        result_of(self.history.add([Sample(point, DAY0 + at, value) for at, value in samples]))

    def steady(self, point: str, begin: float, end: float, value: float) -> None:
        """Keep a value each minute, as of a point that does not change."""
        self.add(point, *((float(at), value) for at in range(int(begin), int(end), 60)))

    def settle(self, now: float | None = None) -> int:
        """Do all the roll-up that is due; returns how many steps that took."""
        self.now = self.now if now is None else now
        steps = 0
        while result_of(self.history.step()):
            steps += 1
            assert steps < 10_000
        return steps

    def settled(self, hours: int) -> int:
        """Let all hours before this one be settled."""
        return self.settle(hours * 3600 + GRACE / 1000)

    def query(
        self, point: str, since: float = 0.0, until: float | None = None, step: float | None = 60.0
    ) -> list[Any]:
        until = self.now if until is None else until
        series = result_of(self.history.query(point, DAY0 + since, DAY0 + until, step))
        return [(at - DAY0, *values) for at, *values in series.buckets]

    def states(
        self, point: str, since: float = 0.0, until: float | None = None, step: float = 60.0
    ) -> list[tuple[float, str]]:
        until = self.now if until is None else until
        series = result_of(self.history.query(point, DAY0 + since, DAY0 + until, step))
        return [(at - DAY0, text) for at, text in series.states]

    def rows(self, query: str) -> list[tuple[object, ...]]:
        return self.db.execute(query).fetchall()
