"""The outbox through the API: what waits, what was refused, and sending it again."""

import sqlite3
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from tests.web.small_site import Client, FakeUplink, SmallSite, now_of
from twisted_gantry.core.alarms import Severity

OUTBOX, RETRY = "/api/v1/outbox", "/api/v1/outbox/retry"


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
        }
        assert [each["id"] for each in answer.json["reports"]] == [1, 3]
        assert b"secret-code" not in answer.body

    def test_bodies(self, kept: SmallSite) -> None:
        """With `bodies=1` what was set aside can be taken out: as it would be sent."""
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
        """An uplink that there is not is a 404, an argument that makes no sense a 400."""
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

    @pytest.mark.parametrize("body", [b"", {}, {"uplink": None, "ids": None}])
    def test_every_uplink(self, kept: SmallSite, body: object) -> None:
        """Without a name every uplink is meant."""
        other = FakeUplink("fogslink", kept.now)
        kept.site.uplinks["fogslink"] = other
        number = kept.add_report("fogslink")
        now_of(kept.site.store.set_aside(number, "refused"))
        assert kept.client().post(RETRY, body).json == {"retried": 3}
        assert (kept.etc.retries, other.retries) == (1, 1)

    def test_audit(self, kept: SmallSite) -> None:
        """Who sent again what is in the audit."""
        client = kept.client()
        client.post(RETRY, {"uplink": "etc", "ids": [1]}, X_Gantry_User="alice")
        assert client.get("/api/v1/audit").json["entries"] == [
            {
                "id": "id-1",
                "at": "2026-11-21T10:00:03.250+08:00",
                "who": "api 192.0.2.7 alice",
                "target": "etc",
                "command": "outbox-retry",
                "args": {"ids": [1]},
                "result": "done",
                "detail": "reports queued again: 1",
            }
        ]

    def test_store_fails(
        self, kept: SmallSite, monkeypatch: pytest.MonkeyPatch, logged_failures: list[Failure]
    ) -> None:
        """When the store fails, so does the request, and the audit says that it failed."""

        def broken(*_: object) -> Any:
            raise sqlite3.OperationalError("disk")

        monkeypatch.setattr(kept.site.store, "retry_reports", broken)
        client = kept.client()
        answer = client.post(RETRY, {"uplink": "etc"})
        assert (answer.status, answer.error) == (500, "internal")
        [entry] = client.get("/api/v1/audit").json["entries"]
        assert entry["result"] == "failed"
        assert kept.etc.retries == 0
        assert [failure.type for failure in logged_failures] == [sqlite3.OperationalError]
        logged_failures.clear()

    def test_client_goes_away(self, kept: SmallSite, monkeypatch: pytest.MonkeyPatch) -> None:
        """What a client began that went away comes to its end, and to the audit."""
        moved: Deferred[int] = Deferred()
        monkeypatch.setattr(kept.site.store, "retry_reports", lambda *_: moved)
        client = kept.client()
        client.send("POST", RETRY, {"uplink": "etc"}).hang_up()
        assert kept.etc.retries == 0
        moved.callback(2)
        assert kept.etc.retries == 1
        [entry] = client.get("/api/v1/audit").json["entries"]
        assert (entry["result"], entry["detail"]) == ("done", "reports queued again: 2")

    def test_fails_after_the_client_went(
        self, kept: SmallSite, monkeypatch: pytest.MonkeyPatch, logged_failures: list[Failure]
    ) -> None:
        """A failure that nobody waits for any more is logged."""
        moved: Deferred[int] = Deferred()
        monkeypatch.setattr(kept.site.store, "retry_reports", lambda *_: moved)
        kept.client().send("POST", RETRY, {"uplink": "etc"}).hang_up()
        moved.errback(sqlite3.OperationalError("disk"))
        assert [failure.type for failure in logged_failures] == [sqlite3.OperationalError]
        logged_failures.clear()

    @pytest.mark.parametrize(
        ("body", "status", "code"),
        [
            ({"uplink": "nowhere"}, 404, "no-such-uplink"),
            ({"uplink": 1}, 400, "bad-request"),
            ({"ids": "all"}, 400, "bad-request"),
            ({"ids": ["1"]}, 400, "bad-request"),
            ({"ids": [0]}, 400, "bad-request"),
            ({"ids": [True]}, 400, "bad-request"),
            ({"ids": [2**63]}, 400, "bad-request"),
            ({"ids": [1] * 1001}, 400, "bad-request"),
            ({"all": True}, 400, "bad-request"),
            (b"{", 400, "not-json"),
        ],
    )
    def test_bad(self, kept: SmallSite, body: object, status: int, code: str) -> None:
        """What makes no sense is refused, and nothing is sent again or written down."""
        answer = kept.client().post(RETRY, body)
        assert (answer.status, answer.error) == (status, code)
        assert kept.etc.retries == 0
        assert now_of(kept.site.store.audit(10)) == []
