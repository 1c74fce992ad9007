"""The connections of a server together: their bounds, their deadlines, and their end."""

from collections import Counter
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.protocol import ServerFactory
from twisted.web.http import datetimeToString

from twisted_gantry.net.addresses import host_of
from twisted_gantry.net.http.lean.connection import LeanConnection
from twisted_gantry.net.http.lean.request import Handler
from twisted_gantry.net.http.server import Limits
from twisted_gantry.net.slots import Slots
from twisted_gantry.net.timers import GuardedLoop, Timer

SWEEP_S = 1.0
DRAIN_S = 10.0  # seconds that requests in flight have at the stop


class LeanFactory(ServerFactory):
    """Serves `handler` within `limits`. `slots(address)` returns the place of a connection, or None
    to close it. `now` returns Unix seconds, for the `Date` of answers.

    `counts` gains `requests`, `too-large`, `long-head`, `bad-request`, `crowded`, `timeout`,
    `unfinished`, `not-reading`, `late` and `failed`.
    """

    noisy = False

    def __init__(
        self,
        handler: Handler,
        limits: Limits,
        clock: IReactorTime,
        counts: Counter[str],
        slots: Callable[[str], Slots],
        now: Callable[[], float],
    ) -> None:
        self.handler, self.limits, self.clock, self.counts = handler, limits, clock, counts
        self.path, self.wanted = handler.path, frozenset(handler.wanted)
        self._slots, self._wall = slots, now
        self.connections: set[LeanConnection] = set()
        self.held = 0
        self.draining = False
        self._drained: Deferred[None] | None = None
        self._sweep = GuardedLoop(clock, self._look, "the sweep of connections")
        self._patience = Timer(clock, self._give_up)
        self._tick()

    def startFactory(self) -> None:
        self.draining = False
        self._sweep.start(SWEEP_S)

    def stopFactory(self) -> None:
        self._rest()

    def buildProtocol(self, addr: IAddress | None) -> Any:
        host = host_of(addr)
        slot = self._slots(host).admit(host)
        return None if slot is None else LeanConnection(self, slot)

    def drain(self) -> Deferred[None]:
        """Read no more, answer what is in flight, and close all connections: the Deferred fires
        when none is left. After `DRAIN_S` seconds the rest gets the handler's `late`.
        """
        self.draining = True
        drained: Deferred[None] = Deferred()
        self._drained = drained
        for connection in list(self.connections):
            connection.drain()
        self._patience.start(DRAIN_S)
        self._rest()
        return drained

    def made(self, connection: LeanConnection) -> None:
        self.connections.add(connection)

    def lost(self, connection: LeanConnection) -> None:
        self.connections.discard(connection)
        self._rest()

    def hold(self, size: int) -> None:
        """Count bytes of a body that comes; the longest is refused when all are too long."""
        self.held += size
        while self.held > self.limits.bodies:
            max(self.connections, key=lambda each: each.held).crowd_out()

    def reply(self, body: bytes, end: bytes) -> bytes:
        return b"%b%d\r\n%b%b" % (self._head, len(body), end, body)

    def _rest(self) -> None:
        """End what runs for connections when the last one has gone."""
        if self.connections or not (self.draining or not self.numPorts):
            return
        self._patience.cancel()
        if not self.numPorts:
            self._sweep.stop()
        drained, self._drained = self._drained, None
        if drained is not None:
            drained.callback(None)

    def _give_up(self) -> None:
        for connection in list(self.connections):
            connection.give_up()
        drained, self._drained = self._drained, None
        if drained is not None:
            drained.callback(None)

    def _tick(self) -> None:
        self.now = float(self.clock.seconds())
        date = datetimeToString(self._wall())
        self._head = (
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\n"
            b"Cache-Control: no-store\r\nDate: %b\r\nContent-Length: " % date
        )

    def _look(self) -> None:
        self._tick()
        for connection in list(self.connections):
            connection.sweep(self.now)
