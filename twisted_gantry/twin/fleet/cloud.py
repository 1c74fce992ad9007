"""The Fogslink sessions of a fleet: one a gantry, each with its heartbeats and a pack a period.

Source: the Fogslink document; the order of messages is that of `wire/fogslink/client.py`. A load
generator has no outbox: a pack without an 8 is counted and not sent again; the next one carries new
values under a new `packID`. A configuration (`res300`) is counted and not answered.
"""

from collections import Counter, deque
from collections.abc import Callable, Sequence
from functools import partial
from random import Random
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import (
    IProtocol,
    IProtocolFactory,
    IReactorTime,
    IStreamClientEndpoint,
)
from zope.interface import implementer

from twisted_gantry.net.line_link import LineLink
from twisted_gantry.net.outage import Outage
from twisted_gantry.twin.fleet.readings import Gantry
from twisted_gantry.twin.fleet.settings import FleetSettings
from twisted_gantry.twin.fleet.tally import Tally, count_code
from twisted_gantry.twin.fleet.wheel import TICK_S, Wheel
from twisted_gantry.wire.errors import WireError
from twisted_gantry.wire.fogslink import client, messages
from twisted_gantry.wire.frames import whole

# Those that connect together have their heartbeats together for ever: small bunches are even load.
RAMP_S = TICK_S

_BEAT = f'{{"{messages.NAMES[messages.Heartbeat]}"'.encode()
_BEAT_ANSWER = f'"{messages.NAMES[messages.HeartbeatAnswer]}"'.encode()


@implementer(IStreamClientEndpoint)
class RampedEndpoint:
    """An endpoint that begins at most `rate` attempts a second, in the order they are asked for."""

    def __init__(self, endpoint: IStreamClientEndpoint, wheel: Wheel, rate: float) -> None:
        self._endpoint = endpoint
        self._wheel, self._pause = wheel, max(RAMP_S, 1 / rate)
        self._bunch = rate * self._pause
        self._over = 0.0  # parts of an attempt that the last bunch left
        self._waiting: deque[Deferred[None]] = deque()
        self._running = False

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:  # noqa: N803
        turn: Deferred[None] = Deferred()
        self._waiting.append(turn)
        if not self._running:
            self._running = True
            self._wheel.callLater(0, self._let_go)
        return turn.addCallback(lambda _: self._endpoint.connect(protocolFactory))

    def _let_go(self) -> None:
        self._running = bool(self._waiting)
        if not self._running:
            self._over = 0.0
            return
        self._wheel.callLater(self._pause, self._let_go)
        self._over += self._bunch
        bunch = int(self._over + 1e-9)
        self._over -= bunch
        for _ in range(min(bunch, len(self._waiting))):
            self._waiting.popleft().callback(None)


class Sessions:
    """All sessions with the cloud at `endpoint`. `now` gives Unix seconds.

    `random` gives the phases of the packs, uniform over the period from the first time that a
    session is up, and the jitter of the pauses before a reconnection.

    `counts` holds `connections`, `reconnections`, `not-connected` attempts, sessions that were
    `cut` while they were up, `too-long` lines and `configurations`; `refused` the refused logins,
    by code.
    """

    def __init__(
        self,
        gantries: Sequence[Gantry],
        wheel: Wheel,
        clock: IReactorTime,
        now: Callable[[], float],
        endpoint: IStreamClientEndpoint,
        random: Random,
        settings: FleetSettings,
    ) -> None:
        self.packs, self.heartbeats = Tally(wheel.seconds), Tally(wheel.seconds)
        self.counts: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.wheel, self.clock, self.now, self.random = wheel, clock, now, random
        self.endpoint = RampedEndpoint(endpoint, wheel, settings.connect_rate)
        self.period = settings.pack_period
        self.last_failure = ""
        self.stopped = False
        self.up = 0
        self._sessions = [_Session(gantry, self) for gantry in gantries]

    def start(self) -> None:
        for each in self._sessions:
            each.lines.start()

    def stop(self) -> Deferred[Any]:
        """Cut all sessions; fires when their connections are closed."""
        self.stopped = True
        return gatherResults([each.lines.stop() for each in self._sessions])

    def shown(self) -> dict[str, Any]:
        """Return what was counted, for JSON; `odd` counts the irregularities of the sessions."""
        odd: Counter[str] = Counter()
        for each in self._sessions:
            odd.update(each.session.counts)
        return {
            "sessionsUp": self.up,
            "counts": dict(self.counts),
            "odd": dict(odd),
            "refused": dict(self.refused),
            "lastFailure": self.last_failure or None,
            "packs": self.packs.shown(),
            "heartbeats": self.heartbeats.shown(),
        }


