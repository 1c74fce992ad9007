"""The outbox through the API: what waits or was set aside, sending it again, giving it up."""

import sqlite3
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail
from twisted.python.failure import Failure

from tests.http_client import Client, now_of
from tests.web.small_site import FakeUplink, SmallSite
from twisted_gantry.core.alarms import Severity
from twisted_gantry.core.deliveries import Deliveries

OUTBOX = "/api/v1/outbox"
RETRY, DROP = f"{OUTBOX}/retry", f"{OUTBOX}/drop"
SURE = {"confirm": True}


@pytest.fixture
def kept(small: SmallSite) -> SmallSite:
    """Return a site with three reports of `etc`, of which 1 and 3 are set aside."""
    for n in range(3):
        small.add_report(body=b"secret-code" * (n + 1), urgent=n == 1)
        small.clock.advance(1)
    for number in (1, 3):
        now_of(small.site.store.set_aside(number, "1004: refused"))
    small.site.alarms.set("etc.set-aside", Severity.WARNING, "refused", "被拒绝")
    return small


def _audit(small: SmallSite) -> list[tuple[str, str, Any, str, str]]:
    entries = now_of(small.site.store.audit(10))
    return [(e.target, e.command, e.args, e.result, e.detail) for e in entries]


class TestList:
    """`GET /api/v1/outbox`."""

    def test_shape(self, kept: SmallSite) -> None:
        """A report is shown without its body, which may be long."""
        answer = kept.client().get(f"{OUTBOX}?uplink=etc&state=set-aside")
        assert answer.json["reports"][0] == {
            "id": 1,
            "uplink": "etc",
            "kind": "kind",
            "subject": "subject",
            "state": "set-aside",
            "createdAt": "2026-11-21T10:00:00.250+08:00",
            "urgent": False,
            "tries": 1,
            "reason": "1004: refused",
            "bytes": 11,
            "notStored": False,
        }
        assert [each["id"] for each in answer.json["reports"]] == [1, 3]
        assert b"secret-code" not in answer.body

    def test_bodies(self, kept: SmallSite) -> None:
        """With `bodies=1` each report has its body, as it would be sent."""
        reports = kept.client().get(f"{OUTBOX}?state=set-aside&bodies=1").json["reports"]
        assert [each["body"] for each in reports] == ["secret-code", "secret-code" * 3]

    @pytest.mark.parametrize(
        ("query", "ids"),
        [
            ("", [1, 2, 3]),
            ("?uplink=etc", [1, 2, 3]),
            ("?uplink=etc&state=queued", [2]),
            ("?state=set-aside&limit=1", [1]),
        ],
    )
    def test_chosen(self, kept: SmallSite, query: str, ids: list[int]) -> None:
        """Uplink, state and limit choose, oldest first."""
        reports = kept.client().get(OUTBOX + query).json["reports"]
        assert [each["id"] for each in reports] == ids

    @pytest.mark.parametrize(
        ("query", "status", "code"),
        [
            ("?uplink=nowhere", 404, "no-such-uplink"),
            ("?uplink=etc&state=lost", 400, "bad-state"),
            ("?uplink=etc&state=set_aside", 400, "bad-state"),
            ("?limit=0", 400, "bad-limit"),
        ],
    )
    def test_bad(self, client: Client, query: str, status: int, code: str) -> None:
        """An unknown uplink is a 404, a bad argument a 400."""
        answer = client.get(OUTBOX + query)
        assert (answer.status, answer.error) == (status, code)


class TestRetry:
    """`POST /api/v1/outbox/retry`."""

    def test_all(self, kept: SmallSite) -> None:
        """All that was set aside is queued again, the uplink tries now, and the alarm ends."""
        client = kept.client()
        answer = client.post(RETRY, {"uplink": "etc"})
        assert (answer.status, answer.json) == (200, {"retried": 2})
        assert client.get(f"{OUTBOX}?state=set-aside").json["reports"] == []
        assert kept.etc.retries == 1
        assert kept.site.alarms.active() == []

    def test_some(self, kept: SmallSite) -> None:
        """Named reports alone are queued again; the alarm stays while one is set aside."""
        answer = kept.client().post(RETRY, {"uplink": "etc", "ids": [3, 2, 99]})
        assert answer.json == {"retried": 1}
        left = now_of(kept.site.store.reports("etc", "set-aside", 10))
        assert [each.id for each in left] == [1]
        assert [each.name for each in kept.site.alarms.active()] == ["etc.set-aside"]
        assert kept.etc.retries == 1

    def test_nothing_set_aside(self, small: SmallSite, client: Client) -> None:
        """With nothing set aside the uplink still tries now what waits."""
        small.add_report()
        assert client.post(RETRY, {"uplink": "etc"}).json == {"retried": 0}
        assert small.etc.retries == 1

    def test_audit(self, kept: SmallSite) -> None:
        """Who sent again what is in the audit."""
        client = kept.client()
        client.post(RETRY, {"uplink": "etc", "ids": [1]}, X_Gantry_User="alice")
        assert client.get("/api/v1/audit").json["entries"] == [
            {
                "id": "id-1",
                "at": "2026-11-21T10:00:03.250+08:00",
                "who": "api 192.0.2.7 local (alice)",
                "target": "etc",
                "command": "outbox-retry",
                "args": {"ids": [1]},
                "result": "done",
                "detail": "reports queued again: 1",
            }
        ]


