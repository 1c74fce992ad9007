"""Plays a recording back as the device that was recorded: same answers, same pace or a faster one.

Each request gets the next recorded answer of its key (`replay_tape` has the rules) after as long
as it took then; when they run out, the last once more. What was not answered then is not answered
now, nor is what was never asked: over TCP by silence, over HTTP by 404.
"""

import random
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IAddress, IDelayedCall, IProtocolFactory, IReactorTime
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.protocols.policies import WrappingFactory
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from twisted_gantry.net.addresses import is_loopback
from twisted_gantry.net.http.client import BoundedClient, NoAnswer, persistent_pool, treq_client
from twisted_gantry.net.http.server import Limits, bounded_site, cut
from twisted_gantry.net.listener import Listener
from twisted_gantry.net.service import ServiceGroup
from twisted_gantry.twin.faces.cabinet.monitor import Monitor, NotTaken
from twisted_gantry.twin.faces.etc.sender import EtcSender
from twisted_gantry.twin.faults.injection import FaultInjector
from twisted_gantry.twin.faults.settings import CABINET, Faults
from twisted_gantry.twin.replay.tape import RULES, Recorded, Turn, upload_fields
from twisted_gantry.twin.scenarios.runner import FASTEST
from twisted_gantry.twin.service import TwinSettings
from twisted_gantry.wire.errors import FrameTooLong, WireError
from twisted_gantry.wire.etc import envelope as etc
from twisted_gantry.wire.frames import ObjectFramer
from twisted_gantry.wire.json import as_text, loads
from twisted_gantry.wire.upscard.messages import place_of

_log = Logger()

MAX_SESSIONS = 64
# Answers and calls that wait for their time; of more, nothing is taken.
MAX_WAITING = 256
LIMITS = Limits(body=etc.MAX_BODY)
_JSON = {"Content-Type": "application/json"}


class Player:
    """Finds answers, and does things later. `counts` tells `answered`, `silent` and `unrecorded`.

    `speed` is how many times as fast as it was.
    """

    def __init__(self, recorded: Recorded, clock: IReactorTime, speed: float) -> None:
        self.counts: Counter[str] = Counter()
        self.rule = RULES[recorded.kind]
        self._recorded, self._clock, self._speed = recorded, clock, speed
        self._due: set[IDelayedCall] = set()
        self._said: set[str] = set()

    def turn(self, method: str, target: str, body: bytes) -> Turn | None:
        """Return what becomes of a request; None for one that was never recorded."""
        key = self.rule.key(method, target, body)
        turn = self._recorded.tape.next(key)
        if turn is None:
            self.counts["unrecorded"] += 1
            if key not in self._said and len(self._said) < MAX_WAITING:
                self._said.add(key)
                _log.info(
                    "{device} was never asked this: {key}",
                    device=self._recorded.device,
                    key=key[:80],
                )
        else:
            self.counts["answered" if turn.answered else "silent"] += 1
        return turn

    def later(self, seconds: float, act: Callable[[], None]) -> IDelayedCall | None:
        """Do something after recorded `seconds`; None if too much waits already."""
        if len(self._due) >= MAX_WAITING:
            self.counts["overloaded"] += 1
            return None

        def due() -> None:
            self._due.discard(call)
            act()

        call = self._clock.callLater(seconds / self._speed, due)
        self._due.add(call)
        return call

    def cancel(self, call: IDelayedCall | None) -> None:
        """Do not do it."""
        if call is not None and call in self._due:
            self._due.discard(call)
            call.cancel()

    def stop(self) -> None:
        """Do nothing more."""
        for call in tuple(self._due):
            self.cancel(call)


