"""klein routes by a table: what is found, what is refused, and what a peer cannot make it log."""

from typing import Any

import pytest
from klein import Klein
from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest

from tests.net.memory import Connection, Server
from twisted_gantry.net.http.json import HttpError
from twisted_gantry.net.http.routes import ConstantRoutes


class App:
    """Two constant paths, one of which waits."""

    app = Klein()

    def __init__(self) -> None:
        self.waiting: list[Deferred[bytes]] = []
        self.ended: list[object] = []

    @app.route("/a.do", methods=["POST"])
    def post(self, request: Any) -> bytes:
        """Answer with the body and the arguments of the query."""
        return b"%s%s" % (request.content.read(), repr(request.args).encode())

    @app.route("/a.do", methods=["GET"])
    def get(self, request: IRequest) -> bytes:
        raise HttpError(409, "busy", "ask later")

    @app.route("/wait", methods=["GET"])
    async def wait(self, request: IRequest) -> bytes:
        self.waiting.append(Deferred())
        try:
            return await self.waiting[-1]
        except CancelledError as error:
            self.ended.append(type(error))
            raise

    @app.route("/own", methods=["GET"])
    def own(self, request: Any) -> None:
        request.write(b"own")
        request.finish()

    @app.route("/half", methods=["GET"])
    def half(self, request: Any) -> None:
        request.write(b"half")
        raise ZeroDivisionError


class Branch:
    """Takes every path."""

    app = Klein()

    @app.route("/", branch=True)
    def all(self, request: Any) -> bytes:
        path: bytes = request.path
        return path


class Bench:
    """An app behind a bounded server, and the faults that it reports."""

    def __init__(self, app: Any = None) -> None:
        self.app = app or App()
        self.faults: list[type[BaseException]] = []
        self.server = Server(ConstantRoutes(self.app.app, self._fault))

    def _fault(self, failure: Failure) -> None:
        assert failure.type is not None
        self.faults.append(failure.type)

    def send(self, method: str, path: bytes, body: bytes = b"", **headers: str) -> Connection:
        """Send a request; the connection has the answer."""
        lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        head = "\r\n".join(["", *lines, f"Content-Length: {len(body)}", "", ""]).encode()
        connection = self.server.connect()
        connection.send(method.encode() + b" " + path + b" HTTP/1.1" + head + body)
        return connection


@pytest.fixture
def bench() -> Bench:
    return Bench()


def answer_of(connection: Connection) -> bytes:
    return bytes(connection.transport.value().partition(b"\r\n\r\n")[2])


def test_a_route_is_found_by_path_and_method(bench: Bench) -> None:
    """The handler of the method answers; the query does not matter."""
    sent = bench.send("POST", b"/a.do?x=1", b"{}", Host="a")
    assert sent.statuses() == [200]
    assert b"{}{b'x': [b'1']}" in answer_of(sent)
    refused = bench.send("GET", b"/a.do", Host="a")
    assert refused.statuses() == [409]
    assert b'{"error":{"code":"busy","message":"ask later"}}' in answer_of(refused)


@pytest.mark.parametrize("path", [b"/", b"/a.do/", b"//a.do", b"/%61.do", b"/%ff"])
def test_another_path_is_404(bench: Bench, path: bytes) -> None:
    """Only the path as it is written is one; an odd one is no fault and is not logged."""
    assert bench.send("POST", path, Host="a").statuses() == [404]
    assert bench.faults == []


def test_another_method_is_405(bench: Bench) -> None:
    """The answer names those that are taken."""
    sent = bench.send("BREW", b"/a.do", Host="a")
    assert sent.statuses() == [405]
    assert b"Allow: GET, HEAD, POST\r\n" in sent.transport.value()


@pytest.mark.parametrize("host", ["", "\u00ff", "a b", "x" * 300, "a..b"])
def test_no_host_is_wrong(bench: Bench, host: str) -> None:
    """Nothing is made of the Host header: a wrong one is neither an error nor a line of the log."""
    assert bench.send("POST", b"/a.do", Host=host).statuses() == [200]
    assert bench.faults == []


def test_a_client_that_leaves_ends_the_handler(bench: Bench) -> None:
    """Its handler is cancelled, which is no fault."""
    bench.send("GET", b"/wait", Host="a").leave()
    assert bench.app.ended == [CancelledError]
    assert bench.faults == []


def test_a_late_answer(bench: Bench) -> None:
    """An answer goes out when the handler has it."""
    sent = bench.send("GET", b"/wait", Host="a")
    assert sent.statuses() == []
    bench.app.waiting[0].callback(b"late")
    assert b"late" in answer_of(sent)


@pytest.mark.parametrize("error", [ZeroDivisionError("inside"), CancelledError("inside")])
def test_a_fault_is_told_to_us_alone(bench: Bench, error: Exception) -> None:
    """Any other error is 500 without its text; so is a cancellation while the client waits."""
    sent = bench.send("GET", b"/wait", Host="a")
    bench.app.waiting[0].errback(error)
    assert sent.statuses() == [500]
    assert b"inside" not in sent.transport.value()
    assert bench.faults == [type(error)]


def test_a_handler_that_ends_the_request(bench: Bench) -> None:
    """What the handler has answered itself is left alone."""
    assert bench.send("GET", b"/own", Host="a").transport.value().count(b"own") == 1
    assert bench.faults == []


def test_half_an_answer_is_cut(bench: Bench) -> None:
    """A fault behind half an answer drops the connection: no second answer follows the first."""
    sent = bench.send("GET", b"/half", Host="a")
    assert sent.aborted
    assert sent.statuses() == [200]
    assert bench.faults == [ZeroDivisionError]


@pytest.mark.parametrize("path", [b"/", b"/post", b"/a/b/", b"/%ff"])
@pytest.mark.parametrize("method", ["POST", "BREW"])
def test_a_branch_takes_the_rest(method: str, path: bytes) -> None:
    """A branch route of `/` has every path and method that no other route has."""
    sent = Bench(Branch()).send(method, path, Host="a")
    assert sent.statuses() == [200]
    assert path in answer_of(sent)


def test_a_variable_part_is_a_mistake() -> None:
    """A route that the table cannot hold is refused when it is made."""

    class Variable:
        app = Klein()

        @app.route("/<name>", methods=["GET"])
        def name(self, request: IRequest, name: str) -> bytes:
            return b""

    with pytest.raises(ValueError, match="/<name>"):
        ConstantRoutes(Variable().app, print)


@pytest.mark.parametrize(
    "kind",
    ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "multipart/form-data"],
)
def test_a_form_is_not_parsed(bench: Bench, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body is bytes whatever its Content-Type, which Twisted takes long to read."""

    def parse(_: bytes) -> bytes:
        raise AssertionError("the Content-Type was parsed")

    monkeypatch.setattr("twisted.web.http._parseContentType", parse)
    sent = bench.send("POST", b"/a.do", b"a=1&b=2", Host="a", Content_Type=kind)
    assert sent.statuses() == [200]
    assert b"a=1&b=2{}" in answer_of(sent)
