"""The good and the bad injector of one face: what its faults make of what it sends."""

from collections import Counter

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.web.iweb import IBodyProducer

from twisted_gantry.twin.faults.drip import dripping
from twisted_gantry.twin.faults.settings import Faults, FaultSettings

THAW_S = 0.1
"""How often a frozen face looks whether it is over."""
CLOSE_S = 3.0
"""How long a peer may take to read the rest, when its connection is to close."""


class FaultInjector:
    """The faults of `face`, as they meet its messages. `counts` is that of the face."""

    def __init__(
        self, face: str, faults: Faults, clock: IReactorTime, counts: Counter[str]
    ) -> None:
        self.face, self.clock, self.counts = face, clock, counts
        self._faults = faults
        self._thawing: dict[Deferred[None], None] = {}
        self._look: IDelayedCall | None = None

    @property
    def faults(self) -> FaultSettings:
        """What is in force now."""
        return self._faults.of(self.face)

    # -- messages

    def strikes(self, probability: float, name: str) -> bool:
        """Roll the dice, and count under `name` what they struck."""
        struck = self._faults.strikes(probability)
        if struck:
            self.counts[name] += 1
        return struck

    def garbage(self, end: bytes = b"") -> bytes:
        """Return what is no JSON and no UTF-8, up to `end`."""
        return b"\xff" + self._faults.garbage() + end

    def spoilt(self, message: bytes, end: bytes = b"") -> tuple[bytes, ...]:
        """Return what goes out in place of an answer: nothing, another one, or it twice.

        One to something that was not done goes out as it is. `end` is what ends a message of the
        protocol. Counts `dropped`, `garbage`, `half` and `doubled`.
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
        if self.strikes(faults.duplicate, "doubled"):
            return (message, message)
        return (message,)

    def body(self, message: bytes) -> tuple[bytes | IBodyProducer, float]:
        """Return the body of a request, which may drip, and the seconds that it takes then."""
        rate = self.faults.drip
        if rate is None:
            return message, 0.0
        return dripping(message, rate, self.clock), len(message) / rate

    # -- frost

    def thaw(self) -> "Deferred[None]":
        """Return what fires when it is frozen no more; whoever waits no longer cancels it."""
        waiting: Deferred[None] = Deferred(self._forget)
        self._thawing[waiting] = None
        if self._look is None:
            self._look = self.clock.callLater(THAW_S, self._looked)
        return waiting

    async def thawed(self) -> None:
        """Wait while it is frozen."""
        while self.faults.frozen:
            await self.thaw()

    def _forget(self, waiting: "Deferred[None]") -> None:
        self._thawing.pop(waiting, None)
        if not self._thawing and self._look is not None:
            self._look.cancel()
            self._look = None

    def _looked(self) -> None:
        self._look = None
        if self.faults.frozen:
            self._look = self.clock.callLater(THAW_S, self._looked)
            return
        thawing, self._thawing = self._thawing, {}
        for each in thawing:
            if not each.called:  # one that went on may have cancelled another
                each.callback(None)
