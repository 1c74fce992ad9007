"""A TCP port that several processes share: the kernel deals the connections out (SO_REUSEPORT)."""

import socket
from typing import Any

from twisted.internet.defer import Deferred, execute
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamServerEndpoint
from zope.interface import implementer

from twisted_gantry.net.endpoints import split_endpoint

_BACKLOG = 50
_SHAREABLE = frozenset({"tcp", "tcp4", "tcp6"})


def shared_endpoint(reactor: Any, description: str) -> IStreamServerEndpoint:
    """Return the server endpoint of a description: a shared port of a `tcp:` one. What cannot be
    shared, such as a UNIX socket, is of the process that listens first.
    """
    if split_endpoint(description)[0] in _SHAREABLE:
        return SharedPort(reactor, description)
    endpoint: IStreamServerEndpoint = serverFromString(reactor, description)
    return endpoint


@implementer(IStreamServerEndpoint)
class SharedPort:
    """Listens where a `tcp:` endpoint description says; others of the same user may do so, too."""

    def __init__(self, reactor: Any, description: str) -> None:
        kind, positional, named = split_endpoint(description)
        self._reactor = reactor
        self._host = named.get("interface", "::" if kind == "tcp6" else "")
        self._port = int(named.get("port") or positional[0])
        self._backlog = int(named.get("backlog", _BACKLOG))

    def listen(self, factory: IProtocolFactory) -> Deferred[IListeningPort]:
        return execute(self._listen, factory)

    def _listen(self, factory: IProtocolFactory) -> IListeningPort:
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as made:
            made.setblocking(False)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            made.bind((self._host, self._port))
            made.listen(self._backlog)
            # The reactor has a copy of the descriptor.
            port: IListeningPort = self._reactor.adoptStreamPort(made.fileno(), family, factory)
        return port
