"""A backup through the API."""

import tempfile
from collections.abc import Callable, Iterator
from typing import IO, Any

import pytest
from twisted.internet.defer import CancelledError, Deferred, fail, succeed

from tests.http_client import Client, now_of
from tests.support import in_no_thread
from tests.web.small_site import SmallSite
from twisted_gantry.access.gate import Access, Gate
from twisted_gantry.core.interfaces import CannotBackUp
from twisted_gantry.net.http import file_stream
from twisted_gantry.web.api.maintenance import Maintenance
from twisted_gantry.web.api.routes import LocalApi

BACKUP = "/api/v1/backup"


class Threads:
    """Runs blocking functions when the test says so."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], object]] = []

    def __call__(self, function: Callable[..., Any], *args: Any) -> Deferred[Any]:
        done: Deferred[Any] = Deferred()
        self.waiting.append(lambda: in_no_thread(function, *args).chainDeferred(done))
        return done

    def run_one(self) -> None:
        """Run what waits longest."""
        self.waiting.pop(0)()


def _client(small: SmallSite, in_thread: Callable[..., Deferred[Any]]) -> Client:
    upkeep = Maintenance(small.site, small.now, small.clock, in_thread)
    api = LocalApi(small.site, small.history, small.now, "1", list, maintenance=upkeep)
    return Client(Gate(Access(None, None), api.app.resource()))


@pytest.fixture
def client(small: SmallSite) -> Client:
    return _client(small, in_no_thread)


def _audit(small: SmallSite) -> list[tuple[str, str, Any, str, str]]:
    entries = now_of(small.site.store.audit(10))
    return [(e.target, e.command, e.args, e.result, e.detail) for e in entries]


CONTENT = b"SQLite format 3\0" + bytes(range(256)) * 1000


@pytest.fixture
def copy(small: SmallSite, monkeypatch: pytest.MonkeyPatch) -> Iterator[IO[bytes]]:
    """Return the copy that the store makes."""
    with tempfile.TemporaryFile() as file:
        file.write(CONTENT)
        file.flush()
        monkeypatch.setattr(small.site.store, "backup", lambda _: succeed(file))
        yield file


class TestBackup:
    """`POST /api/v1/backup`."""

    @pytest.mark.parametrize(("body", "history"), [(b"", False), ({"history": True}, True)])
    def test_sent(
        self, small: SmallSite, client: Client, copy: IO[bytes], body: object, history: bool
    ) -> None:
        """The copy comes whole, as a file; then it is closed, and the audit knows of it."""
        answer = client.post(BACKUP, body)
        assert (answer.status, answer.body) == (200, CONTENT)
        assert answer.headers["Content-Type"] == "application/vnd.sqlite3"
        assert answer.headers["Cache-Control"] == "no-store"
        name = "history.db" if history else "gantry.db"
        assert answer.headers["Content-Disposition"] == f'attachment; filename="{name}"'
        assert copy.closed
        sent = f"bytes sent: {len(CONTENT)}"
        assert _audit(small) == [("store", "backup", {"history": history}, "done", sent)]

    @pytest.mark.parametrize(
        ("code", "status"),
        [
            ("backup-runs", 409),
            ("no-room", 507),
            ("no-history", 404),
            ("no-file", 404),
            ("backup-failed", 500),
        ],
    )
    def test_no_copy(
        self,
        small: SmallSite,
        client: Client,
        monkeypatch: pytest.MonkeyPatch,
        code: str,
        status: int,
    ) -> None:
        """What keeps the store from making a copy is told, each with its status."""
        refused = fail(CannotBackUp(code, "for a reason"))
        monkeypatch.setattr(small.site.store, "backup", lambda _: refused)
        answer = client.post(BACKUP, {})
        assert (answer.status, answer.error) == (status, code)
        assert _audit(small) == []

    def test_gone_during_the_copy(
        self, small: SmallSite, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The copying ends when the client disconnects."""
        copying: Deferred[IO[bytes]] = Deferred()
        monkeypatch.setattr(small.site.store, "backup", lambda _: copying)
        client.send("POST", BACKUP, {}).hang_up()
        assert copying.called
        assert _audit(small) == []

    def test_slow_reader(self, small: SmallSite, copy: IO[bytes]) -> None:
        """Nothing is read while the client takes nothing; when it does again, it goes on."""
        threads = Threads()
        exchange = _client(small, threads).send("POST", BACKUP, {})
        producer: Any = exchange.transport.producer
        while threads.waiting:
            producer.pauseProducing()
            threads.run_one()
            assert not threads.waiting
            small.clock.advance(file_stream.STALLED - 1)
            producer.resumeProducing()
        assert exchange.ended().body == CONTENT
        assert copy.closed

    @pytest.mark.parametrize("stalls", [True, False])
    def test_cut(self, small: SmallSite, copy: IO[bytes], stalls: bool) -> None:
        """A client that reads nothing for long is disconnected; the audit says so."""
        threads = Threads()
        exchange = _client(small, threads).send("POST", BACKUP, {})
        producer: Any = exchange.transport.producer
        threads.run_one()
        if stalls:
            producer.pauseProducing()
            threads.run_one()
            small.clock.advance(file_stream.STALLED)
            assert exchange.transport.disconnected
        exchange.hang_up()
        producer.stopProducing()
        while threads.waiting:
            threads.run_one()
        assert copy.closed
        assert _audit(small)[0][3:] == ("failed", "the client went away")
        assert small.clock.getDelayedCalls() == []

    def test_a_page_of_another_site(self, small: SmallSite, client: Client) -> None:
        """A page of another site cannot make a browser ask for a copy."""
        answer = client.post(BACKUP, {}, Origin="http://evil.example")
        assert (answer.status, answer.error) == (403, "foreign-origin")
        assert _audit(small) == []

    @pytest.mark.parametrize("body", [{"history": "yes"}, {"path": "/etc/x"}, b"[]"])
    def test_bad(self, client: Client, body: object) -> None:
        """A bad body is refused."""
        assert client.post(BACKUP, body).status == 400

    def test_not_cancelled_into_a_failure(
        self, small: SmallSite, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A copy that the store breaks off because it closes is an error for the client."""
        broken = fail(CancelledError())
        monkeypatch.setattr(small.site.store, "backup", lambda _: broken)
        answer = client.post(BACKUP, {})
        assert (answer.status, answer.error) == (503, "stopping")
