"""Fixtures for the tests of the command line: a gantry with its real API, and a runner."""

import gc
import json
import re
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
from twisted_gantry.ctl.session import Session

Reply = tuple[int, bytes, dict[str, str]]


@pytest.fixture(scope="package", autouse=True)
def quick_collections() -> Iterator[None]:
    """Keep the collection after each test to the objects that these tests made."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@dataclass
class Seen:
    """A request; `path` is without its query."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


@dataclass
class FakeGantry:
    """The real local API with replaceable answers, which keeps its requests in order."""

    url: str = ""
    real: RealApi = field(default_factory=RealApi)
    seen: list[Seen] = field(default_factory=list)
    answers: dict[tuple[str, str], Reply | Callable[[], Reply]] = field(default_factory=dict)

    def says(
        self, method: str, path: str, document: object, status: int = 200, **headers: str
    ) -> None:
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.answers[method, path] = status, body, headers

    def refuses(
        self, method: str, path: str, status: int, code: str = "no", message: str = "no"
    ) -> None:
        """Set an error as the answer to a request."""
        self.says(method, path, {"error": {"code": code, "message": message}}, status)

    def asked(self) -> list[tuple[str, str]]:
        """Return methods and paths, in order."""
        return [(each.method, each.path) for each in self.seen]

    def document(self, path: str) -> Any:
        """Return the present answer of the real API."""
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
            """Override: no log on the standard error."""

    return Handler


@pytest.fixture(autouse=True)
def no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the size of the terminal in which the tests were started."""
    for name in ("COLUMNS", "LINES"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def gantry() -> Iterator[FakeGantry]:
    """Return a gantry without problems, on a port of its own."""
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
        """Run `gantryctl` with these arguments; `typed` is the standard input."""
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


@pytest.fixture
def person(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretend that a person can be asked."""
    monkeypatch.setattr(Session, "can_ask", staticmethod(lambda: True))


def on_terminal(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    """Pretend that the output is a terminal."""
    monkeypatch.setattr(Session, "on_terminal", staticmethod(lambda: True))
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm-256color")


def without_colours(text: str) -> str:
    """Return a text without the escape sequences of a terminal."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


def rows_of(text: str) -> list[list[str]]:
    """Return the cells of a table."""
    return [re.split(r"  +", line) for line in text.splitlines()]
