"""A bridge that neighbours connect to: it listens, or is offline and tries again."""

from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IProtocolFactory

from twisted_gantry.core.status import Status
from twisted_gantry.net.endpoints import for_the_group
from twisted_gantry.net.http.server import with_backlog
from twisted_gantry.net.listener import CannotListen, Closable, Listener
from twisted_gantry.net.outage import Cause, outage
from twisted_gantry.net.timers import Timer

MOST_WAITING = 128
"""Connections that wait to be accepted: a rightful one waits behind those of strangers."""
AGAIN_S = 10.0
"""Seconds after which a port that was taken is tried again."""


class Listening:
    """Listens at `place`, a server endpoint, between `start` and `stop`; `status` follows.

    `connections` returns the open ones, which `stop` aborts.
    """

    def __init__(
        self,
        reactor: Any,
        place: str,
        factory: IProtocolFactory,
        connections: Callable[[], Iterable[Closable]],
        status: Status,
    ) -> None:
        self._reactor, self._place, self._factory = reactor, place, factory
        self._connections, self._status = connections, status
        self._again = Timer(reactor, self.start)
        self._listener: Listener | None = None

    @property
    def port(self) -> int:
        """The number of the TCP port. Raises RuntimeError while there is none."""
        if self._listener is None:
            raise RuntimeError(f"{self._status.name} does not listen")
        return self._listener.port

    def start(self) -> None:
        place = for_the_group(with_backlog(self._place, MOST_WAITING))
        endpoint = serverFromString(self._reactor, place)
        means = (self._reactor, self._place, endpoint, self._factory, self._connections)
        listener = Listener(*means)
        listener.setName(self._status.name)  # type: ignore[no-untyped-call]
        try:
            listener.startService()
        except CannotListen as error:
            self._status.offline(outage(Cause.LOCAL, str(error), en=str(error)))
            self._again.start(AGAIN_S)
            return
        self._listener = listener
        self._status.online()

    def stop(self) -> Deferred[None] | None:
        """End; fires when the connections are closed."""
        self._again.cancel()
        listener, self._listener = self._listener, None
        return None if listener is None else listener.stopService()
