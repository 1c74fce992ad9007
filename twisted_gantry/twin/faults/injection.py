"""Fault injection for one protocol endpoint, its face."""

from collections import Counter

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.web.iweb import IBodyProducer

from twisted_gantry.net.timers import Timer
from twisted_gantry.twin.faults.drip import dripping
from twisted_gantry.twin.faults.settings import Faults, FaultSettings

THAW_S = 0.1  # the period at which a frozen face checks for the end of `frozen`, in seconds
CLOSE_S = 3.0  # how long a peer may read the rest before its connection is dropped, in seconds


class FaultInjector:
    """Applies the faults of `face` to its messages. `counts` are those of the face."""

    def __init__(
        self, face: str, faults: Faults, clock: IReactorTime, counts: Counter[str]
    ) -> None:
        self.face, self.clock, self.counts = face, clock, counts
        self._faults = faults
        self._thawing: dict[Deferred[None], None] = {}
        self._look = Timer(clock, self._looked)

    @property
    def faults(self) -> FaultSettings:
        return self._faults.of(self.face)

    def strikes(self, probability: float, name: str) -> bool:
        """Draw whether a fault occurs, and count it under `name` if it does."""
        struck = self._faults.strikes(probability)
        if struck:
            self.counts[name] += 1
        return struck

    def garbage(self, end: bytes = b"") -> bytes:
        """Return bytes that are neither JSON nor UTF-8, and `end`."""
        return b"\xff" + self._faults.garbage() + end

    def spoilt(self, message: bytes, end: bytes = b"") -> tuple[bytes, ...]:
        """Return the messages to send in place of an answer: none, a changed one, or two.

        The answer to a refused request stays as it is. `end` is the delimiter of the protocol.
        Counts `dropped`, `garbage`, `half` and `doubled`.
        """
        faults = self.faults
        if not faults.acts:
            return (message,)
        if self.strikes(faults.drop, "dropped"):
            return ()
        if self.strikes(faults.garbage, "garbage"):
            return (self.garbage(end),)
        if self.strikes(faults.half, "half"):
            return (message[: len(message) // 2],)
        return (message, message) if self.strikes(faults.duplicate, "doubled") else (message,)

    def body(self, message: bytes) -> tuple[bytes | IBodyProducer, float]:
        rate = self.faults.drip
        if rate is None:
            return message, 0.0
        return dripping(message, rate, self.clock), len(message) / rate

    def thaw(self) -> "Deferred[None]":
        """Return a Deferred that fires at the end of `frozen`; a caller may cancel it."""
        waiting: Deferred[None] = Deferred(self._forget)
        self._thawing[waiting] = None
        if not self._look.running:
            self._look.start(THAW_S)
        return waiting

    async def thawed(self) -> None:
        while self.faults.frozen:
            await self.thaw()

    def _forget(self, waiting: "Deferred[None]") -> None:
        self._thawing.pop(waiting, None)
        if not self._thawing:
            self._look.cancel()

    def _looked(self) -> None:
        if self.faults.frozen:
            self._look.start(THAW_S)
            return
        thawing, self._thawing = self._thawing, {}
        for each in thawing:
            if not each.called:  # an earlier one may have cancelled it
                each.callback(None)
