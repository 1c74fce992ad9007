"""Shared fixtures of the command line's tests: a gantry whose real API answers over a socket."""

import gc
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from click.testing import CliRunner, Result

from tests.ctl.real import RealApi
from twisted_gantry.ctl.main import cli

Reply = tuple[int, bytes, dict[str, str]]


@pytest.fixture(scope="package", autouse=True)
def quick_collections() -> Iterator[None]:
    """Let the collection after each test look at what the tests of this room made, no more."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@dataclass
class Seen:
    """A request that came, `path` without its query."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


@dataclass
class FakeGantry:
    """The real local API; single answers can be replaced, and each request is kept in order."""

    url: str = ""
    real: RealApi = field(default_factory=RealApi)
    seen: list[Seen] = field(default_factory=list)
    answers: dict[tuple[str, str], Reply | Callable[[], Reply]] = field(default_factory=dict)

    def says(
        self, method: str, path: str, document: object, status: int = 200, **headers: str
    ) -> None:
        """Answer this from now on."""
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.answers[method, path] = status, body, headers

    def asked(self) -> list[tuple[str, str]]:
        """Return methods and paths, in order."""
        return [(each.method, each.path) for each in self.seen]

    def document(self, path: str) -> Any:
        """Return what the real API answers now."""
        return self.real.client.get(path).json

    def reply(self, seen: Seen, path: str, data: bytes) -> Reply:
        """Keep a request, and return its answer: the replaced one, or that of the real API."""
        self.seen.append(seen)
        answer = self.answers.get((seen.method, seen.path))
        if answer is None:
            found = self.real.client.send(seen.method, path, data).ended()
            return found.status, found.body, {"Content-Type": found.headers["Content-Type"]}
        return answer() if callable(answer) else answer


def _handler(gantry: FakeGantry) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            parts = urlsplit(self.path)
            data = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            seen = Seen(
                self.command,
                parts.path,
                dict(parse_qsl(parts.query)),
                dict(self.headers),
                json.loads(data) if data else None,
            )
            status, body, headers = gantry.reply(seen, self.path, data)
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_DELETE = _answer

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    return Handler


@pytest.fixture
def gantry() -> Iterator[FakeGantry]:
    """Return a gantry in good order, on a port of its own."""
    fake = FakeGantry()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(fake))
    server.daemon_threads = True
    fake.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield fake
    server.shutdown()
    thread.join()
    server.server_close()
    fake.real.db.close()


@dataclass
class Ctl:
    """Runs `gantryctl` against a URL, in a language."""

    url: str

    def __call__(
        self,
        *args: str,
        lang: str = "en",
        typed: str | None = None,
        env: dict[str, str | None] | None = None,
    ) -> Result:
        """Run it with these words; `typed` is its standard input."""
        variables: dict[str, str | None] = {
            "GANTRY_URL": self.url,
            "GANTRY_PASSWORD": None,
            "GANTRY_TOKEN": None,
            "NO_COLOR": None,
            "FORCE_COLOR": None,
            "LC_ALL": None,
            "LC_MESSAGES": None,
            "LANG": {"en": "en_US.UTF-8", "zh": "zh_CN.UTF-8"}[lang],
            **(env or {}),
        }
        result = CliRunner().invoke(cli, args, input=typed, env=variables)
        crashed = result.exception is not None and not isinstance(result.exception, SystemExit)
        assert not crashed, result.exc_info
        return result


@pytest.fixture
def ctl(gantry: FakeGantry) -> Ctl:
    """Return a runner of `gantryctl` against the fake gantry."""
    return Ctl(gantry.url)
