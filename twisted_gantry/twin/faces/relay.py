"""A relay over TCP: bytes that its owner chose switch a load of the world.

Source: none; the ETC document names a relay by address and port only (section 3.2, cmd 1).
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

from attrs import define
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from twisted_gantry.twin.faces.tcp import SessionFactory

MAX_SESSIONS = 4


@define(eq=False)
class RelayWork:
    """What a relay hears, answers and does: `switch` gets True for on, False for off."""

    on: bytes
    off: bytes
    confirm: bytes
    switch: Callable[[bool], None]


class _Session(Protocol):
    factory: "RelayFactory"

    def __init__(self, work: RelayWork) -> None:
        self._work, self._heard = work, b""

    def connectionMade(self) -> None:
        self.factory.sessions[self] = None

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.factory.sessions.pop(self, None)

    def abortConnection(self) -> None:
        transport: Any = self.transport
        transport.abortConnection()

    def dataReceived(self, data: bytes) -> None:
        self._heard += data
        while (found := self._first()) is not None:
            at, on = found
            self._heard = self._heard[at + len(self._word(on=on)) :]
            self._work.switch(on)
            self.factory.counts["on" if on else "off"] += 1
            if self._work.confirm:
                transport: Any = self.transport
                transport.write(self._work.confirm)
        self._heard = self._heard[-max(len(self._work.on), len(self._work.off)) :]

    def _word(self, *, on: bool) -> bytes:
        return self._work.on if on else self._work.off

    def _first(self) -> tuple[int, bool] | None:
        """Return where the first whole word begins, and whether it is on; the longer word wins."""
        found = [
            (at, -len(self._word(on=on)), on)
            for on in (True, False)
            if (at := self._heard.find(self._word(on=on))) >= 0
        ]
        return (min(found)[0], min(found)[2]) if found else None


class RelayFactory(SessionFactory):
    """Serves one relay; `counts` tells `on`, `off`, `connections` and `refused`."""

    def __init__(self, work: RelayWork) -> None:
        super().__init__(Counter(), lambda: _Session(work), MAX_SESSIONS)
