"""Tells people that the database is away, or that notifications fail: from memory, by each worker
for itself.

No worker can know that another one tells, so that each worker does. A message is sent once by each
process, and once more when the database is back.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from twisted.internet.defer import Deferred

from twisted_gantry.centre.own_troubles import STORE, OwnTroubles, failing
from twisted_gantry.centre.workers import calls
from twisted_gantry.centre.workers.caller import Caller, Office
from twisted_gantry.net.service import ServiceGroup
from twisted_gantry.notify.memory import MemoryOutbox
from twisted_gantry.notify.notice import Notice
from twisted_gantry.settings.notify import NotifyEntry

_OURS = (STORE, failing(calls.DUTY))


class Alone(ServiceGroup):
    """Calls people for those faults of this process that the duty `notify` cannot tell."""

    def __init__(self, entries: Sequence[NotifyEntry], office: Office, own: OwnTroubles) -> None:
        super().__init__()
        self._own = own
        # What is wrong with a target is told by the worker that has the duty.
        self._caller = Caller(
            entries, office, lambda _: MemoryOutbox(), self._notices, OwnTroubles(office.now)
        )
        self.add(self._caller)
        self._end = own.subscribe(self._caller.changed)

    def _notices(self) -> Iterator[Notice]:
        for each in self._own:
            if each.name in _OURS:
                since = self._own.since(each.name)
                yield Notice(each.name, each.severity, each.en, each.zh, since, id=str(since))

    def stopService(self) -> Deferred[Any]:
        self._end()
        return super().stopService()
