"""`gantryctl` against the real API of a centre in memory."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.centre.web.rig import WebRig
from tests.ctl.conftest import Ctl
from twisted_gantry.centre.store.reports import Filing
from twisted_gantry.testing.centre_store import open_memory
from twisted_gantry.testing.clock import ManualClock


@dataclass
class CentrePeer:
    """The API behind a real port. `replies` replace it, by method and path."""

    rig: WebRig
    url: str = ""
    replies: dict[tuple[str, str], tuple[int, object]] = field(default_factory=dict)

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, bytes, str]:
        replaced = self.replies.get((method, path.partition("?")[0]))
        if replaced is not None:
            return replaced[0], json.dumps(replaced[1]).encode(), "application/json"
        found = self.rig.send(method, path, body).ended()
        return found.status, found.body, found.headers["Content-Type"]


def _handler(peer: CentrePeer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            status, content, kind = peer.answer(self.command, self.path, body)
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = _answer

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Override: no log on the standard error."""

    return Handler


@pytest.fixture
def peer() -> Iterator[CentrePeer]:
    """A centre with two gantries on a road, of which one can be commanded."""
    clock = ManualClock()
    store = open_memory(clock.now, Filing("front-1"))
    made = CentrePeer(WebRig(store, clock))
    made.rig.desk.add("G1", section="A", stake="K1")
    made.rig.put("G2", road="G2", name="南门架")
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(made))
    made.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    server.shutdown()
    thread.join()
    server.server_close()
    store.close()


@pytest.fixture
def ctl(peer: CentrePeer) -> Ctl:
    """Return a runner of `gantryctl` against the centre."""
    return Ctl(peer.url)
