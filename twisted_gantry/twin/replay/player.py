"""Plays a recording back as the recorded device: the same answers, at the same pace or another.

Each request gets the next recorded answer of its key (see `replay/tape`) after the recorded
latency. When the answers run out, the last one is repeated. A request without a recorded answer
gets none; one that was never recorded gets silence over TCP, and 404 over HTTP.
"""

import random
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.internet.interfaces import IProtocolFactory, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from twisted_gantry.net.addresses import is_loopback
from twisted_gantry.net.http.app import with_length
from twisted_gantry.net.http.client import BoundedClient, NoAnswer, persistent_pool, treq_client
from twisted_gantry.net.http.server import Limits, bounded_site, cut
from twisted_gantry.net.listener import Listener
from twisted_gantry.net.service import ServiceGroup
from twisted_gantry.net.timers import Timer
from twisted_gantry.twin.faces.cabinet.monitor import Monitor, NotTaken
from twisted_gantry.twin.faces.etc.sender import EtcSender
from twisted_gantry.twin.faces.http import body_of
from twisted_gantry.twin.faces.tcp import SessionFactory
from twisted_gantry.twin.faults.injection import FaultInjector
from twisted_gantry.twin.faults.settings import CABINET, Faults
from twisted_gantry.twin.replay.tape import RULES, Recorded, Turn, object_of, text_of, upload_fields
from twisted_gantry.twin.scenarios.runner import FASTEST
from twisted_gantry.twin.service import TwinSettings, listener_of
from twisted_gantry.wire.errors import FrameTooLong
from twisted_gantry.wire.etc import envelope as etc
from twisted_gantry.wire.frames import ObjectFramer
from twisted_gantry.wire.upscard.messages import place_of

_log = Logger()

MAX_SESSIONS = 64
MAX_WAITING = 256  # answers and uploads that wait for their time; above, requests are refused
LIMITS = Limits(body=etc.MAX_BODY)
_JSON = {"Content-Type": "application/json"}


class Player:
    """Schedules the recorded answers; counts `answered`, `silent`, `unrecorded`, `overloaded`."""

    def __init__(self, recorded: Recorded, clock: IReactorTime, speed: float) -> None:
        self.counts: Counter[str] = Counter()
        self.rule = RULES[recorded.kind]
        self._recorded, self._clock, self._speed = recorded, clock, speed
        self._due: set[Timer] = set()
        self._logged: set[str] = set()

    def turn(self, method: str, target: str, body: bytes) -> Turn | None:
        """Return the turn of a request, None for one that was never recorded."""
        key = self.rule.key(method, target, body)
        turn = self._recorded.tape.next(key)
        if turn is None:
            self.counts["unrecorded"] += 1
            if key not in self._logged and len(self._logged) < MAX_WAITING:
                self._logged.add(key)
                device = self._recorded.device
                _log.info("{device} was never asked this: {key}", device=device, key=key[:80])
        else:
            self.counts["answered" if turn.answered else "silent"] += 1
        return turn

    def later(self, seconds: float, act: Callable[[], None]) -> Timer | None:
        """Call `act` after recorded `seconds`; None if too much waits already."""
        if len(self._due) >= MAX_WAITING:
            self.counts["overloaded"] += 1
            return None

        def due() -> None:
            self._due.discard(timer)
            act()

        timer = Timer(self._clock, due)
        timer.start(seconds / self._speed)
        self._due.add(timer)
        return timer

    def cancel(self, timer: Timer | None) -> None:
        if timer is not None:
            self._due.discard(timer)
            timer.cancel()

    def stop(self) -> None:
        for timer in tuple(self._due):
            self.cancel(timer)


class _Session(Protocol):
    factory: SessionFactory

    def __init__(self, player: Player) -> None:
        self._player, self._framer = player, ObjectFramer()
        self._timers: list[Timer | None] = []

    def connectionMade(self) -> None:
        self.factory.sessions[self] = None

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.factory.sessions.pop(self, None)
        for timer in self._timers:
            self._player.cancel(timer)

    def abortConnection(self) -> None:
        if self.transport is not None:
            self.transport.abortConnection()  # type: ignore[attr-defined]

    def dataReceived(self, data: bytes) -> None:
        try:
            for frame in self._framer.feed(data):
                self._take(frame)
        except FrameTooLong:
            self._player.counts["too-long"] += 1
            self.abortConnection()

    def _take(self, frame: bytes) -> None:
        player = self._player
        turn = player.turn("", "", frame)
        if turn is None or turn.body is None:
            return
        body = player.rule.fit(turn.body, turn.echo, player.rule.echo("", frame))

        def reply() -> None:
            if self.transport is not None:
                self.transport.write(body)

        self._timers = [timer for timer in self._timers if timer is not None and timer.running]
        self._timers.append(player.later(turn.latency, reply))


# Sends what a device sent on its own: the content, the live request, the turn.
Send = Callable[[bytes, bytes, Turn], None]


class ReplayResource(Resource):
    """Answers HTTP requests as the device did; `send` sends what it sent on its own."""

    isLeaf = True

    def __init__(self, player: Player, send: Send) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._player, self._send = player, send

    def render(self, request: Request) -> bytes | int:
        player = self._player
        asked = body_of(request)
        method, target = request.method.decode("latin-1"), request.uri.decode("latin-1")
        turn = player.turn(method, target, asked)
        if turn is None:
            request.setResponseCode(404)
            return b""
        for seconds, content in turn.later:
            player.later(seconds, partial(self._send, content, asked, turn))
        live = player.rule.echo(target, asked)
        timer = player.later(turn.latency, lambda: self._answer(request, turn, live))
        if timer is None:
            request.setResponseCode(503)
            return b""
        request.notifyFinish().addErrback(lambda _: player.cancel(timer))
        return NOT_DONE_YET

    def _answer(self, request: Request, turn: Turn, live: str) -> None:
        if turn.body is None:
            cut(request)
            return
        request.setResponseCode(turn.status)
        if turn.content_type:
            request.setHeader(b"Content-Type", turn.content_type.encode("latin-1", "replace"))
        request.write(with_length(self._player.rule.fit(turn.body, turn.echo, live), request))
        request.finish()


