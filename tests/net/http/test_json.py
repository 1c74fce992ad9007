"""JSON over klein: what goes out, what comes in, and the one shape of errors."""

import gzip
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from klein import Klein
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest

from tests.net.memory import Server
from twisted_gantry.net.http.json import (
    MOST_BYTES,
    MOST_NODES,
    HttpError,
    argument,
    handle_errors,
    header,
    read_object,
    refuse_foreign_origin,
    respond,
)
from twisted_gantry.net.http.server import Limits


class Api:
    """A small API with one of everything."""

    app = Klein()

    @app.route("/echo", methods=["POST"])
    def echo(self, request: Any) -> bytes:
        return respond(request, read_object(request), 201)

    @app.route("/argument")
    def argument(self, request: Any) -> bytes:
        """Tell the query argument `a`."""
        return respond(request, {"a": argument(request, "a", "none")})

    @app.route("/header")
    def header(self, request: Any) -> bytes:
        """Tell the header `X-Own`."""
        return respond(request, {"x": header(request, "X-Own")})

    @app.route("/change", methods=["POST"])
    def change(self, request: Any) -> bytes:
        """Do what a foreign page may not."""
        refuse_foreign_origin(request)
        return respond(request, {"done": True})

    @app.route("/refused")
    def refused(self, request: IRequest) -> bytes:
        raise HttpError(409, "busy", "ask later, 稍后")

    @app.route("/late")
    async def late(self, request: IRequest) -> bytes:
        raise HttpError(503, "not-yet", "starting")

    @app.route("/broken")
    def broken(self, request: IRequest) -> bytes:
        raise ZeroDivisionError("secret of the house")

    @app.route("/folder/")
    def folder(self, request: IRequest) -> bytes:
        """Answer under a path that ends in a slash."""
        return respond(request, {})


handle_errors(Api.app)


class Reply:
    """An answer: its status, headers and content."""

    def __init__(self, data: bytes) -> None:
        head, _, self.body = data.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        self.status = int(lines[0].split()[1])
        self.headers = dict(line.lower().split(": ", 1) for line in lines[1:])

    @property
    def content(self) -> Any:
        assert self.headers["content-type"] == "application/json; charset=utf-8"
        return json.loads(self.body)

    @property
    def error(self) -> tuple[int, str]:
        """Return status and code of an error, whose shape is the right one."""
        assert self.content.keys() == {"error"}
        assert self.content["error"].keys() == {"code", "message"}
        assert self.content["error"]["message"]
        return self.status, self.content["error"]["code"]


LARGE = Limits(body=2 * MOST_BYTES)


def ask(
    method: str,
    path: str,
    body: bytes = b"",
    *headers: bytes,
    host: bytes = b"a:80",
    limits: Limits = Limits(),  # noqa: B008
) -> Reply:
    """Send one request of HTTP/1.0, and return its answer."""
    server = Server(Api().app.resource(), limits)
    client = server.connect()
    lines = [
        f"{method} {path} HTTP/1.0".encode(),
        b"Content-Length: %d" % len(body),
        *([b"Host: " + host] if host else []),
        *headers,
    ]
    client.send(b"\r\n".join([*lines, b"", body]))
    data: bytes = client.transport.value()
    client.leave()
    assert server.clock.getDelayedCalls() == []
    return Reply(data)


def test_an_answer_is_json_that_is_not_kept() -> None:
    """An answer has its status, its content type with the charset, and may not be cached."""
    reply = ask("POST", "/echo", '{"a":"成"}'.encode())
    assert reply.status == 201
    assert reply.headers["cache-control"] == "no-store"
    assert reply.content == {"a": "成"}
    assert reply.body == '{"a":"成"}'.encode()


