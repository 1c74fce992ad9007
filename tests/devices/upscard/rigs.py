"""A driver of a UPS card on a Clock, over TCP or HTTP in memory, and the server of the card."""

from collections import Counter
from random import Random
from typing import Any

from treq.client import HTTPClient
from twisted.internet.defer import Deferred, ensureDeferred, succeed
from twisted.internet.interfaces import IProtocolFactory, IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.web.client import URI, Agent, HTTPConnectionPool
from twisted.web.iweb import IAgentEndpointFactory, IBodyProducer
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET
from twisted.web.server import Request as HttpRequest
from zope.interface import implementer

from tests.support import Bench, MemoryNetwork, TestClock, fired
from twisted_gantry.core.commands.door import Request
from twisted_gantry.core.commands.types import CommandResult
from twisted_gantry.core.status import State
from twisted_gantry.devices.upscard.driver import UpsCard, UpsCardSettings
from twisted_gantry.devices.upscard.http import HttpLink, UpsCardHttpSettings
from twisted_gantry.devices.upscard.link import CardLink
from twisted_gantry.devices.upscard.sources import Sources
from twisted_gantry.devices.upscard.tcp import TcpLink
from twisted_gantry.net.http.client import BoundedClient, persistent_pool
from twisted_gantry.net.http.server import Limits, bounded_site
from twisted_gantry.net.session import Backoff
from twisted_gantry.twin.faces.upscard.card import UID, Card, UpsCardFactory
from twisted_gantry.twin.faces.upscard.http import UpsHttpFace
from twisted_gantry.twin.faults.settings import UPS_HTTP, UPS_TCP, Faults
from twisted_gantry.twin.world.model import World
from twisted_gantry.web.callbacks import CallbackHost
from twisted_gantry.wire.frames import ObjectFramer
from twisted_gantry.wire.json import loads
from twisted_gantry.wire.upscard.messages import CardRefusal, Result

TCP, HTTP = "tcp", "http"
WAYS = (TCP, HTTP)

LIVE = (
    "(220.1 220.2 220.3 50.1 ---.- ---.- ---.- 149.5 221 222 223 50 5 6 7 20 30 25 216.5 31687 90 "
    "37.5 0000100000000011"
)
RATINGS = "(Sunshine V1.0 C10KS 220 220 20 50.0 192 1/1 10000"
# The host of a peer in memory.
IN_MEMORY = "unix"
URL, CALLBACK = "http://127.0.0.1:2380/", "http://127.0.0.1:9000/post"


class Networks:
    def __init__(self) -> None:
        self._networks: list[MemoryNetwork] = []

    def join(self, clock: TestClock, *networks: MemoryNetwork) -> None:
        """Let `clock` deliver on these, too; each has made itself the clock's only one."""
        self._networks += networks
        clock.network = self

    def flush(self) -> bool:
        """Deliver what was written; True if there was anything."""
        return sum(network.flush() for network in self._networks) > 0  # each of them


@implementer(IAgentEndpointFactory)
class _To:
    """Every URL leads to one network."""

    def __init__(self, network: MemoryNetwork) -> None:
        self._network = network

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        return self._network


@implementer(IBodyProducer)
class _AtOnce:
    """Sends a body at once; treq's own producer asks the global reactor for its turns."""

    def __init__(self, body: Any) -> None:
        self._body = bytes(body)
        self.length = len(self._body)

    def startProducing(self, consumer: Any) -> Deferred[None]:
        consumer.write(self._body)
        return succeed(None)

    def pauseProducing(self) -> None:
        """It is over."""

    def resumeProducing(self) -> None:
        """It is over."""

    def stopProducing(self) -> None:
        """It is over."""


def client_to(network: MemoryNetwork, clock: TestClock) -> tuple[BoundedClient, HTTPConnectionPool]:
    """Return a client whose requests all go to `network`, and its pool."""
    pool = persistent_pool(clock)
    agent = Agent.usingEndpointFactory(clock, _To(network), pool)
    treq = HTTPClient(agent, data_to_body_producer=_body)
    return BoundedClient(treq, clock, deadline=5.0), pool


def _body(data: Any) -> IBodyProducer:
    return data if IBodyProducer.providedBy(data) else _AtOnce(data)


