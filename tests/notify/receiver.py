"""A receiver of notifications in memory."""

import json
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from tests.support import TestClock
from twisted_gantry.notify.interfaces import ISender, NotSent


@implementer(ISender)
class Receiver:
    """Notes each message, with its time if there is a `clock`; takes it unless `error` is set.
    While it `hangs`, it does not answer.
    """

    def __init__(self, clock: TestClock | None = None) -> None:
        self.error: NotSent | None = None
        self.hangs = False
        self.got: list[dict[str, Any]] = []
        self.times: list[float] = []
        self.pending: list[Deferred[None]] = []
        self._clock = clock

    def send(self, body: bytes) -> Deferred[None]:
        self.got.append(json.loads(body))
        if self._clock is not None:
            self.times.append(self._clock.seconds())
        if self.hangs:
            self.pending.append(Deferred())
            return self.pending[-1]
        return succeed(None) if self.error is None else fail(self.error)

    def close(self) -> Deferred[None]:
        return succeed(None)

    @property
    def told(self) -> list[tuple[str, list[str]]]:
        """Return event and names of alarms of each message."""
        return [(each["event"], [a["alarm"] for a in each["alarms"]]) for each in self.got]