@pytest.mark.parametrize("body", [b"", b" \r\n", b"{}"])
def test_an_empty_body_is_an_empty_object(body: bytes) -> None:
    """A body of nothing is an object without members."""
    assert ask("POST", "/echo", body).content == {}


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"{a:1}",
        b'{"a":1,}',
        b'{"a":NaN}',
        b"\xff",
        '{"a":"成"}'.encode("gbk"),
        b'\xef\xbb\xbf{"a":1}',
        b'{"a":"\\ud800"}',
        b'{"a":' * 5000 + b"1" + b"}" * 5000,
        b"[" * 10_000,
        b'{"a":1e999}',
        b"{}\x00",
    ],
)
def test_a_body_that_is_no_json_is_told(body: bytes) -> None:
    """A body that is not strict JSON is 400 `not-json`."""
    assert ask("POST", "/echo", body).error == (400, "not-json")


@pytest.mark.parametrize("body", [b"[]", b"1", b'"a"', b"null", b"true"])
def test_a_body_that_is_no_object_is_told(body: bytes) -> None:
    """JSON that is no object is 400 `not-an-object`."""
    assert ask("POST", "/echo", body).error == (400, "not-an-object")


@pytest.mark.parametrize("value", [b"[]", b"{}", b"1", b'"k":1'])
def test_a_body_of_too_many_values_is_not_decoded(value: bytes) -> None:
    """Decoding holds the program: over MOST_NODES values and over MOST_BYTES are 413."""
    opening, end = (b"{", b"}") if b":" in value else (b'{"a":[', b"]}")
    for values, status in ((MOST_NODES + 5, 413), (MOST_NODES - 5, 201)):
        body = opening + b",".join([value] * (values // (1 + (value in (b"[]", b"{}"))))) + end
        assert ask("POST", "/echo", body, limits=LARGE).status == status
    for size, status in ((MOST_BYTES + 1, 413), (MOST_BYTES, 201)):
        body = b'{"a":"' + b"x" * (size - 8) + b'"}'
        assert ask("POST", "/echo", body, limits=LARGE).status == status


@given(st.binary(max_size=60) | st.text('{}[]",:a1.e-\\ \n', max_size=30).map(str.encode))
@settings(max_examples=60, derandomize=True)
def test_any_body_is_answered(body: bytes) -> None:
    """Whatever the body, it is an object and sent back, or a 400 of the one shape."""
    reply = ask("POST", "/echo", body)
    if reply.status == 201:
        assert isinstance(reply.content, dict)
    else:
        assert reply.error in {(400, "not-json"), (400, "not-an-object")}


@pytest.mark.parametrize(
    ("query", "value"),
    [
        ("", "none"),
        ("?a=b", "b"),
        ("?a=b&a=c", "c"),
        ("?a=%E6%88%90+1", "成 1"),
        ("?a=%FF", "\ufffd"),
        ("?b=a", "none"),
        ("?a", "none"),
    ],
)
def test_query_arguments_are_text(query: str, value: str) -> None:
    """A query argument is text whatever its bytes; of several the last, of none the default."""
    assert ask("GET", "/argument" + query).content == {"a": value}


@pytest.mark.parametrize(
    ("lines", "value"),
    [
        ([], ""),
        ([b"X-Own: b"], "b"),
        ([b"x-own: b", b"X-OWN: c"], "c"),
        ([b"X-Own: "], ""),
        ([b"X-Own: \xe6\x88\x90"], "成"),
        ([b"X-Own: a\xff"], "a\ufffd"),
    ],
)
def test_headers_are_text(lines: list[bytes], value: str) -> None:
    """A header is text whatever its bytes; of several the last, of none the empty text."""
    assert ask("GET", "/header", b"", *lines).content == {"x": value}


def test_an_http_error_has_the_one_shape() -> None:
    """An HttpError becomes its status, its code and its message, from a coroutine too."""
    reply = ask("GET", "/refused")
    assert reply.error == (409, "busy")
    assert reply.content["error"]["message"] == "ask later, 稍后"
    assert ask("GET", "/late").error == (503, "not-yet")


def test_unknown_paths_and_methods_have_the_one_shape() -> None:
    """A path that is not there is 404; a method that is not allowed 405, which names the others."""
    assert ask("GET", "/nowhere").error == (404, "not-found")
    reply = ask("GET", "/echo")
    assert reply.error == (405, "method-not-allowed")
    assert reply.headers["allow"] == "post"


def test_a_slash_that_is_missing_is_a_redirect() -> None:
    """A path that lacks its last slash is a redirect to the one that has it, at this very host."""
    reply = ask("GET", "/folder")
    assert reply.error == (308, "permanent-redirect")
    assert reply.headers["location"] == "/folder/"


def test_a_fault_of_ours_is_logged_and_not_shown(logged_failures: list[Failure]) -> None:
    """An unexpected exception is 500 without its text; the log has it."""
    reply = ask("GET", "/broken")
    assert reply.error == (500, "internal")
    assert b"secret" not in reply.body
    assert b"ZeroDivision" not in reply.body
    assert [failure.type for failure in logged_failures] == [ZeroDivisionError]
    logged_failures.clear()


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        (None, b"a:8080"),
        (b"", b"a:8080"),
        (b"http://a:8080", b"a:8080"),
        (b"https://A:8080", b"a:8080"),
        (b"http://a:8080", b"A:8080"),
        (b"http://[::1]:8080", b"[::1]:8080"),
    ],
)
def test_our_own_page_may_change_things(origin: bytes | None, host: bytes) -> None:
    """A request without an Origin, or from the page of this very host, is let through."""
    headers = [] if origin is None else [b"Origin: " + origin]
    reply = ask("POST", "/change", b"{}", *headers, host=host)
    assert reply.content == {"done": True}


