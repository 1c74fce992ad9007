"""What the tests of the kinds share: a message, means, and a receiver over a real socket."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from twisted.internet import reactor
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.web.resource import Resource
from twisted.web.server import Site

from twisted_gantry.notify.notice import AlarmTold, Message
from twisted_gantry.notify.registry import KINDS
from twisted_gantry.notify.settings import Means
from twisted_gantry.notify.texts import Wording
from twisted_gantry.wire.secret import Secret

NOW = 1_795_233_600.5  # 2026-11-21 12:00 in Shanghai
AT = "2026-11-21T12:00:00.000+08:00"


def told(name: str = "ups1.mains-abnormal", **more: Any) -> AlarmTold:
    """Return an alarm within a message."""
    return AlarmTold(name, "critical", "mains abnormal", "市电异常", AT, **more)


def message(event: str = "raised", *alarms: AlarmTold) -> bytes:
    """Return a message as the outbox has it."""
    return Message("id-1", event, "G1", AT, alarms or (told(value=0),)).encode()


class Receiver(Resource):
    """Notes each request; answers with `status` and `body`."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.status, self.body = 200, b'{"errcode":0,"errmsg":"ok"}'
        self.requests: list[Any] = []
        self.bodies: list[bytes] = []

    def render(self, request: Any) -> bytes:
        """Answer."""
        self.requests.append(request)
        self.bodies.append(request.content.read())
        request.setResponseCode(self.status)
        return self.body


@asynccontextmanager
async def listening(factory: Any) -> AsyncIterator[int]:
    """Listen on a free port of loopback."""
    port: Any = reactor.listenTCP(0, factory, interface="127.0.0.1")
    try:
        yield port.getHost().port
    finally:
        await port.stopListening()
        for each in getattr(factory, "made", ()):
            each.transport.abortConnection()
        await deferLater(reactor, 0.01)  # what was closed is gone


@asynccontextmanager
async def receiving() -> AsyncIterator[tuple[Receiver, int]]:
    receiver = Receiver()
    site: Any = Site(receiver, timeout=None)
    site.noisy = False
    async with listening(site) as port:
        yield receiver, port


def sender(kind: str, language: str = "zh", **settings: Any) -> Any:
    """Return a sender, made as the gantry makes it."""
    made = KINDS[kind].settings(**settings)
    wording = Wording(language, "北门架")
    means = Means(reactor, lambda: NOW, wording, KINDS[kind].keys(made))
    return KINDS[kind].build(made, means)


def secret(text: str) -> Secret:
    return Secret(text)


class Raw(Protocol):
    """Hands what comes to a function of the test, which returns what is answered."""

    def __init__(self, answer: Callable[["Raw", bytes], bytes]) -> None:
        self._answer = answer
        self.got = b""

    def connectionMade(self) -> None:
        """Begin."""
        self._write(self._answer(self, b""))

    def dataReceived(self, data: bytes) -> None:
        """Answer."""
        self.got += data
        self._write(self._answer(self, data))

    def _write(self, data: bytes) -> None:
        if data and self.transport is not None:
            self.transport.write(data)


def raw(answer: Callable[[Raw, bytes], bytes]) -> Any:
    """Return a factory of such protocols."""
    factory: Any = Factory()
    factory.noisy, factory.made = False, []

    def build(_: object) -> Raw:
        factory.made.append(made := Raw(answer))
        return made

    factory.buildProtocol = build
    return factory