class Rig:
    """A driver, its network, and the server of the card.

    Over HTTP `server` is what takes the commands, and results come `back` through a callback host,
    which may be that of another rig, `beside`.
    """

    def __init__(
        self,
        way: str,
        server: IProtocolFactory,
        bench: Bench,
        back: MemoryNetwork | None = None,
        beside: "Rig | None" = None,
        **settings: Any,
    ) -> None:
        self.way, self.bench, self.clock = way, bench, bench.clock
        self.network = MemoryNetwork(self.clock, server)
        self.callbacks: CallbackHost = (
            CallbackHost(self.clock) if beside is None else beside.callbacks
        )
        self.networks: Networks = Networks() if beside is None else beside.networks
        self.counts: Counter[str] = self.callbacks.counts
        self.back = back
        backoff = Backoff(1.0, 60.0, lambda: 1.0)
        if way == TCP:
            self.settings: Any = UpsCardSettings(address="tcp:unused:1", **settings)
        else:
            self.settings = UpsCardHttpSettings(url=URL, callback=CALLBACK, **settings)
            assert back is not None
            back.server = self.callbacks.site()
            self.networks.join(self.clock, self.network, back)

        self.sources = Sources("127.0.0.1", (), self.clock)
        self.sources.found([IN_MEMORY])

        def link(card: UpsCard) -> CardLink:
            self.link = self._make_link(card, backoff)
            return self.link

        kind = "ups-card" if way == TCP else "ups-card-http"
        self.name = "ups1" if beside is None else "ups2"
        self.card = UpsCard(self.name, self.settings, bench.context, link, kind)
        bench.add(self.card)

    def _make_link(self, card: UpsCard, backoff: Backoff) -> CardLink:
        if self.way == TCP:
            terminator = self.settings.terminator
            return TcpLink(card, self.network, terminator, self.clock, backoff)
        client, pool = client_to(self.network, self.clock)
        close = pool.closeCachedConnections
        return HttpLink(
            card, URL, CALLBACK, client, self.callbacks, self.sources, self.clock, backoff, close
        )

    def start(self, seconds: float = 1.0) -> None:
        """Start the driver, and let some time pass."""
        self.card.startService()
        self.clock.run(seconds)

    def stop(self) -> None:
        """Stop, and see that no timer is left."""
        self.card.stopService()
        self.close_server()
        self.clock.settle()
        self.bench.alarms.stop()
        assert self.clock.getDelayedCalls() == []

    def close_server(self) -> None:
        """End what the other side has open."""

    def state(self) -> State:
        return self.card.status.state

    def command(self, name: str, args: dict[str, Any] | None = None, **more: Any) -> list[Any]:
        """Ask for a command through the door; the list gains its outcome."""
        request = Request(
            self.name,
            name,
            args or {},
            "test",
            self.bench.door.new_id(),
            **{"confirmed": True, **more},
        )
        return fired(ensureDeferred(self.bench.door.run(request)))

    def lose(self) -> None:
        """Take the way to the card away: what is open breaks, nothing new is made."""
        self.network.reachable = False
        for pump in self.network.pumps:
            pump.serverIO.abortConnection()
            pump.clientIO.abortConnection()
        self.network.flush()


class TwinRig(Rig):
    """A driver on the card twin, whose world moves in `run` alone."""

    def __init__(self, way: str = TCP, card_password: str = "", **settings: Any) -> None:
        beside: Rig | None = settings.get("beside")
        bench = settings.pop("bench", None) or (Bench() if beside is None else beside.bench)
        clock = bench.clock
        self.world: World = settings.pop("world", None) or World(Random(1))
        self.faults = Faults(clock.seconds, Random(1))
        self.face = UPS_TCP if way == TCP else UPS_HTTP
        ups = self.world.ups["ups1" if beside is None else "ups2"]
        self.twin_card = Card(ups, password=card_password, uid=settings.pop("uid", UID))
        self.twin: Any
        back = None
        if way == TCP:
            server: IProtocolFactory = UpsCardFactory(self.twin_card, self.faults, clock)
            self.twin = server
        else:
            back = MemoryNetwork(clock, Factory())
            client, pool = client_to(back, clock)
            close = pool.closeCachedConnections
            self.twin = UpsHttpFace(self.twin_card, self.faults, clock, client, close)
            server = self.twin.site()
        super().__init__(way, server, bench, back, **settings)

    def fault(self, **settings: Any) -> None:
        self.faults.put(self.face, settings)

    def behave(self) -> None:
        self.faults.clear(self.face)

    def run(self, seconds: float, step: float = 0.1) -> None:
        """Let time pass for the world, too."""
        for _ in range(round(seconds / step)):
            self.world.step(step)
            self.clock.run(step, step)

    def close_server(self) -> None:
        """End the callbacks."""
        if self.way == HTTP:
            self.twin.stopService()


