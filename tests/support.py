"""What several rooms' tests need: `twisted_gantry.testing` under the names of the tests."""

from typing import Any

from twisted.internet.defer import Deferred

from twisted_gantry.testing.clock import START as START
from twisted_gantry.testing.clock import ManualClock as TestClock
from twisted_gantry.testing.network import NOWHERE as NOWHERE
from twisted_gantry.testing.network import MemoryNetwork as MemoryNetwork
from twisted_gantry.testing.site import FakeSite as Bench
from twisted_gantry.testing.site import MemoryCallbacks as MemoryCallbacks
from twisted_gantry.testing.site import in_no_thread as in_no_thread
from twisted_gantry.testing.store import memory_history as memory_history
from twisted_gantry.testing.store import memory_store as memory_store
from twisted_gantry.testing.store import moment_at as moment_at
from twisted_gantry.testing.store import moments as moments

__all__ = ["Bench", "TestClock"]


def fired(deferred: Deferred[Any]) -> list[Any]:
    """Return a list that gains the Deferred's result, or its Failure."""
    results: list[Any] = []
    deferred.addBoth(results.append)
    return results


def no_computers(fields: Any, *, clock_good: bool) -> None:
    """Refuse a report of computers: a test of something else has none."""
    raise ValueError("no report of computers is expected")
