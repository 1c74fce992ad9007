"""Request targets as RFC 9112 has them, and whole answers with their length."""

import re
from typing import Any

import pytest
from twisted.web.resource import Resource
from twisted.web.server import Request

from tests.net.memory import Server
from twisted_gantry.net.http.app import App
from twisted_gantry.net.http.json import HttpError, handle_errors
from twisted_gantry.net.http.routes import ConstantRoutes


class Target(Resource):
    """Answers with what a request is for: path, query and host."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def render(self, request: Request) -> bytes:
        """Answer with path, query and host."""
        host = request.getHeader(b"host") or b"-"
        return b" ".join([request.path, repr(request.args).encode(), host])


@pytest.mark.parametrize(
    ("target", "told"),
    [
        (b"/monitor.do", b"/monitor.do {} a"),
        (b"http://192.168.1.5:8082/monitor.do", b"/monitor.do {} 192.168.1.5:8082"),
        (b"HTTP://192.168.1.5/monitor.do", b"/monitor.do {} 192.168.1.5"),
        (b"https://gantry.example/a/b?c=d", b"/a/b {b'c': [b'd']} gantry.example"),
        (b"http://[fe80::1]:80/post", b"/post {} [fe80::1]:80"),
        (b"http://ups:secret@10.0.0.1/post", b"/post {} 10.0.0.1"),
        (b"http://10.0.0.1", b"/ {} 10.0.0.1"),
        (b"http://10.0.0.1?c=d", b"/ {b'c': [b'd']} 10.0.0.1"),
        (b"/http://10.0.0.1/x", b"/http://10.0.0.1/x {} a"),
        (b"http:///x", b"http:///x {} a"),  # no host: no target of HTTP
        (b"ftp://10.0.0.1/x", b"ftp://10.0.0.1/x {} a"),
    ],
)
def test_an_absolute_target_is_its_path(target: bytes, told: bytes) -> None:
    """The absolute form is taken: its path counts, and its host replaces the Host header."""
    client = Server(Target()).connect()
    client.send(b"GET " + target + b" HTTP/1.1\r\nHost: a\r\n\r\n")
    _, _, body = client.transport.value().partition(b"\r\n\r\n")
    assert body == told
    client.leave()


class Answers:
    app = App()
    handle_errors(app)

    @app.route("/whole", methods=["GET"])
    def whole(self, request: Any) -> bytes:
        return b'{"code":"1000"}'

    @app.route("/later", methods=["GET"])
    async def later(self, request: Any) -> bytes:
        return b'{"code":"1000"}'

    @app.route("/wrong", methods=["GET"])
    def wrong(self, request: Any) -> bytes:
        raise HttpError(409, "busy", "ask later")

    @app.route("/unchanged", methods=["GET"])
    def unchanged(self, request: Any) -> bytes:
        request.setResponseCode(304)
        return b""

    @app.route("/stream", methods=["GET"])
    def stream(self, request: Any) -> bytes:
        request.write(b"data: 1\n\n")
        return b"data: 2\n\n"


ROOTS = [Answers().app.resource(), ConstantRoutes(Answers().app, lambda failure: None)]


@pytest.mark.parametrize("root", ROOTS, ids=["klein", "constant"])
@pytest.mark.parametrize("path", ["/whole", "/later", "/wrong", "/elsewhere"])
def test_a_whole_answer_has_its_length(root: Resource, path: str) -> None:
    """An answer that is made at once, also one of an error, is never chunked."""
    client = Server(root).connect()
    client.send(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    head, _, body = client.transport.value().partition(b"\r\n\r\n")
    assert b"chunked" not in head
    assert re.findall(rb"(?i)content-length: (\d+)", head) == [str(len(body)).encode()]
    client.leave()


@pytest.mark.parametrize("root", ROOTS, ids=["klein", "constant"])
def test_a_stream_has_no_length(root: Resource) -> None:
    """What is written in parts is chunked, and 304 has neither body nor length."""
    client = Server(root).connect()
    client.send(b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n")
    assert client.transport.value().endswith(b"9\r\ndata: 1\n\n\r\n9\r\ndata: 2\n\n\r\n0\r\n\r\n")
    client.transport.clear()
    client.send(b"GET /unchanged HTTP/1.1\r\nHost: a\r\n\r\n")
    assert b"ength" not in client.transport.value()
    client.leave()
