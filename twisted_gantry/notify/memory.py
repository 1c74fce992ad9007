"""An outbox in memory, for what cannot be kept: the database itself does not work."""

from twisted.internet.defer import Deferred, succeed

from twisted_gantry.notify.interfaces import Waiting
from twisted_gantry.notify.plan import PlanState


class MemoryOutbox:
    """The messages of one target, while this process lives. A target has at most one that waits."""

    def __init__(self) -> None:
        self._state = PlanState()
        self._waiting: Waiting | None = None
        self._number = 0

    def load(self) -> Deferred[PlanState]:
        return succeed(self._state)

    def add(self, event: str, id: str, body: bytes, state: PlanState) -> Deferred[int]:  # noqa: A002
        self._number += 1
        self._state, self._waiting = state, Waiting(self._number, body)
        return succeed(self._number)

    def keep(self, state: PlanState) -> Deferred[None]:
        self._state = state
        return succeed(None)

    def waiting(self) -> Deferred[Waiting | None]:
        return succeed(self._waiting)

    def delivered(self, number: int) -> Deferred[None]:
        self._waiting = None
        return succeed(None)

    def tried(self, number: int, reason: str) -> Deferred[None]:
        return succeed(None)

    def set_aside(self, number: int, reason: str) -> Deferred[None]:
        self._waiting = None
        return succeed(None)