class TestDrop:
    """`POST /api/v1/outbox/drop`."""

    def test_all(self, kept: SmallSite) -> None:
        """All that was set aside goes, is counted as dropped, written down, and the alarm ends."""
        answer = kept.client().post(DROP, {"uplink": "etc", "allSetAside": True, **SURE})
        assert (answer.status, answer.json) == (200, {"dropped": 2})
        ledger = now_of(kept.site.store.ledger("etc"))
        assert (ledger.created, ledger.queued, ledger.set_aside, ledger.dropped) == (3, 1, 0, 2)
        assert kept.site.alarms.active() == []
        assert kept.etc.retries == 0
        assert _audit(kept) == [("etc", "outbox-drop", {}, "done", "reports dropped: 2")]

    def test_some(self, kept: SmallSite) -> None:
        """Named reports alone go, and of those only what was set aside; the alarm stays."""
        answer = kept.client().post(DROP, {"ids": [3, 2, 99], **SURE}, X_Gantry_User="alice")
        assert answer.json == {"dropped": 1}
        left = now_of(kept.site.store.reports(None, None, 10))
        assert [(each.id, each.state) for each in left] == [(1, "set-aside"), (2, "queued")]
        assert [each.name for each in kept.site.alarms.active()] == ["etc.set-aside"]
        [entry] = now_of(kept.site.store.audit(10))
        assert (entry.who, entry.args) == ("api 192.0.2.7 local (alice)", {"ids": [3, 2, 99]})

    def test_a_page_of_another_site(self, kept: SmallSite) -> None:
        """A page of another site cannot make a browser drop reports."""
        body = {"allSetAside": True, **SURE}
        answer = kept.client().post(DROP, body, Origin="http://evil.example")
        assert (answer.status, answer.error) == (403, "foreign-origin")
        assert _audit(kept) == []


@pytest.mark.parametrize(
    ("path", "body", "answer"),
    [
        (RETRY, b"", {"retried": 3}),
        (RETRY, {}, {"retried": 3}),
        (RETRY, {"uplink": None, "ids": None}, {"retried": 3}),
        (DROP, {"allSetAside": True, **SURE}, {"dropped": 3}),
    ],
)
def test_every_uplink(kept: SmallSite, path: str, body: object, answer: dict[str, int]) -> None:
    """Without a name every uplink is meant."""
    other = kept.site.uplinks["fogslink"] = FakeUplink("fogslink", kept.now)
    number = kept.add_report("fogslink")
    now_of(kept.site.store.set_aside(number, "refused"))
    assert kept.client().post(path, body).json == answer
    assert (kept.etc.retries, other.retries) == ((1, 1) if path == RETRY else (0, 0))


BOTH = pytest.mark.parametrize(
    ("path", "method", "said"),
    [
        (RETRY, "retry_reports", "reports queued again: 1"),
        (DROP, "drop_reports", "reports dropped: 1"),
    ],
)
"""Retry and drop: the method of the store, and the entry in the audit."""


def _body(path: str) -> dict[str, Any]:
    return {"uplink": "etc", "ids": [1], **({} if path == RETRY else SURE)}


@BOTH
def test_store_fails(
    kept: SmallSite,
    monkeypatch: pytest.MonkeyPatch,
    logged_failures: list[Failure],
    path: str,
    method: str,
    said: str,
) -> None:
    """When the store fails, so does the request, and the audit says that it failed."""
    broken = fail(sqlite3.OperationalError("disk"))
    monkeypatch.setattr(kept.site.store, method, lambda *_: broken)
    answer = kept.client().post(path, _body(path))
    assert (answer.status, answer.error) == (500, "internal")
    [(*_, args, result, detail)] = _audit(kept)
    assert (args, result, detail) == ({"ids": [1]}, "failed", "the store failed")
    assert kept.etc.retries == 0
    assert [failure.type for failure in logged_failures] == [sqlite3.OperationalError]
    logged_failures.clear()