class _Session:
    """One gantry's session with the cloud, over a line link with the pauses of a gantry."""

    def __init__(self, gantry: Gantry, fleet: Sessions) -> None:
        self.session = client.ClientSession(self, fleet.wheel, gantry.eq_sn, lambda: gantry.api_key)
        self.lines = LineLink(
            self,
            fleet.endpoint,
            fleet.clock,
            fleet.random.random,
            pauses=client.PAUSES,
            delimiter=messages.DELIMITER,
            max_line=messages.MAX_LINE,
            counts=fleet.counts,
            whole=whole,
        )
        self.drop = self.lines.drop
        self._gantry, self._fleet = gantry, fleet
        self._beats: list[float] = []
        self._pack_id = 0
        self._connected_once = self._up = False

    # -- what the line link tells

    def connected(self) -> None:
        self._fleet.counts["reconnections"] += self._connected_once
        self._connected_once = True
        self.session.opened()

    def received(self, line: bytes) -> None:
        # An answer to a heartbeat names none: they come in the order of the heartbeats.
        if self._beats and _BEAT_ANSWER in line[:32]:
            self._beaten(line)
        self.session.received(line)

    def writable(self) -> None:
        """Nothing to do: what waits is bounded, for without answers the session drops the link."""

    def disconnected(self, reason: Outage) -> None:
        fleet, was_up = self._fleet, self._up
        self._up = False
        fleet.up -= was_up
        self.session.closed()
        beats, self._beats = self._beats, []
        if not fleet.stopped:
            fleet.counts["cut"] += was_up
            fleet.heartbeats.lost += len(beats)
            fleet.last_failure = str(reason)[:200]

    def not_connected(self, reason: Outage) -> None:
        self._fleet.counts["not-connected"] += 1
        self._fleet.last_failure = str(reason)[:200]

    def _beaten(self, line: bytes) -> None:
        try:
            message = messages.decode_response(line)
        except WireError:
            return
        if not isinstance(message, messages.HeartbeatAnswer):
            return
        took = self._fleet.wheel.seconds() - self._beats.pop(0)
        if message.code == messages.FogslinkCode.OK:
            self._fleet.heartbeats.acknowledge(took)
        else:
            self._fleet.heartbeats.refuse(message.code, took)

    # -- what the session does

    def transmit(self, line: bytes) -> None:
        if not self.lines.is_connected:
            return
        if line.startswith(_BEAT):
            self._beats.append(self._fleet.wheel.seconds())
            self._fleet.heartbeats.sent += 1
        self.lines.send(line)

    def online(self) -> None:
        fleet = self._fleet
        self._up = True
        fleet.up += 1
        self.lines.set_pauses(*client.PAUSES)
        if not self._pack_id:
            self._pack_id = int(fleet.now() * 1000)
            fleet.wheel.every(fleet.period, self._send_pack, fleet.random.random() * fleet.period)

    def refused(self, refusal: client.LoginRefusal) -> None:
        count_code(self._fleet.refused, refusal.code)
        self.lines.set_pauses(*client.REFUSED_PAUSES)

    def malformed(self, reason: str) -> None:
        self._fleet.last_failure = str(reason)[:200]

    def configure(self, message: messages.Configure) -> None:
        self._fleet.counts["configurations"] += 1

    # -- data

    def _send_pack(self) -> None:
        fleet = self._fleet
        if not self.session.ready:
            fleet.packs.skipped += 1
            return
        self._pack_id += 1
        name, items, sent = str(self._pack_id), self._gantry.items(), fleet.wheel.seconds()
        pack = messages.Pack(
            eq_sn=self._gantry.eq_sn, pack_id=name, total_size=len(items), eq_data=items
        )
        fleet.packs.sent += 1
        self.session.submit(
            client.Parcel(messages.encode(pack), name, False, partial(self._pack_ended, sent))
        )

    def _pack_ended(self, sent: float, ending: client.Ending) -> None:
        fleet = self._fleet
        took = fleet.wheel.seconds() - sent
        if ending is client.Ending.TAKEN:
            self.lines.good()
            fleet.packs.acknowledge(took)
        elif ending is client.Ending.FAILED:
            fleet.packs.refuse(client.Ending.FAILED.value, took)
        elif not fleet.stopped:
            fleet.packs.lost += 1
