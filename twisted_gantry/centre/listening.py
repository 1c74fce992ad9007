"""How the servers of the centre listen: shared ports, and TLS around what they speak."""

from collections import Counter
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamServerEndpoint
from zope.interface import implementer

from twisted_gantry.net.endpoints import for_the_group, without_tls
from twisted_gantry.net.http.seldom_log import SeldomLog
from twisted_gantry.net.http.server import with_backlog
from twisted_gantry.net.shared_port import shared_endpoint
from twisted_gantry.net.tls_server import ServerTls

BACKLOG = 1024
"""Connections that wait to be accepted: after an outage a whole province comes at once."""


@implementer(IStreamServerEndpoint)
class Place:
    """The endpoint of a server called `name`, from its description. With `tls` its factory is
    served over TLS; with `shared` other processes may listen at the same port. `counts` is that of
    the server, and gains what `ServerTls` counts.
    """

    def __init__(
        self,
        reactor: Any,
        name: str,
        description: str,
        counts: Counter[str],
        *,
        tls: ServerTls | None = None,
        shared: bool = False,
    ) -> None:
        self._reactor, self._name, self._tls, self._counts = reactor, name, tls, counts
        plain = description if tls is None else without_tls(description)[0]
        self.place = for_the_group(with_backlog(plain, BACKLOG))
        self._endpoint: IStreamServerEndpoint = (
            shared_endpoint(reactor, self.place)
            if shared
            else serverFromString(reactor, self.place)
        )

    def listen(self, factory: IProtocolFactory) -> Deferred[IListeningPort]:
        outer = factory
        if self._tls is not None:
            log = SeldomLog(self._name, self._reactor)
            outer = self._tls.factory(
                factory, self._counts, lambda host, why: log.refused(0, host, why), self._reactor
            )
        return self._endpoint.listen(outer)