@BOTH
def test_client_goes_away(
    kept: SmallSite, monkeypatch: pytest.MonkeyPatch, path: str, method: str, said: str
) -> None:
    """A change goes on when its client disconnects, and its outcome is in the audit."""
    changed: Deferred[int] = Deferred()
    monkeypatch.setattr(kept.site.store, method, lambda *_: changed)
    kept.client().send("POST", path, _body(path)).hang_up()
    assert kept.etc.retries == 0
    changed.callback(1)
    assert kept.etc.retries == (1 if path == RETRY else 0)
    assert _audit(kept)[0][3:] == ("done", said)


def test_fails_after_the_client_went(
    kept: SmallSite, monkeypatch: pytest.MonkeyPatch, logged_failures: list[Failure]
) -> None:
    """A failure after the client has disconnected is logged."""
    moved: Deferred[int] = Deferred()
    monkeypatch.setattr(kept.site.store, "retry_reports", lambda *_: moved)
    kept.client().send("POST", RETRY, {"uplink": "etc"}).hang_up()
    moved.errback(sqlite3.OperationalError("disk"))
    assert [failure.type for failure in logged_failures] == [sqlite3.OperationalError]
    logged_failures.clear()


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        (RETRY, {"uplink": "nowhere"}, 404, "no-such-uplink"),
        (RETRY, {"uplink": 1}, 400, "bad-request"),
        (RETRY, {"ids": "all"}, 400, "bad-request"),
        (RETRY, {"ids": ["1"]}, 400, "bad-request"),
        (RETRY, {"ids": [0]}, 400, "bad-request"),
        (RETRY, {"ids": [True]}, 400, "bad-request"),
        (RETRY, {"ids": [2**63]}, 400, "bad-request"),
        (RETRY, {"ids": [1] * 1001}, 400, "bad-request"),
        (RETRY, {"all": True}, 400, "bad-request"),
        (RETRY, b"{", 400, "not-json"),
        (DROP, {}, 400, "bad-request"),
        (DROP, SURE, 400, "bad-request"),
        (DROP, {"ids": [1], "allSetAside": True, **SURE}, 400, "bad-request"),
        (DROP, {"ids": None, "allSetAside": False, **SURE}, 400, "bad-request"),
        (DROP, {"ids": [1]}, 400, "not-confirmed"),
        (DROP, {"allSetAside": True, "confirm": False}, 400, "not-confirmed"),
        (DROP, {"ids": [1], "uplink": "nowhere", **SURE}, 404, "no-such-uplink"),
        (DROP, {"ids": [0], **SURE}, 400, "bad-request"),
        (DROP, {"ids": [1] * 1001, **SURE}, 400, "bad-request"),
        (DROP, {"ids": [1], "confirm": "yes"}, 400, "bad-request"),
        (DROP, {"ids": [1], "all": True, **SURE}, 400, "bad-request"),
        (DROP, b"[]", 400, "not-an-object"),
    ],
)
def test_bad(kept: SmallSite, path: str, body: object, status: int, code: str) -> None:
    """A bad or unconfirmed request is refused; store and audit stay unchanged."""
    answer = kept.client().post(path, body)
    assert (answer.status, answer.error) == (status, code)
    assert now_of(kept.site.store.ledger("etc")).dropped == kept.etc.retries == 0
    assert _audit(kept) == []


def test_deliveries(kept: SmallSite) -> None:
    """`GET /api/v1/deliveries`: the last day of each uplink in slots of half an hour."""
    answer = kept.client().get("/api/v1/deliveries")
    assert answer.json == {
        "since": "2026-11-20T10:00:03.250+08:00",
        "until": "2026-11-21T10:00:03.250+08:00",
        "step": 1800.0,
        "queues": [{"name": "etc", "slots": []}],
    }
    Deliveries(kept.site, kept.history, kept.clock, kept.now).start()
    now_of(kept.site.store.delivered([2]))
    queues = kept.client().get("/api/v1/deliveries").json["queues"]
    assert queues == [{"name": "etc", "slots": [["2026-11-21T10:00:00.000+08:00", 1, 0, 0]]}]
