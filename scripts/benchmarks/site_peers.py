"""The rightful peers of a watched gantry: the platform, a cabinet, cards over HTTP, a browser."""

import base64
import http.client
import json
import socket
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from scripts.benchmarks.watched import free_port
from twisted_gantry.wire.etc.envelope import Method, encode_request, signed_headers

GANTRY, AUTH, PASSWORD = "G000211001002110010", "benchmark", "benchmark-password"
CARDS = 5
_LIVE = (
    "(220.1 220.2 220.3 50.1 ---.- ---.- ---.- 149.5 221 222 223 50 5 6 7 20 30 25 216.5 31687 90 "
    "37.5 0000100000000011"
)
_RATINGS = "(Sunshine V1.0 C10KS 220 220 20 50.0 192 1/1 10000"


class Ports:
    """Free ports: of the gantry, and of what it connects to."""

    def __init__(self) -> None:
        self.web, self.monitor, self.remote, self.callback = (free_port() for _ in range(4))
        self.manhole, self.cards, self.platform = (free_port() for _ in range(3))
        self.card, self.cloud, self.server = (free_port() for _ in range(3))

    def config(self, more: str = "", *, manhole: bool = True) -> str:
        """Return the configuration of a gantry that listens on all its ports."""
        prompt = f'[manhole]\nlisten = "tcp:{self.manhole}"' if manhole else ""
        cards = "".join(
            f"""
[[device]]
name = "ups{number}"
kind = "ups-card-http"
url = "http://127.0.0.1:{self.cards}/{number}"
callback = "http://127.0.0.1:{self.callback}/post"
poll = 0.1
"""
            for number in range(CARDS)
        )
        return f"""
[gantry]
id = "{GANTRY}"
[web]
listen = "tcp:{self.web}"
password = "{PASSWORD}"
[monitor]
listen = "tcp:{self.monitor}"
auth = "{AUTH}"
rate = 0
[remotecontrol]
listen = "tcp:{self.remote}"
auth = "{AUTH}"
rate = 0
{prompt}
[uplink.etc]
url = "http://127.0.0.1:{self.platform}/monitor.do"
auth = "{AUTH}"
cards_period = 4
{cards}
{more}
"""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print nothing when the gantry hangs up."""


class Cards:
    """The cards, which call back; `took` has the seconds of each result, `failed` how many were
    not taken.
    """

    def __init__(self, ports: Ports) -> None:
        self.took: list[float] = []
        self.failed = 0
        cards = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                command = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()
                cards.call_back(ports.callback, command)

            def log_message(self, *args: Any) -> None:
                """Print nothing."""

        self._server = _Server(("127.0.0.1", ports.cards), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def call_back(self, port: int, command: dict[str, Any]) -> None:
        value = {"QAD": _LIVE, "RTD": _RATINGS}.get(command["cmd"], "(OK")
        result = {"uid": "1", "session": command["session"], "cmd": command["cmd"], "value": value}
        began = time.perf_counter()
        status = ask(port, "POST", "/post", json.dumps(result).encode(), {})[0]
        self.took.append(time.perf_counter() - began)
        self.failed += status != 200

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def ask(
    port: int, method: str, path: str, body: bytes, headers: dict[str, str]
) -> tuple[int, bytes]:
    """Send a request over a connection of its own; status 0 if there is no answer."""
    with suppress(OSError, http.client.HTTPException):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()
    return 0, b""


def browser(ports: Ports) -> bool:
    """Ask for the site; returns whether it was told."""
    given = base64.b64encode(f"x:{PASSWORD}".encode()).decode()
    headers = {"Authorization": f"Basic {given}"}
    return ask(ports.web, "GET", "/api/v1/site", b"", headers)[0] == 200


def cabinet(ports: Ports) -> bool:
    """Ask for the white list as a cabinet; returns whether it was told."""
    body = encode_request(GANTRY, Method.CARDS, time.time(), {"curVersion": "0"})
    return (
        b'"1000"' in ask(ports.monitor, "POST", "/monitor.do", body, signed_headers(body, AUTH))[1]
    )


def platform(ports: Ports) -> bool:
    """Command as the platform; returns whether it was done."""
    fields = {"updateNow": "1", "serial": str(time.perf_counter_ns())}
    body = encode_request(GANTRY, Method.COMPUTER_CONTROL, time.time(), fields)
    path = "/remotecontrol.do"
    return b'"1000"' in ask(ports.remote, "POST", path, body, signed_headers(body, AUTH))[1]


def operator(ports: Ports) -> bool:
    """Knock at the manhole; returns whether its SSH answers."""
    with (
        suppress(OSError),
        socket.create_connection(("127.0.0.1", ports.manhole), timeout=10) as sock,
    ):
        return sock.recv(100).startswith(b"SSH-2.0")
    return False
