"""The good and the bad manners of one face: what its faults make of what it sends."""

from collections import Counter

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from twisted_gantry.twin.faults import Faults, Settings

THAW_S = 0.1
"""How often a frozen face looks whether it is over."""


class Manners:
    """The faults of `face`, as they meet its messages. `counts` is that of the face."""

    def __init__(
        self, face: str, faults: Faults, clock: IReactorTime, counts: Counter[str]
    ) -> None:
        self.face, self.clock, self.counts = face, clock, counts
        self._faults = faults

    @property
    def faults(self) -> Settings:
        """What is in force now."""
        return self._faults.of(self.face)

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
        """Return what goes out in place of a message: nothing, another one, or it twice.

        `end` is what ends a message of the protocol. Counts `dropped`, `garbage`, `half` and
        `doubled`.
        """
        faults = self.faults
        if self.strikes(faults.drop, "dropped"):
            return ()
        if self.strikes(faults.garbage, "garbage"):
            return (self.garbage(end),)
        if self.strikes(faults.half, "half"):
            return (message[: len(message) // 2],)
        if self.strikes(faults.duplicate, "doubled"):
            return (message, message)
        return (message,)

    async def thawed(self) -> Settings:
        """Wait while it is frozen; returns what is in force then."""
        while (faults := self.faults).frozen:
            await deferLater(self.clock, THAW_S)
        return faults
