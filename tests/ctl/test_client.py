"""The client of the local API: errors, bounds, secrets."""

import getpass
import os
import socket
import threading
from base64 import b64encode
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.threads import deferToThread

from tests.authority import Authority
from tests.ctl.conftest import FakeGantry, _handler
from tests.ctl.raw import raw_server, saying
from tests.daemon.process import free_port
from tests.net.http.test_client_tls import serving
from twisted_gantry.ctl import client
from twisted_gantry.ctl.client import Api, ApiError
from twisted_gantry.ctl.errors import Exit
from twisted_gantry.wire.secret import Secret

PASSWORD = "hunter2-secret"


def _answer(body: bytes, status: str = "200 OK", length: int | None = None) -> bytes:
    length = len(body) if length is None else length
    return f"HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n".encode() + body


def _failure(api: Api, path: str = "/api/v1/site", also: tuple[int, ...] = ()) -> ApiError:
    with pytest.raises(ApiError) as caught:
        api.get(path, also=also)
    return caught.value


def _error(data: bytes) -> ApiError:
    with raw_server(saying(data)) as port:
        return _failure(Api(f"http://127.0.0.1:{port}", timeout=5.0))


def test_get(gantry: FakeGantry) -> None:
    """A GET returns the document; query items of None are left out."""
    answer = Api(gantry.url + "/").get("/api/v1/points", {"prefix": "ups1. &", "limit": None})
    assert (answer.status, answer.document) == (200, {"points": []})
    assert gantry.seen[0].query == {"prefix": "ups1. &"}


def test_post(gantry: FakeGantry) -> None:
    """A POST carries JSON in UTF-8, and no Origin, so it needs no CSRF token."""
    document = {"target": "门架", "command": "BZOFF", "args": {"n": 1}}
    answer = Api(gantry.url).post("/api/v1/commands", document)
    assert answer.document["result"] == "refused"
    assert gantry.seen[0].body == document
    assert gantry.seen[0].headers["Content-Type"] == "application/json"
    assert "Origin" not in gantry.seen[0].headers


@pytest.mark.parametrize(
    ("secrets", "sent"),
    [
        ({}, None),
        (
            {"password": Secret("pässwort:1")},
            "Basic " + b64encode("gantryctl:pässwort:1".encode()).decode(),
        ),
        ({"password": Secret("p"), "token": Secret("t-1")}, "Bearer t-1"),
    ],
)
def test_authorization(gantry: FakeGantry, secrets: dict[str, Any], sent: str | None) -> None:
    """A token is sent as Bearer, else a password as HTTP Basic in UTF-8, else no header."""
    Api(gantry.url, **secrets).get("/api/v1/site")
    assert gantry.seen[0].headers.get("Authorization") == sent


def test_bad_token() -> None:
    """A token that a header cannot carry is refused before sending, and not shown."""
    for token in ["", "two words", "line\nbreak", "tokén", "a\x00b"]:
        with pytest.raises(ApiError) as caught:
            Api("http://127.0.0.1:1", token=Secret(token))
        assert (caught.value.key, caught.value.exit_code) == ("bad-token", Exit.USAGE)
        assert not token or token not in repr(caught.value.fields)


@pytest.mark.parametrize(("user", "shown"), [("operator-1", "operator-1"), ("n o\r\nX: 1", None)])
def test_user(
    gantry: FakeGantry, monkeypatch: pytest.MonkeyPatch, user: str, shown: str | None
) -> None:
    """The user name is sent for the audit, if the API accepts the name."""
    monkeypatch.setenv("LOGNAME", user)
    Api(gantry.url).get("/api/v1/site")
    assert gantry.seen[0].headers.get("X-Gantry-User") == shown