class _Session(Protocol):
    """One connection to a UPS card of the past."""

    def __init__(self, factory: "ReplayFactory") -> None:
        self._factory, self._player = factory, factory.player
        self._framer = ObjectFramer()
        self._calls: list[IDelayedCall | None] = []

    def connectionMade(self) -> None:
        self._factory.sessions.add(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._factory.sessions.discard(self)
        for call in self._calls:
            self._player.cancel(call)

    def abortConnection(self) -> None:
        """Drop the connection at once."""
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

        self._calls = [call for call in self._calls if call is not None and call.active()]
        self._calls.append(player.later(turn.latency, reply))


class ReplayFactory(Factory):
    """Serves the sessions of a recorded UPS card over TCP."""

    noisy = False

    def __init__(self, player: Player) -> None:
        self.player = player
        self.sessions: set[_Session] = set()

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """Accept a session; None closes the connection at once."""
        if len(self.sessions) >= MAX_SESSIONS:
            self.player.counts["refused"] += 1
            return None
        self.player.counts["connections"] += 1
        return _Session(self)


Send = Callable[[bytes, bytes, Turn], None]
"""Does with what a device sends on its own: the content, the live request, the turn."""


class ReplayResource(Resource):
    """Answers HTTP requests as the device did; `send` is for what it sends on its own."""

    isLeaf = True

    def __init__(self, player: Player, send: Send) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._player, self._send = player, send

    def render(self, request: Request) -> bytes | int:
        """Answer one request, whatever its method and path."""
        player = self._player
        assert request.content is not None  # set once the request is complete
        asked = request.content.read()
        method, target = request.method.decode("latin-1"), request.uri.decode("latin-1")
        turn = player.turn(method, target, asked)
        if turn is None:
            request.setResponseCode(404)
            return b""
        for seconds, content in turn.later:
            player.later(seconds, partial(self._send, content, asked, turn))
        live = player.rule.echo(target, asked)
        call = player.later(turn.latency, lambda: self._answer(request, turn, live))
        if call is None:
            request.setResponseCode(503)
            return b""
        request.notifyFinish().addErrback(lambda _: player.cancel(call))
        return NOT_DONE_YET

    def _answer(self, request: Request, turn: Turn, live: str) -> None:
        if turn.body is None:
            cut(request)
            return
        request.setResponseCode(turn.status)
        if turn.content_type:
            request.setHeader(b"Content-Type", turn.content_type.encode("latin-1", "replace"))
        request.write(self._player.rule.fit(turn.body, turn.echo, live))
        request.finish()


class Caller:
    """Sends what a device sends on its own, to this machine alone.

    The results of a UPS card go to the `host` of the live command; the uploads of a cabinet to
    `monitor`, signed and stamped anew.
    """

    def __init__(self, player: Player, client: BoundedClient, monitor: Monitor) -> None:
        self._player, self._client, self._monitor = player, client, monitor
        self._sending: set[Deferred[Any]] = set()

    def call_back(self, content: bytes, asked: bytes, turn: Turn) -> None:
        """POST a recorded result."""
        host = _host(asked)
        if not host:
            self._player.counts["foreign-host"] += 1
            return
        rule = self._player.rule
        body = rule.fit(content, turn.echo, rule.echo("", asked))
        self._track(self._client.request("POST", host, headers=_JSON, body=body))

    def upload(self, content: bytes, asked: bytes = b"", turn: Turn | None = None) -> None:
        """Upload a recorded report."""
        fields = upload_fields(content)
        if fields is not None:
            self._track(ensureDeferred(self._monitor.post(etc.Method.CABINET_STATUS, fields)))

    def upload_unasked(self, uploads: tuple[tuple[float, bytes], ...], at: int = 0) -> None:
        """Upload what came unasked, from number `at` on; each waits for the one before."""
        if at == len(uploads):
            return
        before = uploads[at - 1][0] if at else 0.0

        def due() -> None:
            self.upload(uploads[at][1])
            self.upload_unasked(uploads, at + 1)

        self._player.later(uploads[at][0] - before, due)

    def stop(self) -> None:
        """Send nothing more."""
        for sending in tuple(self._sending):
            sending.cancel()

    def _track(self, sending: Deferred[Any]) -> None:
        self._sending.add(sending)

        def over(result: Any) -> Any:
            self._sending.discard(sending)
            return result

        def failed(failure: Failure) -> None:
            failure.trap(NoAnswer, NotTaken, CancelledError)
            self._player.counts["call-failed"] += 1

        sending.addBoth(over).addErrback(failed)
        sending.addErrback(lambda f: _log.failure("a replayed call failed", failure=f))


def _host(asked: bytes) -> str:
    """Return the URL that a live command wants its result at, if that is on this machine."""
    try:
        fields = as_text(loads(asked))
        url = fields.get("host") if isinstance(fields, dict) else None
        return url if isinstance(url, str) and is_loopback(place_of(url).host) else ""
    except (WireError, ValueError):
        return ""


class Replay(ServiceGroup):
    """One device of the past. `counts` are those of `Player`, and of the server."""

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
        """Listen; and upload what a cabinet uploaded unasked, when it did."""
        super().startService()
        self._caller.upload_unasked(self._recorded.uploads)

    def stopService(self) -> Deferred[Any]:
        """Stop all of it; fires when no connection is open."""
        self._player.stop()
        self._caller.stop()
        stopped = super().stopService()
        return stopped.addCallback(lambda _: self._close())


def build_replay(
    recorded: Recorded,
    reactor: Any,
    now: Callable[[], float],
    endpoint: str = "",
    speed: float = 1.0,
    settings: TwinSettings | None = None,
) -> Replay:
    """Wire a replay; it listens on `endpoint` once it is started.

    Without an endpoint it listens where the twin's face of that kind does by `settings`, which
    also tell what a cabinet uploads as, and where to. `now` returns Unix seconds. Raises ValueError
    for an endpoint or a speed that is none.
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
    monitor = Monitor(sender, player.counts, given.monitor_url)
    caller = Caller(player, client, monitor)
    factory = replay_factory(recorded, player, caller, reactor)
    place = (
        endpoint
        or {
            "ups-card": given.ups_tcp,
            "ups-card-http": given.ups_http,
            "cfos": given.cfos,
            "bms": given.ems,
            "cabinet": given.cabinet,
        }[recorded.kind]
    )
    try:
        served = serverFromString(reactor, place)
    except (ValueError, TypeError, OSError) as error:
        raise ValueError(f"{place!r} is no endpoint: {error}") from None
    listener = Listener(reactor, place, served, factory, lambda: _open(factory))
    listener.setName(f"replay of {recorded.device}")  # type: ignore[no-untyped-call]
    return Replay(recorded, player, caller, listener, pool.closeCachedConnections)


def replay_factory(
    recorded: Recorded, player: Player, caller: Caller, clock: IReactorTime
) -> IProtocolFactory:
    """Return what serves a recorded device."""
    if recorded.kind == "ups-card":
        return ReplayFactory(player)
    send: Send = caller.upload if recorded.kind == "cabinet" else caller.call_back
    return bounded_site(ReplayResource(player, send), clock, LIMITS, player.counts)


def _open(factory: IProtocolFactory) -> Any:
    """Return the open connections."""
    if isinstance(factory, ReplayFactory):
        return list(factory.sessions)
    assert isinstance(factory, WrappingFactory)  # what bounded_site returns
    return list(factory.protocols)
