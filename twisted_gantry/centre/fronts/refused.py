"""What a front remembers of refused requests until the next second, when the database has it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime

from twisted_gantry.centre.interfaces import IReportStore, NotStored
from twisted_gantry.centre.store.refusals import Refusal, note
from twisted_gantry.net.service import NamedService
from twisted_gantry.net.timers import GuardedLoop

FLUSH_S = 2.0
MOST = 500  # refusals of different kinds between two flushes; further ones are one row
_SHOWN = 200  # characters of a reason
_OTHERS = ("", "", "")


class RefusedRequests(NamedService):
    """Gathers refusals, and hands them to the store. `now` returns Unix seconds."""

    def __init__(self, store: IReportStore, clock: IReactorTime, now: Callable[[], float]) -> None:
        super().__init__("refused requests")
        self._store, self._now = store, now
        self._waiting: dict[tuple[str, str, str], Refusal] = {}
        self._loop = GuardedLoop(clock, self.flush, "the list of refused requests")

    def startService(self) -> None:
        super().startService()
        self._loop.start(FLUSH_S, now=False)

    def stopService(self) -> Deferred[Any] | None:
        super().stopService()
        self._loop.stop()
        return self.flush()

    def add(self, gantry: str, address: str, code: str, why: str) -> None:
        """Note a refusal; `gantry` is the id that the request named, empty if it named none."""
        key = (gantry, address, code)
        if key not in self._waiting and len(self._waiting) >= MOST:
            key, why = _OTHERS, "more refusals of other kinds"
        now = self._now()
        found = self._waiting.get(key) or Refusal(*key, why="", times=0, first_at=now, last_at=now)
        self._waiting[key] = replace(
            found, why=clean(why)[:_SHOWN], times=found.times + 1, last_at=now
        )

    def flush(self) -> Deferred[None]:
        """Store what waits. What the store does not take is dropped: the ledger has its number."""
        waiting, self._waiting = self._waiting, {}
        if not waiting:
            return succeed(None)
        storing = self._store.write(lambda session: note(session, waiting.values()))
        return storing.addErrback(lambda failure: failure.trap(NotStored) and None)


def clean(text: str) -> str:
    """Return a text of a peer with what cannot be printed replaced; no database takes a NUL."""
    return "".join(each if each.isprintable() else "\ufffd" for each in text)