def test_no_user(gantry: FakeGantry, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user without a name, as in a container, is no error."""

    def nobody() -> str:
        raise KeyError("uid not found")

    monkeypatch.setattr(getpass, "getuser", nobody)
    Api(gantry.url).get("/api/v1/site")
    assert "X-Gantry-User" not in gantry.seen[0].headers


def test_repr() -> None:
    """The repr of the client shows the URL, and no secret."""
    api = Api("http://h:1", Secret(PASSWORD), None)
    assert repr(api) == "Api('http://h:1')"
    assert PASSWORD not in str(vars(api))


def test_bad_url() -> None:
    """A malformed URL is refused as wrong usage."""
    for url in [
        "",
        "127.0.0.1:8080",
        "ftp://h",
        "http://",
        "http://h:port",
        "http://h:99999",
        "http://h/a b",
        "http://h/?q=1",
        "http://h/#f",
        "http://h\r\nX: 1",
        "http://门架",
        "http://[::1",
        "unix:relative",
        "unix:",
    ]:
        with pytest.raises(ApiError) as caught:
            Api(url)
        assert (caught.value.key, caught.value.exit_code) == ("bad-url", Exit.USAGE)


def test_password_in_url() -> None:
    """A URL with a password is refused without showing it."""
    for url in [f"http://u:{PASSWORD}@h", f"ftp://u:{PASSWORD}@h", f"http:/u:{PASSWORD}@h:x"]:
        with pytest.raises(ApiError) as caught:
            Api(url)
        assert caught.value.exit_code == Exit.USAGE
        assert PASSWORD not in repr(caught.value.fields)


def test_base_path(gantry: FakeGantry) -> None:
    """A gantry behind a path of a proxy is reached at that path."""
    site = gantry.document("/api/v1/site")
    gantry.says("GET", "/gantry1/api/v1/site", site)
    assert Api(gantry.url + "/gantry1/").get("/api/v1/site").document == site


class _UnixServer(ThreadingHTTPServer):
    address_family = socket.AF_UNIX

    def server_bind(self) -> None:
        self.socket.bind(self.server_address)

    def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
        peer, _ = self.socket.accept()
        return peer, ("unix", 0)


@pytest.fixture
def on_unix(tmp_path: Path) -> Iterator[tuple[str, FakeGantry]]:
    """Return the URL of a gantry on a Unix socket, and the gantry."""
    fake = FakeGantry()
    path = os.path.relpath(tmp_path / "api")  # a short one
    server = _UnixServer(path, _handler(fake))  # type: ignore[arg-type]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"unix:{tmp_path / 'api'}", fake
    server.shutdown()
    thread.join()
    server.server_close()
    fake.real.db.close()


def test_unix(on_unix: tuple[str, FakeGantry]) -> None:
    """A gantry on a Unix socket is asked as any other, as localhost."""
    url, fake = on_unix
    assert Api(url).get("/api/v1/site").document == fake.document("/api/v1/site")
    assert fake.seen[0].headers["Host"] == "localhost"


def test_no_unix_socket() -> None:
    """A missing Unix socket counts as unreachable."""
    for url in ["unix:/nonexistent/api", "unix:/" + "x" * 200]:
        error = _failure(Api(url))
        assert (error.key, error.exit_code) == ("cannot-connect", Exit.UNREACHABLE)


def test_refused() -> None:
    """A closed port is unreachable; nothing was sent."""
    with pytest.raises(ApiError) as caught:
        Api(f"http://127.0.0.1:{free_port()}").post("/api/v1/commands", {})
    error = caught.value
    assert (error.key, error.exit_code, error.sent) == ("cannot-connect", Exit.UNREACHABLE, False)
    assert error.fields["reason"] == "Connection refused"


async def test_a_host_that_is_not_verified_is_told_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The error has the URL, the reason and what to set; with a right certificate it is asked."""
    site = Authority()
    (tmp_path / "ca.pem").write_bytes(site.pem)

    def failure(port: int) -> ApiError:
        return _failure(Api(f"https://localhost:{port}", Secret(PASSWORD)))

    for trusted, names in ((False, ("DNS:localhost",)), (True, ("DNS:*",)), (True, ())):
        if trusted:
            monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        async with serving(site.sign(*names)) as (_, server, port):
            error = await deferToThread(failure, port)
        assert (error.key, error.sent) == ("bad-certificate", False)
        assert bytes(server.got) == b""
    async with serving(site.sign("DNS:localhost")) as (_, server, port):
        error = await deferToThread(failure, port)
    assert error.key != "bad-certificate"
    assert b"Basic" in bytes(server.got)


def test_no_tls(gantry: FakeGantry) -> None:
    """With an https URL nothing is sent to a peer without TLS."""
    error = _failure(Api(gantry.url.replace("http:", "https:"), Secret(PASSWORD)))
    assert (error.key, error.exit_code, error.sent) == ("cannot-connect", Exit.UNREACHABLE, False)
    assert not gantry.seen


def test_silence() -> None:
    """A silent peer is given up after the timeout."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        error = _failure(Api(url, timeout=0.05))
    assert (error.key, error.exit_code, error.sent) == ("no-answer", Exit.UNREACHABLE, True)


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\nX: ", _answer(b"", length=10_000)])
def test_dripping(head: bytes) -> None:
    """A peer that drips bytes, in the head or the body, is cut off at the timeout."""

    def drip(peer: socket.socket, over: threading.Event) -> None:
        saying(head)(peer, over)
        while not over.wait(0.01):
            peer.sendall(b" ")

    with raw_server(drip) as port:
        assert _failure(Api(f"http://127.0.0.1:{port}", timeout=0.2)).key == "no-answer"


def test_half_an_answer() -> None:
    """Half an answer, or bytes that are not HTTP, are never taken for an answer."""
    for data in [
        b"",
        _answer(b'{"points": [', length=100),
        b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"a"',
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 500 + b"\r\n",
    ]:
        error = _error(data)
        assert (error.key, error.exit_code, error.sent) == ("broke-off", Exit.UNREACHABLE, True)


def test_not_json() -> None:
    """An answer that is not a JSON object is an error."""
    for body in [b"", b"<html>", b"[1]", b"null", b'"text"', b"\xff\xfe", b"[" * 100_000, b"{} {}"]:
        error = _error(_answer(body))
        assert (error.key, error.status) == ("not-json", 200)
    # The end within the head
    assert _error(b"HTTP/1.1 200 OK\r\nContent-").key == "not-json"


def test_oversized(monkeypatch: pytest.MonkeyPatch, gantry: FakeGantry) -> None:
    """An answer over the bound is not read to its end; one of exactly the bound is accepted."""
    body = b'{"a": "' + b"x" * 1000 + b'"}'
    monkeypatch.setattr(client, "MAX_ANSWER", len(body) - 1)
    assert _error(_answer(body)).key == "too-long"
    assert _error(b"HTTP/1.0 200 OK\r\n\r\n" + body).key == "too-long"
    # The head alone decides: no peer could send this length.
    assert _error(_answer(b"", length=10**12)).key == "too-long"
    monkeypatch.setattr(client, "MAX_ANSWER", len(body))
    gantry.says("GET", "/api/v1/site", body)
    assert Api(gantry.url).get("/api/v1/site").document == {"a": "x" * 1000}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect(gantry: FakeGantry, status: int) -> None:
    """A redirect is not followed: the password would go to another server."""
    gantry.says("GET", "/api/v1/site", {}, status, Location=gantry.url + "/elsewhere")
    error = _failure(Api(gantry.url, Secret(PASSWORD)))
    assert error.key == "redirected"
    assert error.fields["location"] == gantry.url + "/elsewhere"
    assert gantry.asked() == [("GET", "/api/v1/site")]


def test_no_proxy(gantry: FakeGantry, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy of the environment is not used."""
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    assert Api(gantry.url, Secret(PASSWORD)).get("/api/v1/site").status == 200


def test_error_shape(gantry: FakeGantry) -> None:
    """An error of the API keeps its status, code and message."""
    for status in [400, 403, 404, 429, 500, 503]:
        gantry.says("GET", "/api/v1/site", {"error": {"code": "bad", "message": "so"}}, status)
        error = _failure(Api(gantry.url))
        assert (error.key, error.code, error.status) == ("refused", "bad", status)
        assert (error.fields["name"], error.fields["message"]) == ("bad", "so")


def test_odd_error(gantry: FakeGantry) -> None:
    """An error in another shape is an error all the same."""
    for shape in [{}, {"error": "text"}, {"error": {"code": 5}}, {"error": []}]:
        gantry.says("GET", "/api/v1/site", shape, 500)
        error = _failure(Api(gantry.url))
        assert (error.key, error.status) == ("refused", 500)


def test_unauthorized(gantry: FakeGantry) -> None:
    """A 401 has its own error, whatever its body holds."""
    for body in [b"<html>", b'{"error": {"code": "unauthorized"}}']:
        gantry.says("GET", "/api/v1/site", body, 401)
        error = _failure(Api(gantry.url, Secret(PASSWORD)))
        assert error.key == "no-password"
        assert PASSWORD not in repr(error.fields)


def test_status_that_carries_a_result(gantry: FakeGantry) -> None:
    """A 503 of the health page is a result if `also` has it, unless it is an error of the API."""
    gantry.says("GET", "/healthz", {"status": "failing"}, 503)
    assert Api(gantry.url).get("/healthz", also=(503,)).status == 503
    _failure(Api(gantry.url), "/healthz")
    gantry.says("GET", "/healthz", {"error": {"code": "busy", "message": "later"}}, 503)
    _failure(Api(gantry.url), "/healthz", (503,))
