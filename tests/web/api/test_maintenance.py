"""The upkeep through the API: reports given up, and a backup."""

import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from typing import IO, Any

import pytest
from klein import Klein
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.python.failure import Failure
from twisted.web.server import Request

from tests.support import in_no_thread
from tests.web.small_site import Client, FakeUplink, SmallSite, now_of
from twisted_gantry.core.alarms import Severity
from twisted_gantry.core.interfaces import CannotBackUp
from twisted_gantry.net.http.json import handle_errors
from twisted_gantry.web import file_stream
from twisted_gantry.web.api.maintenance import Maintenance

DROP, BACKUP = "/api/v1/outbox/drop", "/api/v1/backup"
SURE = {"confirm": True}


class Routes:
    """The two routes alone."""

    app = Klein()

    def __init__(self, maintenance: Maintenance) -> None:
        self._maintenance = maintenance

    @app.route(DROP, methods=["POST"])
    async def drop(self, request: Request) -> bytes:
        """Give up reports."""
        return await self._maintenance.drop(request)

    @app.route(BACKUP, methods=["POST"])
    async def backup(self, request: Request) -> None:
        """Send a copy."""
        await self._maintenance.backup(request)


handle_errors(Routes.app)


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
    maintenance = Maintenance(small.site, small.now, small.clock, in_thread)
    return Client(Routes(maintenance).app.resource())


@pytest.fixture
def client(small: SmallSite) -> Client:
    """Return a client of the two routes."""
    return _client(small, in_no_thread)


@pytest.fixture
def kept(small: SmallSite) -> SmallSite:
    """Return a site with three reports of `etc`, of which 1 and 3 are set aside."""
    for n in range(3):
        small.add_report(body=b"secret-code" * (n + 1))
    for number in (1, 3):
        now_of(small.site.store.set_aside(number, "1004: refused"))
    small.site.alarms.set("etc.set-aside", Severity.WARNING, "refused", "被拒绝")
    return small


def _audit(small: SmallSite) -> list[tuple[str, str, Any, str, str]]:
    entries = now_of(small.site.store.audit(10))
    return [(e.target, e.command, e.args, e.result, e.detail) for e in entries]


