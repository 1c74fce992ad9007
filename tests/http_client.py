"""A client that speaks HTTP to a resource without a socket."""

import http.client
import io
import json
from collections import Counter
from dataclasses import dataclass
from typing import Any, cast

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IAddress
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.web.resource import IResource

from twisted_gantry.net.http.server import Limits, bounded_site
from twisted_gantry.net.slots import EVERYBODY, Allowed


def now_of(deferred: Deferred[Any]) -> Any:
    """Return the result of a Deferred that has fired."""
    results: list[Any] = []
    deferred.addBoth(results.append)
    [result] = results
    if isinstance(result, Failure):
        result.raiseException()
    return result


@dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        """The content, of an answer that says that it is JSON."""
        assert self.headers["Content-Type"] == "application/json; charset=utf-8"
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """The code of an answer that has exactly the shape of an error."""
        content = self.json
        assert list(content) == ["error"]
        assert sorted(content["error"]) == ["code", "message"]
        assert content["error"]["message"]
        return str(content["error"]["code"])

    @property
    def error_code(self) -> str:
        """The code of an error, which may also say more, such as in Chinese."""
        return str(self.json["error"]["code"])

    @property
    def code(self) -> str:
        assert self.status == 200
        return str(self.json["code"])


class _Socket:
    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, *_: object) -> io.BytesIO:
        return io.BytesIO(self._data)


class Exchange:
    """A request that was sent, whose answer may still be to come."""

    def __init__(self, protocol: Any, peer: IAddress, data: bytes, method: str) -> None:
        self._protocol, self._method = protocol, method
        self.transport = StringTransport(peerAddress=peer)
        self.aborted = self._gone = False
        cast(Any, self.transport).abortConnection = self._abort
        protocol.makeConnection(self.transport)
        protocol.dataReceived(data)

    def _abort(self) -> None:
        self.aborted = self.transport.disconnected = True
        self.hang_up()

    @property
    def answered(self) -> bool:
        return bool(self.transport.value())

    def hang_up(self) -> None:
        """Go away as a client does that will not wait."""
        if self._gone:
            return
        self._gone = True
        self._protocol.connectionLost(Failure(ConnectionDone()))
        if self.transport.producer is not None:
            self.transport.producer.stopProducing()

    def ended(self) -> Answer:
        answer = self.answer()
        self.hang_up()
        return answer

    def answer(self) -> Answer:
        response = http.client.HTTPResponse(
            cast(Any, _Socket(self.transport.value())), method=self._method
        )
        response.begin()
        return Answer(response.status, response.headers, response.read())


class Client:
    """Speaks to a resource through all of the HTTP server but its sockets."""

    def __init__(
        self,
        resource: IResource,
        clock: Clock | None = None,
        limits: Limits | None = None,
        counts: Counter[str] | None = None,
        allowed: Allowed = EVERYBODY,
    ) -> None:
        self.clock = Clock() if clock is None else clock
        self.counts = Counter[str]() if counts is None else counts
        self._factory = bounded_site(
            resource, self.clock, limits or Limits(), self.counts, allowed=allowed
        )
        self.peer: IAddress = IPv4Address("TCP", "192.0.2.7", 5555)

    def admits(self, host: str) -> bool:
        """Tell whether a connection of `host` is taken at accept."""
        return self._factory.buildProtocol(IPv4Address("TCP", host, 5555)) is not None

    def raw(self, data: bytes, method: str = "GET") -> Exchange:
        return Exchange(self._factory.buildProtocol(self.peer), self.peer, data, method)

    def send(
        self, method: str, path: str, body: object = b"", host: str = "127.0.0.1:8080", **more: str
    ) -> Exchange:
        """Send a request; a body that is no bytes goes as JSON, `more` are headers."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Host": host, **{name.replace("_", "-"): value for name, value in more.items()}}
        if content or method == "POST":
            headers.setdefault("Content-Length", str(len(content)))
        lines = [f"{method} {path} HTTP/1.1", *(f"{n}: {v}" for n, v in headers.items()), "", ""]
        return self.raw("\r\n".join(lines).encode() + content, method)

    def get(self, path: str, **headers: str) -> Answer:
        return self.send("GET", path, **headers).ended()

    def post(self, path: str, body: object, **headers: str) -> Answer:
        return self.send("POST", path, body, **headers).ended()