class Caller:
    """Sends what a device sent on its own, to this machine alone.

    The results of a UPS card go to the `host` of the live command; the uploads of a cabinet go to
    `monitor`, with a new signature and time stamp.
    """

    def __init__(self, player: Player, client: BoundedClient, monitor: Monitor) -> None:
        self._player, self._client, self._monitor = player, client, monitor
        self._sending: set[Deferred[Any]] = set()

    def call_back(self, content: bytes, asked: bytes, turn: Turn) -> None:
        host = _host(asked)
        if not host:
            self._player.counts["foreign-host"] += 1
            return
        rule = self._player.rule
        body = rule.fit(content, turn.echo, rule.echo("", asked))
        self._track(self._client.request("POST", host, headers=_JSON, body=body))

    def upload(self, content: bytes, asked: bytes = b"", turn: Turn | None = None) -> None:
        fields = upload_fields(content)
        if fields is not None:
            self._track(ensureDeferred(self._monitor.post(etc.Method.CABINET_STATUS, fields)))

    def upload_unasked(self, uploads: tuple[tuple[float, bytes], ...], at: int = 0) -> None:
        """Upload the unasked reports from index `at` on, in their order and pace."""
        if at == len(uploads):
            return
        before = uploads[at - 1][0] if at else 0.0

        def due() -> None:
            self.upload(uploads[at][1])
            self.upload_unasked(uploads, at + 1)

        self._player.later(uploads[at][0] - before, due)

    def stop(self) -> None:
        for sending in tuple(self._sending):
            sending.cancel()

    def _track(self, sending: Deferred[Any]) -> None:
        self._sending.add(sending)

        def failed(failure: Failure) -> None:
            failure.trap(NoAnswer, NotTaken, CancelledError)
            self._player.counts["call-failed"] += 1

        sending.addErrback(failed)
        sending.addErrback(lambda f: _log.failure("a replayed call failed", failure=f))
        sending.addBoth(lambda _: self._sending.discard(sending))


def _host(asked: bytes) -> str:
    """Return the callback URL of a live command, empty if it is not on this machine."""
    url = text_of(object_of(asked), "host")
    try:
        return url if url and is_loopback(place_of(url).host) else ""
    except ValueError:
        return ""


class Replay(ServiceGroup):
    """One recorded device. `counts` are those of `Player` and of the server."""

    def __init__(
        self,
        recorded: Recorded,
        player: Player,
        caller: Caller,
        listener: Listener,
        close: Callable[[], Deferred[Any]],
    ) -> None:
        super().__init__()
        self.counts, self.listener = player.counts, listener
        self._recorded, self._player, self._caller = recorded, player, caller
        self._close = close
        listener.setServiceParent(self)  # type: ignore[no-untyped-call]

    def startService(self) -> None:
        super().startService()
        self._caller.upload_unasked(self._recorded.uploads)

    def stopService(self) -> Deferred[Any]:
        """Stop everything; the Deferred fires when no connection is open."""
        self._player.stop()
        self._caller.stop()
        return super().stopService().addCallback(lambda _: self._close())


def build_replay(
    recorded: Recorded,
    reactor: Any,
    now: Callable[[], float],
    endpoint: str = "",
    speed: float = 1.0,
    settings: TwinSettings | None = None,
) -> Replay:
    """Wire a replay; it listens on `endpoint` once it is started.

    The default endpoint is that of the twin's face of this kind in `settings`. These also have the
    id, the code and the URL for the uploads of a cabinet. `now` returns Unix seconds. Raises
    ValueError for an invalid endpoint or speed.
    """
    given = settings or TwinSettings()
    if not 0 < speed <= FASTEST:
        raise ValueError(f"speed must be above 0 and at most {FASTEST:g}")
    player = Player(recorded, reactor, speed)
    pool = persistent_pool(reactor)
    client = BoundedClient(treq_client(reactor, pool), reactor)
    no_faults = Faults(reactor.seconds, random.Random(0))  # noqa: S311 - for no secret
    injector = FaultInjector(CABINET, no_faults, reactor, player.counts)
    sender = EtcSender(client, injector, now, gantry_id=given.gantry_id, auth=given.auth)
    caller = Caller(player, client, Monitor(sender, player.counts, given.monitor_url))
    factory = replay_factory(recorded, player, caller, reactor)
    places = {
        "ups-card": given.ups_tcp,
        "ups-card-http": given.ups_http,
        "cfos": given.cfos,
        "bms": given.ems,
        "cabinet": given.cabinet,
    }
    place = endpoint or places[recorded.kind]
    listener = listener_of(f"replay of {recorded.device}", place, factory, reactor)
    return Replay(recorded, player, caller, listener, pool.closeCachedConnections)


def replay_factory(
    recorded: Recorded, player: Player, caller: Caller, clock: IReactorTime
) -> IProtocolFactory:
    if recorded.kind == "ups-card":
        return SessionFactory(player.counts, lambda: _Session(player), MAX_SESSIONS)
    send: Send = caller.upload if recorded.kind == "cabinet" else caller.call_back
    return bounded_site(ReplayResource(player, send), clock, LIMITS, player.counts)
