"""Stores in memory: what they are asked is done when they return."""

import sqlite3
from collections.abc import Callable

from twisted_gantry.core.moments import Moment
from twisted_gantry.core.recorder import HOLD_INTERVALS, INTERVAL
from twisted_gantry.store.history import schema as history_schema
from twisted_gantry.store.history.sqlite import SqliteHistory
from twisted_gantry.store.schema import MIGRATIONS
from twisted_gantry.store.sqlite import SqliteStore
from twisted_gantry.store.writer import InlineWriter


def moments(now: Callable[[], float]) -> Callable[[], Moment]:
    """Return the moments of a clock that is right, on a computer that runs since 1970."""
    return lambda: moment_at(now())


def moment_at(seconds: float) -> Moment:
    return Moment(seconds, "boot-1", seconds, True)


def memory_store(moment: Callable[[], Moment]) -> SqliteStore:
    """Return a store in memory, whose Deferreds have fired when they are returned."""
    db = sqlite3.connect(":memory:", isolation_level=None)
    for script in MIGRATIONS:
        db.executescript(script)
    return SqliteStore(InlineWriter(db), moment)


def memory_history(now: Callable[[], float]) -> SqliteHistory:
    """Return a history in memory, whose Deferreds have fired when they are returned."""
    db = sqlite3.connect(":memory:", isolation_level=None)
    for script in history_schema.MIGRATIONS:
        db.executescript(script)
    return SqliteHistory(InlineWriter(db), now, HOLD_INTERVALS * INTERVAL)