class TestDrop:
    """`POST /api/v1/outbox/drop`."""

    def test_all(self, kept: SmallSite, client: Client) -> None:
        """All that was set aside goes, is counted as dropped, written down, and the alarm ends."""
        answer = client.post(DROP, {"uplink": "etc", "allSetAside": True, **SURE})
        assert (answer.status, answer.json) == (200, {"dropped": 2})
        ledger = now_of(kept.site.store.ledger("etc"))
        assert (ledger.created, ledger.queued, ledger.set_aside, ledger.dropped) == (3, 1, 0, 2)
        assert kept.site.alarms.active() == []
        assert kept.etc.retries == 0
        assert _audit(kept) == [("etc", "outbox-drop", {}, "done", "reports dropped: 2")]

    def test_some(self, kept: SmallSite, client: Client) -> None:
        """Named reports alone go, and of those only what was set aside; the alarm stays."""
        answer = client.post(DROP, {"ids": [3, 2, 99], **SURE}, X_Gantry_User="alice")
        assert answer.json == {"dropped": 1}
        left = now_of(kept.site.store.reports(None, None, 10))
        assert [(each.id, each.state) for each in left] == [(1, "set-aside"), (2, "queued")]
        assert [each.name for each in kept.site.alarms.active()] == ["etc.set-aside"]
        [entry] = now_of(kept.site.store.audit(10))
        assert (entry.who, entry.args) == ("api 192.0.2.7 alice", {"ids": [3, 2, 99]})

    def test_every_uplink(self, kept: SmallSite, client: Client) -> None:
        """Without a name every uplink is meant."""
        kept.site.uplinks["fogslink"] = FakeUplink("fogslink", kept.now)
        number = kept.add_report("fogslink")
        now_of(kept.site.store.set_aside(number, "refused"))
        assert client.post(DROP, {"allSetAside": True, **SURE}).json == {"dropped": 3}

    @pytest.mark.parametrize(
        ("body", "status", "code"),
        [
            ({}, 400, "bad-request"),
            (SURE, 400, "bad-request"),
            ({"ids": [1], "allSetAside": True, **SURE}, 400, "bad-request"),
            ({"ids": None, "allSetAside": False, **SURE}, 400, "bad-request"),
            ({"ids": [1]}, 400, "not-confirmed"),
            ({"allSetAside": True, "confirm": False}, 400, "not-confirmed"),
            ({"ids": [1], "uplink": "nowhere", **SURE}, 404, "no-such-uplink"),
            ({"ids": [0], **SURE}, 400, "bad-request"),
            ({"ids": [1] * 1001, **SURE}, 400, "bad-request"),
            ({"ids": [1], "confirm": "yes"}, 400, "bad-request"),
            ({"ids": [1], "all": True, **SURE}, 400, "bad-request"),
            (b"[]", 400, "not-an-object"),
        ],
    )
    def test_bad(
        self, kept: SmallSite, client: Client, body: object, status: int, code: str
    ) -> None:
        """What makes no sense, or lacks its yes, is refused: nothing goes or is written down."""
        answer = client.post(DROP, body)
        assert (answer.status, answer.error) == (status, code)
        assert now_of(kept.site.store.ledger("etc")).dropped == 0
        assert _audit(kept) == []

    def test_a_page_of_another_site(self, kept: SmallSite, client: Client) -> None:
        """A page from elsewhere cannot make a browser do either."""
        for path, body in ((DROP, {"allSetAside": True, **SURE}), (BACKUP, {})):
            answer = client.post(path, body, Origin="http://evil.example")
            assert (answer.status, answer.error) == (403, "foreign-origin")
        assert _audit(kept) == []

    def test_store_fails(
        self,
        kept: SmallSite,
        client: Client,
        monkeypatch: pytest.MonkeyPatch,
        logged_failures: list[Failure],
    ) -> None:
        """When the store fails, so does the request, and the audit says that it failed."""
        broken = fail(sqlite3.OperationalError("disk"))
        monkeypatch.setattr(kept.site.store, "drop_reports", lambda *_: broken)
        answer = client.post(DROP, {"ids": [1], **SURE})
        assert (answer.status, answer.error) == (500, "internal")
        assert _audit(kept) == [("etc", "outbox-drop", {"ids": [1]}, "failed", "the store failed")]
        assert [failure.type for failure in logged_failures] == [sqlite3.OperationalError]
        logged_failures.clear()

    def test_client_goes_away(
        self, kept: SmallSite, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What a client began that went away comes to its end, and to the audit."""
        dropped: Deferred[int] = Deferred()
        monkeypatch.setattr(kept.site.store, "drop_reports", lambda *_: dropped)
        client.send("POST", DROP, {"ids": [1], **SURE}).hang_up()
        dropped.callback(1)
        assert _audit(kept)[0][3:] == ("done", "reports dropped: 1")


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
        """The copying ends when nobody waits for it any more."""
        copying: Deferred[IO[bytes]] = Deferred()
        monkeypatch.setattr(small.site.store, "backup", lambda _: copying)
        client.send("POST", BACKUP, {}).hang_up()
        assert copying.called
        assert _audit(small) == []

    def test_slow_reader(self, small: SmallSite, copy: IO[bytes]) -> None:
        """Nothing is read while the client takes nothing; when it does again, it goes on."""
        threads = Threads()
        exchange = _client(small, threads).send("POST", BACKUP, {})
        producer: Any = exchange._transport.producer
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
        """Whoever takes nothing for long is cut off; that, and who leaves, is in the audit."""
        threads = Threads()
        exchange = _client(small, threads).send("POST", BACKUP, {})
        producer: Any = exchange._transport.producer
        threads.run_one()
        if stalls:
            producer.pauseProducing()
            threads.run_one()
            small.clock.advance(file_stream.STALLED)
            assert exchange._transport.disconnected
        exchange.hang_up()
        producer.stopProducing()
        while threads.waiting:
            threads.run_one()
        assert copy.closed
        assert _audit(small)[0][3:] == ("failed", "the client went away")
        assert small.clock.getDelayedCalls() == []

    @pytest.mark.parametrize("body", [{"history": "yes"}, {"path": "/etc/x"}, b"[]"])
    def test_bad(self, client: Client, body: object) -> None:
        """What makes no sense is refused."""
        assert client.post(BACKUP, body).status == 400

    def test_not_cancelled_into_a_failure(
        self, small: SmallSite, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A copy that the store breaks off because it closes is an error for the client."""
        broken = fail(CancelledError())
        monkeypatch.setattr(small.site.store, "backup", lambda _: broken)
        answer = client.post(BACKUP, {})
        assert (answer.status, answer.error) == (503, "stopping")