class Script(Protocol):
    """A session with a card that records commands, and answers only as the test says."""

    def __init__(self, factory: "ScriptFactory") -> None:
        self._factory, self._framer = factory, ObjectFramer()

    def connectionMade(self) -> None:
        self._factory.sessions.append(self)

    def dataReceived(self, data: bytes) -> None:
        for frame in self._framer.feed(data):
            self._factory.take(self, loads(frame))

    def send(self, data: bytes) -> None:
        """Send bytes to the driver."""
        assert self.transport is not None
        self.transport.write(data)


class ScriptFactory(Factory):
    """Answers RTD and QAD as the document does, unless a test replaces `answers`."""

    noisy = False

    def __init__(self) -> None:
        self.sessions: list[Any] = []
        self.received: list[dict[str, Any]] = []
        self.answers: dict[str, Any] = {"RTD": RATINGS, "QAD": LIVE}

    def buildProtocol(self, addr: Any) -> Any:
        return Script(self)

    def take(self, session: Any, command: dict[str, Any]) -> None:
        """Reply with the value, bytes or code that `answers` has for the command, or not."""
        self.received.append(command)
        given = self.answers.get(command["cmd"])
        if callable(given):
            given = given(command)
        if isinstance(given, str):
            given = Result(
                uid="1", session=command["session"], cmd=command["cmd"], value=given
            ).encode()
        if isinstance(given, int):
            given = CardRefusal(
                result=given, uid="1", session=command["session"], cmd=command["cmd"]
            ).encode()
        if given is not None:
            session.send(given)

    def commands(self, name: str) -> list[dict[str, Any]]:
        """Return the commands of one name that were received."""
        return [command for command in self.received if command["cmd"] == name]


class _Caller:
    """A session over HTTP: what it sends is POSTed to the callback host."""

    def __init__(self, client: BoundedClient) -> None:
        self._client = client
        self.statuses: list[Any] = []

    def send(self, data: bytes) -> None:
        """Call back."""
        called = self._client.request("POST", CALLBACK, body=data)
        called.addCallbacks(lambda answer: self.statuses.append(answer.status), self._failed)

    def _failed(self, failure: Any) -> None:
        self.statuses.append(failure.type.__name__)


class HttpScript(ScriptFactory):
    """The same card over HTTP. It answers each POST with `status`, `headers` and `body`."""

    def __init__(self, client: BoundedClient, clock: TestClock) -> None:
        super().__init__()
        self.status, self.body = 200, b""
        self.headers: dict[str, str] = {}
        self.caller = _Caller(client)
        self.sessions = [self.caller]
        resource: Any = _Scripted(self)
        self._site: Any = bounded_site(resource, clock, Limits(), Counter())

    def buildProtocol(self, addr: Any) -> Any:
        return self._site.buildProtocol(addr)


class _Scripted(Resource):
    isLeaf = True

    def __init__(self, script: HttpScript) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._script = script

    def render_POST(self, request: HttpRequest) -> Any:
        """Take a command; its result comes back on its own."""
        assert request.content is not None
        self._script.take(self._script.caller, loads(request.content.read()))
        request.setResponseCode(self._script.status)
        for name, value in self._script.headers.items():
            request.setHeader(name, value)
        request.write(self._script.body)
        channel: Any = request.channel
        request.finish()
        if "Connection" in self._script.headers:
            channel.loseConnection()
        return NOT_DONE_YET


class ScriptRig(Rig):
    def __init__(self, way: str = TCP, **settings: Any) -> None:
        bench = settings.pop("bench", None) or Bench()
        self.script = settings.pop("script", None) or ScriptFactory()
        back = self._pool = None
        if way == HTTP:
            back = MemoryNetwork(bench.clock, Factory())
            client, self._pool = client_to(back, bench.clock)
            self.script = HttpScript(client, bench.clock)
        super().__init__(way, self.script, bench, back, **settings)

    def close_server(self) -> None:
        """End the callbacks."""
        if self._pool is not None:
            self._pool.closeCachedConnections()


def outcome(results: list[Any]) -> CommandResult:
    """Return the one outcome of a command."""
    [result] = results
    assert isinstance(result, CommandResult), result
    return result
