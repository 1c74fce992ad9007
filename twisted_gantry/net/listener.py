"""A listening endpoint as a service with a known address and a clean end."""

from collections.abc import Callable, Iterable
from typing import Any, Protocol

from twisted.application.service import Service
from twisted.internet.defer import Deferred, ensureDeferred, succeed
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamServerEndpoint
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

_log = Logger()

ACCEPTS = 32  # connections that are accepted in one turn of the reactor
_CLOSING_TURNS = 100  # turns of the reactor in which aborted connections may close


class CannotListen(Exception):
    """A listener could not start; the text has its name, its endpoint and the reason."""


class Closable(Protocol):
    def abortConnection(self) -> Any: ...


def _accept_few(port: Any) -> None:
    """Accept at most `ACCEPTS` connections a turn. Twisted's number grows while connections wait,
    so that a host that reconnects at once holds the reactor.
    """
    read = getattr(port, "doRead", None)
    if read is None or not hasattr(port, "numberAccepts"):
        return  # no socket, or another Twisted

    def read_few() -> Any:
        port.numberAccepts = min(port.numberAccepts, ACCEPTS)
        return read()

    port.doRead = read_few


class Listener(Service):
    """Listens with `factory` on `endpoint` while it runs.

    `connections` returns the open ones, which the stop aborts; `drain` is awaited before, the port
    being closed. `place` is the text of the endpoint, for messages. A failure to listen fails the
    start of the service with CannotListen.
    """

    def __init__(
        self,
        reactor: Any,
        place: str,
        endpoint: IStreamServerEndpoint,
        factory: IProtocolFactory,
        connections: Callable[[], Iterable[Closable]],
        drain: Callable[[], Deferred[None]] = lambda: succeed(None),
    ) -> None:
        self._reactor, self._place, self._endpoint = reactor, place, endpoint
        self._factory, self._connections, self._drain = factory, connections, drain
        self._listening: Deferred[IListeningPort | None] | None = None
        self._port: IListeningPort | None = None

    @property
    def address(self) -> Any:
        """The IAddress of the port. Raises RuntimeError while the service does not listen."""
        if self._port is None:
            raise RuntimeError(f"{self.name} does not listen")
        return self._port.getHost()

    @property
    def port(self) -> int:
        """The number of the TCP port. Raises RuntimeError while the service does not listen."""
        return int(self.address.port)

    def privilegedStartService(self) -> None:
        super().privilegedStartService()  # type: ignore[no-untyped-call]
        self._listen()

    def startService(self) -> None:
        super().startService()  # type: ignore[no-untyped-call]
        if self._listening is None:
            self._listen()

    def _listen(self) -> None:
        failures: list[Failure] = []
        starting = True

        def up(port: IListeningPort) -> IListeningPort:
            self._port = port
            _accept_few(port)
            return port

        def down(failure: Failure) -> None:
            if starting:
                failures.append(failure)
            else:  # a slow endpoint: the start is over, only the log is left
                _log.failure("{name} cannot listen", failure=failure, name=self.name)

        self._listening = self._endpoint.listen(self._factory).addCallbacks(up, down)
        starting = False
        if failures:
            self._listening = None
            raise CannotListen(
                f"{self.name} cannot listen on {self._place}: {failures[0].getErrorMessage()}"
            )

    def stopService(self) -> Deferred[None]:
        super().stopService()  # type: ignore[no-untyped-call]
        return ensureDeferred(self._stop())

    async def _stop(self) -> None:
        if self._listening is None:
            return
        listening, self._listening, self._port = self._listening, None, None
        port = await listening
        stopping = None if port is None else port.stopListening()
        if stopping is not None:
            await stopping
        await self._drain()
        for _ in range(_CLOSING_TURNS):
            still = list(self._connections())
            if not still:
                break
            for connection in still:
                connection.abortConnection()
            await deferLater(self._reactor, 0)
