"""Workers that call people, over one store, with a receiver in memory."""

from dataclasses import dataclass, field
from typing import Any

from twisted.internet.defer import Deferred, fail

from tests.notify.receiver import Receiver
from tests.support import TestClock, fired
from twisted_gantry.centre.interfaces import Job, NotStored
from twisted_gantry.centre.own_troubles import OwnTroubles
from twisted_gantry.centre.workers.caller import Office
from twisted_gantry.centre.workers.calls import DUTY, PERIOD, Calls
from twisted_gantry.centre.workers.lease import Duty
from twisted_gantry.notify.interfaces import ISender
from twisted_gantry.notify.settings import CalledSettings
from twisted_gantry.settings.notify import NotifyEntry
from twisted_gantry.testing.centre_store import InlineStore


class Faulty:
    """A store that a test takes down, or lets hang."""

    def __init__(self, store: InlineStore) -> None:
        self.down = self.hangs = False
        self.trouble: str | None = None
        self._store = store

    def write(self, job: Job[Any]) -> Deferred[Any]:
        if self.hangs:
            return Deferred()
        return fail(NotStored("the disk is full")) if self.down else self._store.write(job)

    read = write


@dataclass(frozen=True)
class Entry(NotifyEntry):
    """A target whose receiver is in memory."""

    receiver: Receiver = field(default_factory=Receiver)

    def sender(self, *_: Any) -> ISender:
        return self.receiver


def entry(receiver: Receiver, name: str = "duty", **settings: Any) -> Entry:
    least = settings.pop("min_severity", "warning")
    made = CalledSettings(name=name, language="en", **settings)
    return Entry(name, "webhook", made, least, receiver=receiver)


def office(clock: TestClock) -> Office:
    return Office("South", "Asia/Shanghai", clock, clock.now, lambda: 1.0)


class Worker:
    """A worker with the duty `notify`."""

    def __init__(
        self, name: str, clock: TestClock, store: InlineStore, entries: list[Entry]
    ) -> None:
        self.store, self.clock = Faulty(store), clock
        self.own = OwnTroubles(clock.now)
        calls = Calls(entries, office(clock), self.own)
        faulty: Any = self.store
        self.duty = Duty(DUTY, name, faulty, clock, calls.act, PERIOD, ended=calls.ended)
        self.calls = calls
        self.duty.startService()

    def stop(self) -> list[Any]:
        """End as a service does; returns what the end of it fires with."""
        return fired(self.duty.stopService())

    def kill(self) -> None:
        """End at once, without a word to the database: what `kill -9` leaves."""
        self.store.hangs = True
        self.stop()
        self.clock.pump([1.0] * 20)