@pytest.mark.parametrize(
    "origin",
    [
        b"null",
        b"http://evil.example",
        b"http://a:8081",
        b"http://a",
        b"http://a:8080.evil.example",
        b"http://evil.example/http://a:8080",
        b"a:8080",
        b"\xff\xfe",
        b"http://",
    ],
)
@pytest.mark.parametrize("host", [b"a:8080", b""])
def test_a_foreign_page_may_not(origin: bytes, host: bytes) -> None:
    """A request from the page of another site is 403, whatever its Origin says."""
    reply = ask("POST", "/change", b"{}", b"Origin: " + origin, host=host)
    assert reply.error == (403, "foreign-origin")


LONG = b'{"a":"' + b"long " * 1000 + b'"}'


def test_a_long_answer_is_packed_for_who_takes_that() -> None:
    """Gzip for a client that takes it, and no other; a cache between is told that it depends."""
    reply = ask("POST", "/echo", LONG, b"Accept-Encoding: br, gzip;q=0.8")
    assert reply.headers["content-encoding"] == "gzip"
    assert len(reply.body) < len(LONG) / 10
    assert gzip.decompress(reply.body) == LONG
    for takes in (b"identity", b"gzip;q=0", b"gzip; q=0.000", b"br, deflate"):
        plain = ask("POST", "/echo", LONG, b"Accept-Encoding: " + takes)
        assert "content-encoding" not in plain.headers
        assert (plain.headers["vary"], plain.body) == ("accept-encoding", LONG)


def test_a_short_answer_is_not_packed() -> None:
    """Packing would make it longer."""
    reply = ask("POST", "/echo", b'{"a":1}', b"Accept-Encoding: gzip")
    assert "content-encoding" not in reply.headers
    assert reply.content == {"a": 1}


def test_an_error_in_chinese() -> None:
    """A reader of Chinese gets the Chinese beside the English; others get the English alone."""
    for language, zh in ((b"zh-CN,zh;q=0.9", "请求体不是 JSON"), (b"en", None)):
        told = ask("POST", "/echo", b"{", b"Accept-Language: " + language).content["error"]
        assert (told["message"], told.get("messageZh")) == ("the body is not JSON", zh)
